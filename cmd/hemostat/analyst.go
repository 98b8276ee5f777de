package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"hemostat/defenders/sentinel/analyst/chat"
	"hemostat/scenarios/defence"
	"hemostat/sim/record"
)

// analystFlags say who answers for models at endpoints.
type analystFlags struct{ mode, cassette string }

func (o *analystFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.mode, "analyst", string(defence.AnalystReplay),
		"who answers for a variant's model: replay (the cassette alone), record (the endpoint for what the cassette lacks), live (the endpoint), or offline (the offline analyst in its place)")
	f.StringVar(&o.cassette, "cassette", "analyst.cassette", "cassette `FILE` of recorded answers")
}

// analystUse is a session as a command uses it.
type analystUse struct {
	mode    defence.AnalystMode
	session *defence.AnalystSession
	used    bool // a variant has a model
}

// open makes the models of variants ready. In mode offline replace is called with the
// variant that stands for each. What answers may cost at most is said before anything is
// asked.
func (o *analystFlags) open(
	ctx context.Context,
	variants []*defence.Variant,
	replace func(old, by *defence.Variant),
	errOut io.Writer,
) (*analystUse, error) {
	mode, err := defence.ParseAnalystMode(o.mode)
	if err != nil {
		return nil, fmt.Errorf("--analyst: %w", err)
	}
	u := &analystUse{mode: mode, session: defence.NewAnalystSession(ctx, mode, o.cassette)}
	for _, v := range variants {
		if v == nil || !v.AskModel() {
			continue
		}
		u.used = true
		if mode == defence.AnalystOffline {
			by, err := v.WithOfflineAnalyst()
			if err != nil {
				return nil, err
			}
			replace(v, by)
			continue
		}
		if err := u.session.Connect(v); err != nil {
			return nil, errors.Join(err, u.session.Close())
		}
	}
	if !u.used && mode != defence.AnalystReplay {
		fmt.Fprintln(errOut, "note: no variant's analyst is a model at an endpoint, so --analyst changes nothing; a variant with analyst: {model: offline} has the offline analyst")
	}
	for _, line := range u.session.Offers {
		fmt.Fprintln(errOut, safe(line))
	}
	return u, nil
}

// recordedMode is the mode that a run's record bears, "" when no model was concerned.
func (u *analystUse) recordedMode() string {
	if !u.used {
		return ""
	}
	return string(u.mode)
}

// stopped returns why a run has to end with a trial, nil when it goes on: a trial that
// failed since no question is answered any more says nothing about the variant.
func (u *analystUse) stopped(t *record.Trial) error {
	err := u.session.Err()
	if err == nil || t.Status == "ok" {
		return nil
	}
	if errors.Is(err, chat.ErrBudget) {
		return exit{exitInterrupted,
			fmt.Errorf("stopped: %w; what was run is kept, and --resume goes on with a larger budget", err)}
	}
	return fmt.Errorf("the analyst: %w", err)
}

// close says what was spent and lets go of endpoints and cassette.
func (u *analystUse) close(errOut io.Writer) {
	if spent := u.session.Spent(); spent != "" {
		fmt.Fprintln(errOut, safe(spent))
	}
	noteFault(errOut, u.session.Close())
}

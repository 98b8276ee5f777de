package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hemostat/attackers/technique"
	"hemostat/defenders/ingest"
	"hemostat/scenarios"
	"hemostat/scenarios/observe"
	"hemostat/sim/attack"
	"hemostat/sim/boundedfile"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/strictyaml"
)

type techniqueImportOptions struct {
	technique, name, root, events, window, output string
	format                                        string
	needs                                         string
	show, redact, all                             bool
	rules                                         ruleFlags
}

func techniqueImport() *cobra.Command {
	o := techniqueImportOptions{}
	c := &cobra.Command{
		Use: "import RECORDING...", Short: "Make a recorded attack a tool that campaigns use",
		Long: `Reads a recorded attack (anything that replay reads) and writes a footprint: its
events with hosts, accounts, SIDs, addresses, domains, GUIDs, logon ids, process ids,
paths and times made variable, and the gaps between them kept. A scenario names the
file or its folder under footprints; the footprint is then a tool of its technique:

  footprints: [my-footprints]
  … do: {technique: T1003.001, tool: my-dump}

Which events belong to the attack is decided one by one: with --root what the process
tree below an image did, with --window what happened between two times, else all that
an ordinary day does not hold anyway. --show lists the decisions and writes nothing;
edit the list and pass it with --events.`,
		Example: "  hemostat technique import dump.evtx --technique T1003.001 --name my-dump -o footprints/my-dump.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE:    o.run,
	}
	f := c.Flags()
	f.StringVar(&o.technique, "technique", "", "ATT&CK `ID` of what was recorded")
	f.StringVar(&o.name, "name", "", "name of the tool; the file's when absent")
	f.StringVar(&o.root, "root", "", "`IMAGE`, or its end, of the process at the root of the attack")
	f.StringVar(&o.events, "events", "", "`FILE` with the events to keep, as --show lists them")
	f.StringVar(&o.window, "window", "", "`FROM..TO`, times such as 2020-10-18T13:00:05Z; one side may be empty")
	f.StringVar(&o.needs, "needs", "",
		"what attackers must have before: nothing, foothold, windows, linux or elevated; what the library's technique needs when absent")
	f.StringVar(&o.format, "format", "auto", "format of the recording, as in replay")
	f.BoolVar(&o.show, "show", false, "list the events with the decision about each, and write nothing")
	f.BoolVar(&o.all, "all", false, "also keep what an ordinary day holds anyway")
	f.BoolVar(&o.redact, "redact", false, "replace what looks like a password by REDACTED")
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write; standard output when absent")
	o.rules.flags(f)
	return c
}

func techniqueSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of footprint files", Example: "  hemostat technique schema > footprint.schema.json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(footprint.Schema())
			return err
		},
	}
}

func (o *techniqueImportOptions) run(c *cobra.Command, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	events, err := readRecording(c, args, o.format)
	if err != nil {
		return err
	}
	choice, err := o.choice()
	if err != nil {
		return err
	}
	chosen, err := footprint.Choose(events, choice)
	if o.show {
		if chosen == nil {
			return err
		}
		var list bytes.Buffer
		if err := footprint.List(&list, chosen); err != nil {
			return err
		}
		_, err = fmt.Fprint(c.OutOrStdout(), safe(list.String()))
		return err
	}
	if err != nil {
		return err
	}
	kept := 0
	for _, x := range chosen {
		if x.Keep {
			kept++
		}
	}
	return o.write(c, args, chosen, kept)
}

func (o *techniqueImportOptions) check(args []string) error {
	if o.technique == "" {
		return errors.New("--technique is missing: the ATT&CK id of what was recorded, such as T1003.001")
	}
	if o.events != "" && (o.root != "" || o.window != "") {
		return errors.New("--events names the events one by one; --root and --window choose them otherwise")
	}
	if o.needs != "" && !slices.Contains([]string{"nothing", "foothold", "windows", "linux", "elevated"}, o.needs) {
		return fmt.Errorf("--needs: nothing, foothold, windows, linux or elevated is accepted, not %q", o.needs)
	}
	if o.name == "" {
		base := filepath.Base(args[0])
		base, _, _ = strings.Cut(base, ".")
		o.name = strictyaml.CleanName(base)
	}
	return nil
}

func readRecording(c *cobra.Command, args []string, format string) ([]*event.Event, error) {
	var events []*event.Event
	s, err := ingest.Read(c.Context(), args, ingest.Options{Format: format}, func(e *event.Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("%s: the recording holds no event", strings.Join(args, ", "))
	}
	if s.Undated == len(events) {
		return nil, fmt.Errorf("%s: no event of the recording has a time, so nothing is known of their order and gaps",
			strings.Join(args, ", "))
	}
	if s.Skipped > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d records of the recording cannot be read and are left out\n", s.Skipped)
	}
	return events, nil
}

// ordinaryLength is how much of a simulated day tells what is ordinary.
const ordinaryLength = 2 * time.Hour

func (o *techniqueImportOptions) choice() (footprint.Choice, error) {
	choice := footprint.Choice{Root: o.root}
	if o.events != "" {
		data, err := boundedfile.Read(o.events)
		if err != nil {
			return choice, err
		}
		choice.Only, err = footprint.ReadList(o.events, bytes.NewReader(data))
		return choice, err
	}
	if o.window != "" {
		var err error
		if choice.From, choice.To, err = parseWindow(o.window); err != nil {
			return choice, err
		}
	}
	if o.root == "" && !o.all {
		day, err := scenarios.Load("quiet-day", nil)
		if err != nil {
			return choice, err
		}
		choice.Ordinary, err = observe.Ordinary(day, ordinaryLength)
		return choice, err
	}
	return choice, nil
}

func parseWindow(text string) (from, to time.Time, err error) {
	first, second, ok := strings.Cut(text, "..")
	if !ok {
		return from, to, fmt.Errorf("--window: FROM..TO is expected, such as 2020-10-18T13:00:05Z..2020-10-18T13:02:00Z, not %q", text)
	}
	read := func(text string) (time.Time, error) {
		if text == "" {
			return time.Time{}, nil
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
			"2006-01-02 15:04"} {
			if at, err := time.Parse(layout, text); err == nil {
				return at, nil
			}
		}
		return time.Time{}, fmt.Errorf("--window: %q is no time such as 2020-10-18T13:00:05Z", text)
	}
	if from, err = read(first); err == nil {
		to, err = read(second)
	}
	if err == nil && !from.IsZero() && !to.IsZero() && to.Before(from) {
		err = fmt.Errorf("--window: %s ends before it begins", text)
	}
	return from, to, err
}

func (o *techniqueImportOptions) write(c *cobra.Command, args []string, chosen []footprint.Chosen, kept int) error {
	notes := c.ErrOrStderr()
	var files []string
	for _, name := range args {
		files = append(files, filepath.Base(name))
	}
	id := attack.Current(strings.ToUpper(o.technique))
	f, err := footprint.Make(chosen, footprint.Options{Name: o.name, Technique: id, Files: files, Redact: o.redact})
	if err != nil {
		return err
	}
	if n := f.Values(); n > footprint.MostValues {
		return fmt.Errorf("%d events with %d values are left, and a footprint has at most %d values: choose fewer with --root, --window or --events", kept, n, footprint.MostValues)
	}
	f.Needs = o.needs
	if technique.Find(id) == nil {
		if f.Needs == "" {
			f.Needs = "foothold"
			if f.Platform() == "linux" {
				f.Needs = "linux"
			}
		}
		f.Effect = "what was recorded has happened"
		fmt.Fprintf(notes, "%s: the library has no such technique; needs (%s) and effect are stated in the file: change them as fits\n", safe(id), f.Needs)
	}
	o.tellSecrets(notes, chosen)
	fmt.Fprintf(notes, "%d of %d events are kept; --show lists them with the reasons\n", kept, len(chosen))
	for _, h := range f.Hosts {
		fmt.Fprintf(notes, "host %s of the footprint is a %s\n", h.Name, strings.ReplaceAll(h.Is, "_", " "))
	}
	text, err := f.Marshal()
	if err != nil {
		return exit{exitInternal, err}
	}
	back, err := footprint.Parse(o.name+".yaml", text)
	if err != nil {
		return fmt.Errorf("--technique or --name: %w", err)
	}
	if err := o.tellRules(notes, chosen, back); err != nil {
		return err
	}
	return exportTo(c, o.output, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

const shownSecrets = 8

func (o *techniqueImportOptions) tellSecrets(notes io.Writer, chosen []footprint.Chosen) {
	found := footprint.Secrets(chosen)
	if len(found) == 0 {
		return
	}
	what := "the footprint holds what look like secrets; --redact replaces them"
	if o.redact {
		what = "what look like secrets was replaced by REDACTED"
	}
	fmt.Fprintf(notes, "%s:\n", what)
	for _, s := range found[:min(len(found), shownSecrets)] {
		fmt.Fprintf(notes, "  event %d, %s: %s\n", s.Number, safe(s.Field), safe(s.Value))
	}
	if len(found) > shownSecrets {
		fmt.Fprintf(notes, "  … and %d more\n", len(found)-shownSecrets)
	}
}

// tellRules tries the rules on the recording and on the footprint as the simulation plays it.
func (o *techniqueImportOptions) tellRules(notes io.Writer, chosen []footprint.Chosen, f *footprint.Footprint) error {
	rules, err := o.rules.load(notes)
	if err != nil {
		return err
	}
	var recorded []*event.Event
	for _, x := range chosen {
		if x.Keep {
			recorded = append(recorded, x.Event)
		}
	}
	both, only, err := observe.Footprint(rules, recorded, f)
	if err != nil {
		return err
	}
	fmt.Fprintf(notes, "%d of the rules fire on the events that are kept, %d of these on the footprint in the simulation\n", len(both)+len(only), len(both))
	for _, title := range only {
		fmt.Fprintf(notes, "  not in the simulation: %s\n", safe(title))
	}
	return nil
}

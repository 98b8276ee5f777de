package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/source"
	"hemostat/defenders/learning"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/reports/render"
	"hemostat/reports/stats"
	"hemostat/reports/store"
	"hemostat/scenarios/signatures"
	"hemostat/sim/record"
)

type learnOptions struct {
	filter         store.Filter
	holdout        string
	output         string
	confirmed      string
	json           bool
	signatures     signatures.Options
	learning       learning.Options
	mostFalse      float64
	leastPrecision float64
	expiry         time.Duration // of learned indicators; 0 for that of their kind
	on             string        // day of learning
	learnedOn      time.Time
}

// learnCommand turns the confirmed incidents of a database into rules.
func learnCommand() *cobra.Command {
	var o learnOptions
	c := &cobra.Command{
		Use: "learn DB -o FOLDER", Short: "Learn Sigma rules from a database's confirmed incidents", Args: cobra.ExactArgs(1),
		Long: `Looks for what the events around confirmed incidents have in common and ordinary events
lack, and writes Sigma rules, each in a folder of its own with events that make it fire and
ordinary ones that must not, as "rules test" reads them. The trials must have been run
with --keep-events. An incident is confirmed by its score, by a person who approved an
action, or by a list (--confirmed, lines of SCENARIO/INDEX,INCIDENT); the truth of the
simulation is not read. Every third trial is held out, or those of --holdout are: on them
each rule is measured, and those that do not hold are listed in candidates.csv, not
written. Addresses, domains, hashes and TLS clients that only the incidents name become
indicators with an expiry, in indicators.ndjson, which a variant names under intel. Nothing enters a variant by itself: "learn review" asks for each rule.`,
		Example: `  hemostat run web-shell quiet-day --trials 30 --keep-events --db day.db
  hemostat learn day.db -o learned
  hemostat learn review learned
  hemostat gate --candidate learned.yaml`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "learned", "write into `FOLDER`, which is made")
	f.StringVar(&o.holdout, "holdout", "", "measure on the trials of this `DB` in place of every third")
	f.StringVar(&o.confirmed, "confirmed", "", "take the incidents listed in `FILE` as confirmed, and no others")
	f.StringVar(&o.filter.Variant, "variant", "", "learn from trials of this variant only")
	f.Float64Var(&o.signatures.Score, "score", signatures.DefaultScore, "score from which on an incident is confirmed")
	f.IntVar(&o.learning.Incidents, "incidents", 3, "in how many incidents a rule must have been seen")
	f.Float64Var(&o.learning.Share, "share", 0.08, "in which share of the incidents a rule must have been seen")
	f.Float64Var(&o.mostFalse, "most-false", 1, "false alarms a day that a rule may raise on trials that were held out")
	f.Float64Var(&o.leastPrecision, "least-precision", 0.3, "share of its alarms that must be real there")
	f.IntVar(&o.signatures.OrdinaryDays, "ordinary-days", signatures.DefaultOrdinaryDays,
		"most days whose ordinary events are read, spread over all")
	f.DurationVar(&o.expiry, "expiry", 0, "how long a learned indicator lasts; three half-lives of its kind when absent")
	f.StringVar(&o.on, "on", "", "`DATE` of learning, from which expiry counts; today when absent")
	f.BoolVar(&o.json, "json", false, "print the candidates as JSON")
	c.AddCommand(learnReviewCommand())
	return c
}

func (o *learnOptions) check() error {
	switch {
	case !(o.signatures.Score > 0 && o.signatures.Score <= 1):
		return fmt.Errorf("--score: a number above 0 and up to 1 is expected, not %g", o.signatures.Score)
	case o.learning.Incidents < 2:
		return fmt.Errorf("--incidents: 2 or more is accepted, not %d: what was seen once says nothing about the next time", o.learning.Incidents)
	case !(o.learning.Share >= 0 && o.learning.Share <= 1):
		return fmt.Errorf("--share: a number from 0 to 1 is expected, not %g", o.learning.Share)
	case o.signatures.OrdinaryDays < 1:
		return fmt.Errorf("--ordinary-days: 1 or more is accepted, not %d", o.signatures.OrdinaryDays)
	case o.expiry < 0:
		return fmt.Errorf("--expiry: a time such as 2160h is expected, not %s", o.expiry)
	case !(o.mostFalse >= 0):
		return fmt.Errorf("--most-false: a number of 0 or more is expected, not %g", o.mostFalse)
	case !(o.leastPrecision >= 0 && o.leastPrecision <= 1):
		return fmt.Errorf("--least-precision: a number from 0 to 1 is expected, not %g", o.leastPrecision)
	}
	o.learnedOn = time.Now().UTC().Truncate(24 * time.Hour)
	if o.on != "" {
		var err error
		if o.learnedOn, err = time.Parse(time.DateOnly, o.on); err != nil {
			return fmt.Errorf("--on: a date such as 2026-12-01 is expected, not %q", o.on)
		}
	}
	for _, folder := range []string{proposedFolder, acceptedFolder, rejectedFolder} {
		if names, err := os.ReadDir(filepath.Join(o.output, folder)); err == nil && len(names) > 0 {
			return fmt.Errorf("%s holds learned rules already; name another folder, or remove it", filepath.Join(o.output, folder))
		}
	}
	return nil
}

// The folders of learned rules.
const (
	proposedFolder = "proposed"
	acceptedFolder = "accepted"
	rejectedFolder = "rejected"
)

// learnedRule is a candidate with what it came to.
type learnedRule struct {
	Folder         string         `json:"folder,omitempty"` // "" where it was not written
	Title          string         `json:"title"`
	ID             string         `json:"id"`
	Incidents      int            `json:"incidents"`
	Attacks        stats.Interval `json:"attacks_seen"`
	Precision      stats.Interval `json:"precision"`
	FalsePerDay    stats.Interval `json:"false_alarms_per_day"`
	NewSteps       int            `json:"steps_seen_alone"`
	True           int            `json:"alarms_true"`
	False          int            `json:"alarms_false"`
	Refused        string         `json:"refused,omitempty"`
	signature      *learning.Signature
	rule           []byte
	level          string
	attacks, total int
}

func (o *learnOptions) run(c *cobra.Command, file string) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx, errOut := c.Context(), c.ErrOrStderr()
	learnFrom, held, closeAll, err := o.days(ctx, file)
	if err != nil {
		return err
	}
	defer func() { noteFault(errOut, closeAll()) }()
	const passes, ordinaryPasses = 3, 4 // of learning.Learn
	bar := startBar(errOut, "days read",
		(passes+1)*len(learnFrom)+ordinaryPasses*min(len(learnFrom), o.signatures.OrdinaryDays)+2*len(held))
	count(learnFrom, bar)
	count(held, bar)
	if o.confirmed != "" {
		if o.signatures.Confirmed, err = readConfirmed(o.confirmed); err != nil {
			return err
		}
	}
	material, names := signatures.Material(learnFrom, o.signatures)
	found, err := learning.Learn(ctx, material, o.learning)
	var rules []*learnedRule
	var total signatures.Total
	if err == nil {
		rules, total, err = o.measure(ctx, found, held)
	}
	var indicators []*signatures.Indicator
	if err == nil {
		indicators, err = signatures.Indicators(ctx, learnFrom, held, o.signatures)
	}
	bar.stop(err == nil)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := o.write(rules); err != nil {
		return err
	}
	kept, err := o.writeIndicators(filepath.Base(file), indicators)
	if err != nil {
		return err
	}
	return o.print(c.OutOrStdout(), learnOutcome{rules, total, len(names), len(learnFrom), len(held), kept, len(indicators)})
}

// learnOutcome is what learning came to.
type learnOutcome struct {
	rules                  []*learnedRule
	total                  signatures.Total
	incidents, days, held  int
	indicators, candidates int
}

// days reads which trials are learned from and which are held out.
func (o *learnOptions) days(ctx context.Context, file string) (learnFrom, held []*signatures.Day, closeAll func() error, err error) {
	db, err := store.Open(ctx, file)
	if err != nil {
		return nil, nil, nil, err
	}
	closeAll = db.Close
	all, err := daysOf(db, o.filter)
	if err == nil && len(all) == 0 {
		err = errors.New("there are no trials in it")
	}
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("%s: %w", file, err), closeAll())
	}
	if o.holdout == "" {
		for _, d := range all {
			if d.Trial.Index%3 == 2 {
				held = append(held, d)
			} else {
				learnFrom = append(learnFrom, d)
			}
		}
		if len(held) == 0 {
			err := fmt.Errorf("%s: every third trial is held out, and there are no three of a scenario; "+
				"run more, or name others by --holdout", file)
			return nil, nil, nil, errors.Join(err, closeAll())
		}
		return learnFrom, held, closeAll, nil
	}
	other, err := store.Open(ctx, o.holdout)
	if err != nil {
		return nil, nil, nil, errors.Join(err, closeAll())
	}
	closeAll = func() error { return errors.Join(db.Close(), other.Close()) }
	if held, err = heldOut(other, all); err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("%s: %w", o.holdout, err), closeAll())
	}
	return all, held, closeAll, nil
}

// heldOut lists the trials of a database, none of which may be among those that are learned from.
func heldOut(db *store.DB, learnFrom []*signatures.Day) ([]*signatures.Day, error) {
	held, err := daysOf(db, store.Filter{})
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		return nil, errors.New("there are no trials in it")
	}
	known := map[string]bool{}
	for _, d := range learnFrom {
		known[d.Trial.TrialID] = true
	}
	for _, d := range held {
		if known[d.Trial.TrialID] {
			return nil, fmt.Errorf("%s is learned from too; what is learned from cannot be what it is measured on", d.Name())
		}
	}
	return held, nil
}

// daysOf lists the trials of a database that are in order.
func daysOf(db *store.DB, filter store.Filter) ([]*signatures.Day, error) {
	var names []string
	err := db.Trials(filter, func(t *record.Trial) error {
		if t.Status == "ok" {
			names = append(names, t.TrialID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var days []*signatures.Day
	for _, name := range names {
		t, err := db.Trial(name)
		if err != nil {
			return nil, err
		}
		days = append(days, &signatures.Day{Trial: t, Events: func(f func(*record.StoredEvent) error) error { return db.StoredEvents(name, f) }})
	}
	return days, nil
}

// count has a bar step with each day that is read.
func count(days []*signatures.Day, bar *bar) {
	for _, d := range days {
		read := d.Events
		d.Events = func(f func(*record.StoredEvent) error) error {
			defer bar.step()
			return read(f)
		}
	}
}

// readConfirmed reads a list of incidents.
func readConfirmed(file string) (func(*signatures.Day, int) bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--confirmed: %w", err)
	}
	defer f.Close()
	known := map[string]bool{}
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace = 2, '#', true
	for {
		line, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		at, _ := r.FieldPos(0)
		if err != nil {
			return nil, fmt.Errorf("--confirmed: %s: %w", file, err)
		}
		number, err := strconv.Atoi(line[1])
		if err != nil || number < 1 || !strings.Contains(line[0], "/") {
			return nil, fmt.Errorf("--confirmed: %s:%d: SCENARIO/INDEX,INCIDENT is expected, such as web-shell/3,1", file, at)
		}
		known[fmt.Sprint(line[0], "#", number)] = true
	}
	return func(d *signatures.Day, incident int) bool { return known[fmt.Sprint(d.Name(), "#", incident)] }, nil
}

// measure holds the signatures against days that were not learned from.
func (o *learnOptions) measure(ctx context.Context, found []*learning.Signature, held []*signatures.Day) (
	[]*learnedRule, signatures.Total, error) {
	var rules []*learnedRule
	var parsed []*sigma.Rule
	var places []int // of each signature's rule, which may stand behind the one that it counts
	for _, s := range found {
		text, err := s.Rule(learning.Measured{Level: "low"})
		if err != nil {
			return nil, signatures.Total{}, err
		}
		rule, err := sigma.Parse(s.ID()+".yml", text)
		if err != nil {
			return nil, signatures.Total{}, fmt.Errorf("the learned rule is at fault: %w", err)
		}
		parsed = append(parsed, rule...)
		places = append(places, len(parsed)-1)
		rules = append(rules, &learnedRule{Title: s.Title(), ID: s.ID(), Incidents: len(s.Incidents), signature: s})
	}
	results, total, err := signatures.Measure(ctx, parsed, held)
	if err != nil {
		return nil, total, err
	}
	for i, r := range rules {
		x := results[places[i]]
		r.True, r.False, r.NewSteps, r.attacks, r.total = x.True, x.False, x.NewSteps, x.Attacks, total.Attacks
		r.Attacks = stats.Wilson(x.Attacks, total.Attacks, 0.05)
		r.Precision = stats.Wilson(x.True, x.True+x.False, 0.05)
		r.FalsePerDay = stats.PoissonRate(x.False, total.Days, 0.05)
		precision := float64(x.True) / max(1, float64(x.True+x.False))
		r.level = learning.Level(precision)
		switch {
		case x.True == 0:
			r.Refused = "it saw no attack"
		case r.FalsePerDay.Value > o.mostFalse:
			r.Refused = fmt.Sprintf("%.2f false alarms a day", r.FalsePerDay.Value)
		case precision < o.leastPrecision:
			r.Refused = fmt.Sprintf("%.0f %% of its alarms are real", 100*precision)
		}
		if r.rule, err = r.signature.Rule(learning.Measured{Level: r.level, Description: r.measured(total)}); err != nil {
			return nil, total, err
		}
	}
	return rules, total, nil
}

// measured is a sentence about what a rule came to.
func (r *learnedRule) measured(total signatures.Total) string {
	return fmt.Sprintf("On trials that were held out it saw %d of %d attacks, and %d steps that nothing else saw; "+
		"%d of %d alarms were real, and %.2f [%.2f, %.2f] a day were false.",
		r.attacks, total.Attacks, r.NewSteps, r.True, r.True+r.False, r.FalsePerDay.Value, r.FalsePerDay.Lo, r.FalsePerDay.Hi)
}

// write writes the rules that hold, and the list of all.
func (o *learnOptions) write(rules []*learnedRule) error {
	used := map[string]bool{}
	for _, r := range rules {
		if r.Refused != "" {
			continue
		}
		name := folderName(r.Title)
		for base, n := name, 2; used[name]; n++ {
			name = fmt.Sprint(base, "-", n)
		}
		used[name] = true
		r.Folder = filepath.Join(proposedFolder, name)
		dir := filepath.Join(o.output, r.Folder)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		files := map[string][]byte{"rule.yml": r.rule, "event.ndjson": lines(r.signature.Fires),
			"benign.ndjson": lines(r.signature.NearMisses)}
		for file, content := range files {
			if len(content) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(o.output, "candidates.csv"))
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	rows := [][]string{{"folder", "title", "id", "incidents", "attacks_seen", "attacks", "steps_seen_alone", "alarms_true", "alarms_false",
		"false_alarms_per_day", "false_alarms_per_day_lo", "false_alarms_per_day_hi", "refused"}}
	for _, r := range rules {
		rows = append(rows, []string{r.Folder, r.Title, r.ID, strconv.Itoa(r.Incidents), strconv.Itoa(r.attacks), strconv.Itoa(r.total),
			strconv.Itoa(r.NewSteps), strconv.Itoa(r.True), strconv.Itoa(r.False), fmt.Sprintf("%.4f", r.FalsePerDay.Value),
			fmt.Sprintf("%.4f", r.FalsePerDay.Lo), fmt.Sprintf("%.4f", r.FalsePerDay.Hi), r.Refused})
	}
	return errors.Join(w.WriteAll(rows), f.Close())
}

// indicatorFile holds the learned indicators, as a variant reads them under intel.
const indicatorFile = "indicators.ndjson"

// writeIndicators writes the indicators that hold, and the list of all; it returns how many
// hold.
func (o *learnOptions) writeIndicators(db string, found []*signatures.Indicator) (kept int, err error) {
	list, err := os.Create(filepath.Join(o.output, "indicators.csv"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	w := csv.NewWriter(list)
	rows := [][]string{{"kind", "value", "campaigns", "confidence", "hosts_true", "hosts_false", "valid_until", "refused"}}
	var document bytes.Buffer
	lines, err := source.NewWriter(&document, source.NDJSON, o.learnedOn)
	if err != nil {
		return 0, err
	}
	for _, i := range found {
		ioc := i.IOC("learned from "+db, o.learnedOn, o.expiry)
		refused := ""
		if hits := i.True + i.False; i.False > 0 && float64(i.True) < o.leastPrecision*float64(hits) {
			refused = fmt.Sprintf("of %d hosts on days held out %d had to do with an attack", hits, i.True)
		} else if err := lines.Write(&ioc); err != nil {
			return 0, err
		} else {
			kept++
		}
		rows = append(rows, []string{string(i.Kind), i.Value, strconv.Itoa(len(i.Campaigns)), fmt.Sprintf("%.2f", ioc.Confidence),
			strconv.Itoa(i.True), strconv.Itoa(i.False), ioc.Context[indicator.ValidUntil], refused})
	}
	if err := errors.Join(w.WriteAll(rows), lines.Close()); err != nil {
		return 0, err
	}
	return kept, os.WriteFile(filepath.Join(o.output, indicatorFile), document.Bytes(), 0o644)
}

func lines(events [][]byte) []byte {
	var out []byte
	for _, e := range events {
		out = append(append(out, e...), '\n')
	}
	return out
}

// folderName is a title as the name of a folder.
func folderName(title string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(strings.TrimPrefix(title, "Learned: ")) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		if b.Len() >= 60 {
			break
		}
	}
	if name := strings.Trim(b.String(), "_"); name != "" {
		return name
	}
	return "rule"
}

func (o *learnOptions) print(out io.Writer, x learnOutcome) error {
	rules, total, incidents, days, held := x.rules, x.total, x.incidents, x.days, x.held
	if o.json {
		return printJSON(out, map[string]any{"incidents": incidents, "days_learned_from": days, "days_held_out": held,
			"attacks_held_out": total.Attacks, "steps_without_an_alert": total.Missed, "of_these_seen": total.NewSteps, "rules": rules,
			"indicators": x.indicators, "indicators_not_written": x.candidates - x.indicators})
	}
	t := newTable(out, "rule", "incidents", "attacks seen", "new steps", "real alarms", "false a day", "")
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 1, WidthMax: 60}})
	written := 0
	for _, r := range rules {
		note := r.level
		if r.Refused != "" {
			note = "not written: " + r.Refused
		} else {
			written++
		}
		t.AppendRow(table.Row{strings.TrimPrefix(r.Title, "Learned: "), r.Incidents,
			fmt.Sprintf("%d of %d", r.attacks, total.Attacks), r.NewSteps, fmt.Sprintf("%d of %d", r.True, r.True+r.False),
			fmt.Sprintf("%.2f [%.2f, %.2f]", r.FalsePerDay.Value, r.FalsePerDay.Lo, r.FalsePerDay.Hi), note})
	}
	t.Render()
	fmt.Fprintf(out, "learned from %s of %s; measured on %s with %s\n", plural(incidents, "confirmed campaign", "confirmed campaigns"),
		plural(days, "day", "days"), plural(held, "day", "days"), plural(total.Attacks, "attack", "attacks"))
	fmt.Fprintf(out, "of %s there that no alert was about, all rules together see %d\n", plural(total.Missed, "step", "steps"), total.NewSteps)
	fmt.Fprintf(out, "%s in %s, each until it expires; %d more did not hold\n", plural(x.indicators, "indicator is", "indicators are"),
		safe(filepath.Join(o.output, indicatorFile)), x.candidates-x.indicators)
	fmt.Fprintf(out, "%s in %s; next: hemostat learn review %s\n", plural(written, "rule is", "rules are"),
		safe(filepath.Join(o.output, proposedFolder)), render.ShellWord(o.output))
	return nil
}

// learnReviewCommand asks a person for each learned rule.
func learnReviewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "review FOLDER", Short: "Show each learned rule with its evidence, and ask whether to keep it", Args: cobra.ExactArgs(1),
		Long: `Shows each rule in FOLDER/proposed with what was measured, events that make it fire and
ordinary events that nearly do, and asks. Accepted rules move to FOLDER/accepted, which a
variant names under rules; refused ones to FOLDER/rejected. Whatever was not answered
stays for the next time.`,
		Example: "  hemostat learn review learned",
		RunE: func(c *cobra.Command, args []string) error {
			return reviewLearned(args[0], c.InOrStdin(), c.OutOrStdout())
		},
	}
}

// reviewEvents is how many events of each kind a review shows.
const reviewEvents = 2

func reviewLearned(folder string, in io.Reader, out io.Writer) error {
	entries, err := os.ReadDir(filepath.Join(folder, proposedFolder))
	if err != nil {
		return fmt.Errorf("%w; hemostat learn writes such a folder", err)
	}
	answers := bufio.NewScanner(in)
	taken := map[string]int{}
	for i, e := range entries {
		dir := filepath.Join(folder, proposedFolder, e.Name())
		rule, err := os.ReadFile(filepath.Join(dir, "rule.yml"))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "── %d of %d: %s\n%s\n", i+1, len(entries), safe(e.Name()), safe(string(rule)))
		for _, part := range [][2]string{{"event.ndjson", "fires on"}, {"benign.ndjson", "does not fire on"}} {
			data, err := os.ReadFile(filepath.Join(dir, part[0]))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			shown := 0
			for line := range strings.Lines(string(data)) {
				if shown++; shown <= reviewEvents {
					fmt.Fprintf(out, "%s: %s\n", part[1], safe(strings.TrimSpace(line)))
				}
			}
		}
		answer, ok := ask(answers, out)
		if !ok {
			break
		}
		to := map[string]string{"y": acceptedFolder, "n": rejectedFolder}[answer]
		if to == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Join(folder, to), 0o755); err != nil {
			return err
		}
		if err := os.Rename(dir, filepath.Join(folder, to, e.Name())); err != nil {
			return err
		}
		taken[to]++
	}
	fmt.Fprintf(out, "%d accepted, %d refused, %d left; a variant uses them with  rules: [embedded, %s]\n",
		taken[acceptedFolder], taken[rejectedFolder],
		len(entries)-taken[acceptedFolder]-taken[rejectedFolder], safe(filepath.Join(folder, acceptedFolder)))
	return nil
}

// ask asks until there is an answer; false at the end of the input, and for q.
func ask(answers *bufio.Scanner, out io.Writer) (string, bool) {
	for {
		fmt.Fprint(out, "keep it? [y]es, [n]o, [l]ater, [q]uit: ")
		if !answers.Scan() {
			fmt.Fprintln(out)
			return "", false
		}
		answer := strings.ToLower(strings.TrimSpace(answers.Text()))
		switch {
		case answer == "q":
			return "", false
		case answer != "" && slices.Contains([]string{"y", "n", "l", "yes", "no", "later"}, answer):
			return answer[:1], true
		}
	}
}

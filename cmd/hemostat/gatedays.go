package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"hemostat/reports/compare"
	"hemostat/reports/gate"
	"hemostat/reports/store"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/plan"
	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// gateDays yields a gate's pairs: each side is run, or read from a database.
type gateDays struct {
	o         *gateOptions
	policy    *gate.Policy
	scenarios []*scenarios.Scenario // that are run
	order     []string              // names of all scenarios of the gate
	simulated [2]*defence.Variant
	recorded  [2]*recordedSide
	days      []gateDay // those on record; when both sides are run, days are counted on
	next      int
	step      func()
	judging   *analystUse
	errOut    io.Writer

	db  *store.DB // that trials are recorded in, or nil
	run store.Run
	// checkout is where the baseline's files stand, or nil.
	checkout *checkout
	done     map[string]bool // trials of this engine that are there already
	changed  *changedOnly    // nil where both sides are run on every day
}

// gateDay is what pairs trials: both sides face every scenario on it.
type gateDay struct {
	seed  uint64
	index int
}

// recordedSide is a variant's trials as they were found.
type recordedSide struct {
	name, digest, engine string
	trials               map[compare.Key]gate.Side
	scenarios            map[string]string // digests
}

var sideNames = [2]string{"baseline", "candidate"}

// days decides where each side comes from and makes it ready.
func (o *gateOptions) days(ctx context.Context, policy *gate.Policy, errOut io.Writer) (*gateDays, error) {
	d := &gateDays{o: o, policy: policy, step: func() {}}
	names, files := [2]string{o.baseline, o.candidate}, [2]string{o.baselineDB, o.candidDB}
	for i := range names {
		if files[i] == "" && !isVariantFile(names[i]) && o.db != "" {
			files[i] = o.db
		}
	}
	if o.baselineRef != "" && files[0]+files[1] != "" {
		return nil, errors.New("--baseline-ref runs both sides, so no database can stand for one")
	}
	if files[1] != "" && files[0] == "" && o.db == files[1] && o.baseline == "default" {
		files[0] = o.db // both are recorded there
	}
	for i, file := range files {
		if file == "" {
			continue
		}
		var err error
		if d.recorded[i], err = o.recordedSide(ctx, sideNames[i], names[i], file); err != nil {
			return nil, err
		}
	}
	if err := d.settle(ctx, names); err != nil {
		return nil, err
	}
	if err := policy.Names(d.order); err != nil {
		return nil, err
	}
	if a, b := d.engine(0), d.engine(1); a != b && !o.anyEngine {
		return nil, fmt.Errorf(
			"the baseline was made by another version of the program (%s) than the candidate (%s), and so may differ for that reason alone: run it again with this one, or accept it with --allow-other-engine",
			a,
			b,
		)
	}
	replace := func(old, by *defence.Variant) {
		for i, v := range d.simulated {
			if v == old {
				d.simulated[i] = by
			}
		}
	}
	var err error
	if d.judging, err = o.analyst.open(ctx, slices.Clone(d.simulated[:]), replace, errOut); err != nil {
		return nil, err
	}
	d.errOut = errOut
	if err := d.followChange(); err != nil {
		return nil, err
	}
	return d, d.open(ctx)
}

func (o *gateOptions) recordedSide(ctx context.Context, side, variant, file string) (*recordedSide, error) {
	db, err := store.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	filter := store.Filter{Variant: variant, Run: o.run}
	engines, err := db.Engines(filter)
	if err != nil {
		return nil, err
	}
	if len(engines) == 0 {
		known, err := db.Variants()
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf(
			"--%s: %q is neither a variant file nor recorded in %s, which has: %s",
			side,
			variant,
			file,
			strings.Join(known, ", "),
		)
	}
	if len(engines) > 1 && !o.anyEngine {
		return nil, fmt.Errorf(
			"the trials of %q in %s were made by several versions of the program (%s); choose one run with --run, or accept them with --allow-other-engine",
			variant,
			file,
			strings.Join(engines, "; "),
		)
	}
	r := &recordedSide{
		name:      variant,
		engine:    strings.Join(engines, "; "),
		trials:    map[compare.Key]gate.Side{},
		scenarios: map[string]string{},
	}
	err = db.Outcomes(filter, func(t *store.Outcome) error { return r.add(t) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	err = db.TechniqueTallies(filter, 1, func(t store.Tally) {
		if side, ok := r.trials[compare.Key{Scenario: t.Scenario, Seed: t.Seed, Index: t.Index}]; ok && t.All > 0 {
			side.Detected[t.Name] = t.Hits > 0
		}
	})
	return r, err
}

func (r *recordedSide) add(t *store.Outcome) error {
	k := compare.Key{Scenario: t.Scenario, Seed: t.Seed, Index: t.Index}
	if _, twice := r.trials[k]; twice || r.digest != "" && r.digest != t.VariantDigest ||
		r.scenarios[t.Scenario] != "" && r.scenarios[t.Scenario] != t.ScenarioDigest {
		return fmt.Errorf(
			"variant %q has trials of several states of scenario %s or of itself; a day must not count twice: choose one run with --run",
			t.Variant,
			t.Scenario,
		)
	}
	r.digest, r.scenarios[t.Scenario] = t.VariantDigest, t.ScenarioDigest
	if err := compare.NewSample("", 1).Add(&t.Trial, t.Seed, t.ScenarioDigest); err != nil {
		return err
	}
	trial := t.Trial
	r.trials[k] = gate.Side{Trial: &trial, Detected: map[string]bool{}}
	return nil
}

// settle makes scenarios, variants and days ready.
func (d *gateDays) settle(ctx context.Context, names [2]string) error {
	o := d.o
	wanted := o.scenarioNames
	if len(wanted) == 0 {
		wanted = d.policy.Scenarios
	}
	on := func() (out []*recordedSide) {
		return slices.DeleteFunc(slices.Clone(d.recorded[:]), func(r *recordedSide) bool { return r == nil })
	}()
	if len(on) == 0 {
		return d.settleRun(names, wanted)
	}
	d.order = slices.Sorted(maps.Keys(on[0].scenarios))
	if len(on) == 2 {
		d.order = intersect(d.order, slices.Collect(maps.Keys(on[1].scenarios)))
	}
	if len(o.scenarioNames) > 0 {
		if d.order = intersect(d.order, wanted); len(d.order) != len(wanted) {
			return fmt.Errorf(
				"of the scenarios %s only these are recorded: %s",
				strings.Join(wanted, ", "),
				strings.Join(d.order, ", "),
			)
		}
	}
	if len(d.order) == 0 {
		return fmt.Errorf(
			"the baseline was recorded on other scenarios (%s) than the candidate (%s), so nothing can be compared",
			strings.Join(slices.Sorted(maps.Keys(on[0].scenarios)), ", "),
			strings.Join(slices.Sorted(maps.Keys(on[1].scenarios)), ", "),
		)
	}
	for _, name := range d.order {
		if len(on) == 2 && on[0].scenarios[name] != on[1].scenarios[name] {
			return fmt.Errorf(
				"scenario %s was not the same for the baseline as for the candidate (digests %.12s and %.12s); run both against one state of it",
				name,
				on[0].scenarios[name],
				on[1].scenarios[name],
			)
		}
	}
	for i, r := range d.recorded {
		if r == nil {
			if err := d.settleAgainst(ctx, i, names[i], on[0]); err != nil {
				return err
			}
		}
	}
	return d.findDays(on)
}

// settleRun makes two variants ready that are both run.
func (d *gateDays) settleRun(names [2]string, wanted []string) error {
	settings, err := d.settings(true)
	if err != nil {
		return err
	}
	if d.o.baselineRef != "" {
		checkout, err := checkoutVariant(d.o.candidate, d.o.baselineRef)
		if err != nil {
			return err
		}
		d.checkout = checkout
		if d.simulated[0], err = defence.LoadSimulated(checkout.variant, settings); err != nil {
			return fmt.Errorf("at %s: %w", d.o.baselineRef, checkout.readable(err))
		}
		d.simulated[0].Name += "@" + checkout.revision
	} else if d.simulated[0], err = defence.LoadSimulated(names[0], settings); err != nil {
		return err
	}
	if d.simulated[1], err = defence.LoadSimulated(names[1], settings); err != nil {
		return err
	}
	if len(wanted) == 0 {
		wanted = scenarios.EmbeddedNames()
	}
	for _, name := range wanted {
		s, err := scenarios.Load(name, d.simulated[0].Scenario)
		if err != nil {
			return err
		}
		if slices.Contains(d.order, s.Name) {
			return fmt.Errorf("scenario %s is named twice; a day must not count twice", s.Name)
		}
		d.scenarios, d.order = append(d.scenarios, s), append(d.order, s.Name)
	}
	return nil
}

// settleAgainst makes a variant ready that is run on the days of a recorded one.
func (d *gateDays) settleAgainst(ctx context.Context, i int, name string, other *recordedSide) error {
	settings, err := d.settings(false)
	if err != nil {
		return err
	}
	if d.simulated[i], err = defence.LoadSimulated(name, settings); err != nil {
		return err
	}
	if len(d.simulated[i].Scenario) > 0 {
		return fmt.Errorf(
			"--set %s: the scenarios are those on record, and cannot be changed for one side only",
			d.simulated[i].Scenario[0].Path,
		)
	}
	file := cmp.Or(d.o.baselineDB, d.o.candidDB, d.o.db)
	db, err := store.Open(ctx, file)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, name := range d.order {
		text, err := db.ScenarioText(name, other.scenarios[name])
		if err != nil {
			return err
		}
		s, err := scenarios.Parse(name+".yaml", []byte(text))
		if err != nil {
			return fmt.Errorf("scenario %s as it stands in %s: %w", name, file, err)
		}
		if s.Digest() != other.scenarios[name] {
			return fmt.Errorf(
				"scenario %s in %s cannot be run again: its world is not the one that it was recorded with; run the baseline again",
				name,
				file,
			)
		}
		d.scenarios = append(d.scenarios, s)
	}
	return nil
}

// settings are those of the policy and the command line; those of the policy change
// scenarios too, which is possible only when both sides are run.
func (d *gateDays) settings(both bool) ([]scenarios.Setting, error) {
	var out []scenarios.Setting
	if both {
		for _, path := range slices.Sorted(maps.Keys(d.policy.Set)) {
			out = append(out, scenarios.Setting{Path: path, Value: d.policy.Set[path]})
		}
	}
	for _, text := range d.o.set {
		s, err := scenarios.ParseSetting(text)
		if err != nil {
			return nil, fmt.Errorf("--set: %w", err)
		}
		out = append(out, s)
	}
	return out, nil
}

// findDays lists the days on which every scenario is on record, of all recorded
// sides.
func (d *gateDays) findDays(on []*recordedSide) error {
	count := map[gateDay]int{}
	for _, r := range on {
		for k := range r.trials {
			if slices.Contains(d.order, k.Scenario) {
				count[gateDay{k.Seed, k.Index}]++
			}
		}
	}
	for day, n := range count {
		if n == len(on)*len(d.order) {
			d.days = append(d.days, day)
		}
	}
	slices.SortFunc(
		d.days,
		func(a, b gateDay) int { return cmp.Or(cmp.Compare(a.seed, b.seed), cmp.Compare(a.index, b.index)) },
	)
	if len(d.days) == 0 {
		return fmt.Errorf(
			"no day is on record for all of %s; the same seed and indices are needed on both sides",
			strings.Join(d.order, ", "),
		)
	}
	return nil
}

func (d *gateDays) names() []string { return d.order }

// open opens the database that new trials go to.
func (d *gateDays) open(ctx context.Context) error {
	if d.o.db == "" || d.recorded[0] != nil && d.recorded[1] != nil {
		return nil
	}
	var err error
	if d.db, err = store.Create(ctx, d.o.db); err != nil {
		return err
	}
	m := &plan.Matrix{Trials: d.policy.Trials.Max, Seed: d.o.seed}
	for _, s := range d.scenarios {
		for _, v := range d.simulated {
			if v != nil {
				m.Cells = append(m.Cells, plan.Combination{Scenario: s, Variant: v})
			}
		}
	}
	if d.run, err = begin(d.db, m, d.judging.recordedMode()); err != nil {
		return err
	}
	d.done, err = d.db.Recorded(d.run.Engine())
	return err
}

func (d *gateDays) close() error {
	d.judging.close(d.errOut)
	var faults []error
	for _, v := range d.simulated {
		if v != nil {
			faults = append(faults, v.Close())
		}
	}
	if d.checkout != nil {
		d.checkout.remove()
	}
	if d.db == nil {
		return errors.Join(faults...)
	}
	return errors.Join(errors.Join(faults...), d.db.Finish(d.run.ID, "done"), d.db.Close())
}

// upcoming lists the next days.
func (d *gateDays) upcoming(n int) []gateDay {
	var out []gateDay
	for ; len(out) < n; d.next++ {
		switch {
		case d.days == nil:
			out = append(out, gateDay{d.o.seed, d.next})
		case d.next < len(d.days):
			out = append(out, d.days[d.next])
		default:
			return out
		}
	}
	return out
}

// more is the gate's source of pairs.
func (d *gateDays) more(ctx context.Context, rounds int) ([][]gate.Pair, error) {
	days := d.upcoming(rounds)
	found := [2]map[compare.Key]gate.Side{{}, {}}
	for i := range found {
		if d.recorded[i] != nil {
			found[i] = d.recorded[i].trials
		}
	}
	tasks, owner, err := d.tasks(days, found)
	if err != nil {
		return nil, err
	}
	if err := d.runTasks(ctx, tasks, owner, found); err != nil {
		return nil, err
	}
	if tasks = d.changed.stillNeeded(found); len(tasks) > 0 {
		if err := d.runTasks(ctx, tasks, owner, found); err != nil {
			return nil, err
		}
	}
	var out [][]gate.Pair
	for _, day := range days {
		var round []gate.Pair
		for _, name := range d.order {
			k := compare.Key{Scenario: name, Seed: day.seed, Index: day.index}
			round = append(
				round,
				gate.Pair{
					Scenario:  name,
					Seed:      day.seed,
					Index:     day.index,
					Baseline:  found[0][k],
					Candidate: found[1][k],
				},
			)
		}
		out = append(out, round)
	}
	return out, nil
}

// runTasks runs trials and puts them among what was found.
func (d *gateDays) runTasks(
	ctx context.Context,
	tasks []batch.Task,
	owner map[string]owner,
	found [2]map[compare.Key]gate.Side,
) error {
	return batch.Run(ctx, max(1, d.o.parallel), tasks, func(t *record.Trial) error {
		if err := d.judging.stopped(t); err != nil {
			return err
		}
		d.step()
		at := owner[t.TrialID]
		if d.db != nil {
			id := store.Identity{
				Run:            d.run.ID,
				Seed:           at.key.Seed,
				ScenarioDigest: at.scenario,
				VariantDigest:  at.variant,
			}
			if err := d.db.Put(id, t); err != nil {
				return err
			}
		}
		for _, side := range at.sides {
			found[side][at.key] = gate.Side{Trial: t, Detected: compare.DetectedTechniques(t.Steps)}
		}
		forget(t)
		return nil
	})
}

// forget drops the rows below a trial, which a gate does not look at again.
func forget(t *record.Trial) {
	t.Attacks, t.Steps, t.Alerts, t.Approvals, t.Actions, t.Stages, t.Audit = nil, nil, nil, nil, nil, nil, nil
}

// owner says what a task's trial is for: sides that are one and the same variant
// share it.
type owner struct {
	key               compare.Key
	sides             []int
	scenario, variant string // digests
}

// tasks lists what is to be run on these days, without what is in the database
// already, which it puts among what was found.
func (d *gateDays) tasks(days []gateDay, found [2]map[compare.Key]gate.Side) ([]batch.Task, map[string]owner, error) {
	var tasks []batch.Task
	owners := map[string]owner{}
	for _, day := range days {
		for _, s := range d.scenarios {
			digest := s.Digest()
			for side, v := range d.simulated {
				if v == nil {
					continue
				}
				id := record.TrialID(digest, v.Digest, day.seed, day.index)
				k := compare.Key{Scenario: s.Name, Seed: day.seed, Index: day.index}
				if d.done[id] {
					t, err := d.db.Trial(id)
					if err != nil {
						return nil, nil, err
					}
					found[side][k] = gate.Side{Trial: t, Detected: compare.DetectedTechniques(t.Steps)}
					forget(t)
					d.step()
					continue
				}
				if at, known := owners[id]; known {
					at.sides = append(at.sides, side)
					owners[id] = at
					continue
				}
				owners[id] = owner{k, []int{side}, digest, v.Digest}
				task := batch.Task{
					TrialID:  id,
					Scenario: s.Name,
					Variant:  v.Name,
					Index:    day.index,
					Run: func(interrupted func() bool) (*record.Trial, error) {
						return d.changed.run(s, v, day, side, interrupted)
					},
				}
				if !d.changed.holdsBack(k, side, task) {
					tasks = append(tasks, task)
				}
			}
		}
	}
	return tasks, owners, nil
}

func (d *gateDays) engine(side int) string {
	if d.recorded[side] != nil {
		return d.recorded[side].engine
	}
	return newRun(&plan.Matrix{}).Engine()
}

// describe adds to a result what it was made from.
func (d *gateDays) describe(r *gate.Result) {
	r.Provenance.Digests = map[string]string{"policy": d.policy.Digest}
	names := [2]string{}
	for i := range names {
		r.Provenance.Engines[i] = d.engine(i)
		if v := d.simulated[i]; v != nil {
			names[i], r.Provenance.Digests[sideNames[i]] = v.Name, v.Digest
		} else {
			names[i], r.Provenance.Digests[sideNames[i]] = d.recorded[i].name, d.recorded[i].digest
		}
	}
	r.Baseline, r.Candidate = names[0], names[1]
	for _, s := range d.scenarios {
		r.Provenance.Digests["scenario "+s.Name] = s.Digest()
	}
	if len(d.scenarios) == 0 {
		for _, name := range d.order {
			r.Provenance.Digests["scenario "+name] = d.recorded[0].scenarios[name]
		}
	}
	r.Provenance.Seeds = []uint64{d.o.seed}
	if d.days != nil {
		r.Provenance.Seeds = nil
		for _, day := range d.days[:d.next] {
			if !slices.Contains(r.Provenance.Seeds, day.seed) {
				r.Provenance.Seeds = append(r.Provenance.Seeds, day.seed)
			}
		}
	}
}

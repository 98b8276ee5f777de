package attackers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/attackers/campaign"
	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/record"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// Agent is one attacker at work.
type Agent struct {
	// Started, Ended and Objective are when the attack began, stopped and
	// reached its goal.
	Started, Ended, Objective record.Time
	// EndReason says why it stopped.
	EndReason string
	// Steps is what was done so far.
	Steps []record.Step

	spec    *campaign.Attacker
	index   int32
	engine  *sim.Engine
	world   *world.World
	state   *technique.State
	stream  sim.Stream
	pace    sim.Stream
	horizon time.Duration

	stage     int
	visits    []int  // how often each stage was begun
	succeeded []bool // stages that succeeded
	queue     []string
	tries     int // attempts in the current stage
	retries   int
	streak    int  // failures in a row
	blocks    int  // blocks met in the current stage
	blocked   int  // times that the defence blocked them
	rounds    int  // re-entries after everything was lost
	reviving  bool // waits for their program to start by itself

	attempt *technique.Attempt
	ordinal uint64
	why     string

	lastSuccess   time.Duration
	defenceBlocks []defenceBlock // since the last success
	waiting       bool
	done          bool
}

// defenceBlock is a block by the defence.
type defenceBlock struct {
	action uint64
	at     time.Duration
}

// Options are what an agent needs beside its script.
type Options struct {
	Index   int // 1-based
	Horizon time.Duration
	Hostile *world.AttackerAssets
}

// New puts an attacker into the world; its first step is scheduled.
func New(e *sim.Engine, w *world.World, spec *campaign.Attacker, o Options) *Agent {
	name := "attacker " + spec.Name
	a := &Agent{
		spec: spec, index: int32(o.Index), engine: e, world: w, horizon: o.Horizon,
		stream: w.Streams().Stream(name, "steps"), pace: w.Streams().Stream(name, "pace"),
		visits: make([]int, len(spec.Campaign)), succeeded: make([]bool, len(spec.Campaign)), stage: -1,
	}
	setup := w.Streams().Stream(name, "setup")
	actor := w.NewActor(name)
	actor.Label.Attack = a.index
	a.state = technique.NewState(w, actor, o.Hostile)
	a.state.Skill, a.state.Stealth = spec.Skill.Draw(&setup, 0.5), spec.Stealth.Draw(&setup, 0.3)
	a.state.Hello = tlsClient(spec.Infrastructure.TLSClient)
	a.state.PublicCertificate = spec.Infrastructure.Certificate == "public"
	a.allocateInfrastructure(&setup)
	start := w.Streams().Stream(name, "start")
	e.Schedule(a.working(e.Now()+spec.Start.After.Sample(&start)), a, 0)
	return a
}

// tlsClient is the TLS client of the attackers' tools.
func tlsClient(name string) *world.TLSClient {
	return cmp.Or(world.TLSClientByName(name), world.GoTLS)
}

var domainWords = []string{"cdn", "static", "update", "sync", "metrics", "assets", "edge", "portal", "status", "mail"}

// allocateInfrastructure draws the attacker's addresses and domains.
func (a *Agent) allocateInfrastructure(s *sim.Stream) {
	for range max(a.spec.Infrastructure.Addresses, 1) {
		address := fmt.Sprintf("%d.%d.%d.%d", 185+s.IntN(8), s.IntN(255), s.IntN(255), 1+s.IntN(254))
		a.state.Addresses = append(a.state.Addresses, address)
		a.state.Hostile.MarkAddress(address)
	}
	for range max(a.spec.Infrastructure.Domains, 1) {
		d := technique.Domain{
			Name:    fmt.Sprintf("%s-%s%d.example", sim.Pick(s, domainWords), sim.Pick(s, domainWords), s.IntN(1000)),
			Address: fmt.Sprintf("%d.%d.%d.%d", 91+s.IntN(4), s.IntN(255), s.IntN(255), 1+s.IntN(254)),
		}
		a.state.Domains = append(a.state.Domains, d)
		a.state.Hostile.MarkAddress(d.Name)
		a.state.Hostile.MarkAddress(d.Address)
	}
}

// Indicators lists the attacker's addresses and domains, for feeds.
func (a *Agent) Indicators() (addresses, domains []string) {
	addresses = append(addresses, a.state.Addresses...)
	for _, d := range a.state.Domains {
		addresses = append(addresses, d.Address)
		domains = append(domains, d.Name)
	}
	return addresses, domains
}

// Done tells whether the attack is over.
func (a *Agent) Done() bool { return a.done }

// Containment is the action that contained the attacker, and when it made
// itself felt; ok is false when the attacker reached their goal, failed by
// themselves, or is still at work. After their last success nothing went through any
// more: the last of the blocks by the defence since then is what contained them.
func (a *Agent) Containment() (action uint64, at time.Duration, ok bool) {
	if a.Objective != nil || !a.done && !a.waiting || len(a.defenceBlocks) == 0 {
		return 0, 0, false
	}
	last := a.defenceBlocks[len(a.defenceBlocks)-1]
	for _, h := range a.defenceBlocks { // when that action was first met
		if h.action == last.action {
			return h.action, h.at, true
		}
	}
	return last.action, last.at, true
}

// CompromisedHosts lists the hosts that the attacker can use now.
func (a *Agent) CompromisedHosts() []*world.Host {
	var hosts []*world.Host
	for _, f := range a.state.Footholds {
		if !slices.Contains(hosts, f.Host) && a.state.Usable(f).OK() {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}

// Exfiltrated is how many bytes the attacker has carried away.
func (a *Agent) Exfiltrated() uint64 { return a.state.Exfiltrated }

// Skill is how skilled the attacker is, 0 to 1.
func (a *Agent) Skill() float64 { return a.state.Skill }

// LastSuccess is when the attacker last got something done.
func (a *Agent) LastSuccess() time.Duration { return a.lastSuccess }

// Handle is the agent's clock: the next round of an attempt, or the next step.
func (a *Agent) Handle(now time.Duration, _ uint64) {
	if a.done {
		return
	}
	a.waiting = false
	if a.reviving {
		a.resumeFromPersistence(now)
		return
	}
	if a.Started == nil {
		a.Started = record.At(now)
	}
	if a.attempt == nil {
		a.next(now)
		return
	}
	p := a.attempt.Run(now)
	a.checkGoal(now)
	if !p.Done && !a.done {
		a.engine.Schedule(now+max(p.Wait, time.Millisecond), a, 0)
		return
	}
	if a.done {
		p = technique.Progress{Done: true, OK: true, Note: "the objective of the campaign"}
	}
	a.finish(now, p)
}

// next chooses and begins the next technique, or ends the attack.
func (a *Agent) next(now time.Duration) {
	if a.tooLate(now) {
		a.end(now, "the price is too high: no success in time")
		return
	}
	for len(a.queue) == 0 {
		if !a.nextStage(now) {
			return
		}
	}
	id := a.queue[0]
	a.queue = a.queue[1:]
	t := a.spec.Library.Find(id)
	a.ordinal++
	a.state.Actor.Label.Step = int32(len(a.Steps))
	a.attempt = nil
	stage := &a.spec.Campaign[a.stage]
	if err := t.Ready(a.state); err != nil {
		a.note(now, t, "", err.Error(), false, world.Refusal{})
		a.failed(now, world.Refusal{}, a.lostTo())
		return
	}
	a.attempt = t.Begin(a.state, a.options(stage), now, a.stream.At(a.ordinal))
	a.note(now, t, a.attempt.Tool, "", false, world.Refusal{})
	a.engine.Schedule(now+a.attempt.Delay(), a, 0)
}

func (a *Agent) options(s *campaign.Stage) map[string]string {
	options := map[string]string{"role": string(a.spec.Goal.Role())}
	if s.Do.Tool != "" {
		options["tool"] = s.Do.Tool
	}
	for k, v := range s.With {
		options[k] = v
	}
	return options
}

func (a *Agent) tooLate(now time.Duration) bool {
	return a.spec.GiveUp.After > 0 && now > time.Duration(*a.Started)+a.spec.GiveUp.After
}

// note opens a step of the record.
func (a *Agent) note(now time.Duration, t *technique.Technique, tool, reason string, ok bool, r world.Refusal) {
	s := record.Step{
		Attack:    int(a.index),
		Step:      len(a.Steps),
		Technique: t.ID,
		Name:      t.Name,
		Tactic:    t.Tactic,
		Tool:      tool,
		Started:   int64(now),
		Ended:     int64(now),
		Succeeded: ok,
		Reason:    reason,
		Why:       a.why,
		BlockedBy: int64(r.Action),
	}
	if f := a.state.Current(); f != nil {
		s.Host = f.Host.Name
	}
	a.Steps = append(a.Steps, s)
}

// finish closes the step that the attempt was and decides how to go on.
func (a *Agent) finish(now time.Duration, p technique.Progress) {
	attempt := a.attempt
	a.attempt = nil
	s := &a.Steps[len(a.Steps)-1]
	s.Ended, s.Succeeded, s.Reason, s.BlockedBy = int64(now), p.OK, p.Note, int64(p.Refusal.Action)
	if attempt.Target != nil {
		s.Target = attempt.Target.Name
	}
	if a.done {
		return
	}
	if !p.OK {
		a.failed(now, p.Refusal, p.Refusal)
		return
	}
	a.lastSuccess = now
	a.defenceBlocks = nil
	a.streak, a.retries = 0, 0
	a.why = "the last step worked, so the next of the plan"
	a.scheduleNext(now)
}

// scheduleNext waits for the stage's pace, longer the stealthier the operator is. Patience
// is a choice and no skill; skill shortens the work itself (technique.Delay).
func (a *Agent) scheduleNext(now time.Duration) {
	s := a.pace.At(a.ordinal)
	pause := a.spec.Campaign[a.stage].Pace.Sample(&s)
	pause = time.Duration(float64(pause) * (0.5 + a.state.Stealth))
	a.engine.Schedule(a.working(now+max(pause, time.Second)), a, 0)
}

// working puts a moment off until the attacker works.
func (a *Agent) working(at time.Duration) time.Duration {
	return a.spec.Hours.Next(a.world.Epoch.Add(at)).Sub(a.world.Epoch)
}

// failed reacts to a step that did not work; by is the defence's block behind
// it, if there is one.
func (a *Agent) failed(now time.Duration, r, by world.Refusal) {
	a.streak++
	if by.ByDefence() {
		a.defenceBlocks = append(a.defenceBlocks, defenceBlock{by.Action, now})
		a.Steps[len(a.Steps)-1].BlockedBy = int64(by.Action)
		a.blocked++
	}
	if most := a.spec.GiveUp.Blocks; most > 0 && a.blocked >= most {
		a.end(now, fmt.Sprintf("gave up after the defence had blocked them %d times", a.blocked))
		return
	}
	limit := a.spec.GiveUp.Failures
	if limit == 0 {
		limit = 10
	}
	if a.streak >= limit {
		a.end(now, fmt.Sprintf("gave up after %d failures in a row", a.streak))
		return
	}
	if a.stage > 0 && len(a.state.Footholds) > 0 && a.state.Current() == nil {
		a.restart(now, a.lostTo())
		return
	}
	if by.ByDefence() {
		a.react(now, r)
		return
	}
	stage := &a.spec.Campaign[a.stage]
	limitTries := stage.Retries
	if limitTries == 0 {
		limitTries = 2
	}
	if a.retries < limitTries && (stage.Loop == nil && stage.Until == nil) {
		a.retries++
		a.why = "it did not work, so once more"
		a.queue = append([]string{a.Steps[len(a.Steps)-1].Technique}, a.queue...)
	} else if stage.OnFailure == "stop" {
		a.end(now, "a stage that everything hangs on has failed")
		return
	} else {
		a.retries = 0
		a.why = "it did not work, so something else"
	}
	a.scheduleNext(now)
}

// lostTo is the defence's action by which the newest foothold was lost.
func (a *Agent) lostTo() world.Refusal {
	for i := len(a.state.Footholds) - 1; i >= 0; i-- {
		if r := a.state.Usable(a.state.Footholds[i]); r.ByDefence() {
			return r
		}
	}
	return world.Refusal{}
}

// restart begins again from outside after every foothold is lost. Each time it
// is less likely to be worth the trouble.
func (a *Agent) restart(now time.Duration, lost world.Refusal) {
	if lost.ByDefence() && len(a.defenceBlocks) == 0 {
		a.defenceBlocks = append(a.defenceBlocks, defenceBlock{lost.Action, now})
	}
	a.rounds++
	s := a.pace.For("reentry").At(uint64(a.rounds))
	if len(a.state.PersistentHosts()) > 0 && a.rounds < mostRevivals { // their program starts again by itself, perhaps
		a.reviving, a.waiting = true, true
		a.engine.Schedule(now+time.Duration(float64(40*time.Minute)*s.Exp()), a, 0)
		return
	}
	worth := 0.35 + 0.4*a.state.Skill - 0.2*float64(a.rounds)
	if !s.Bool(worth) {
		a.end(now, "lost every foothold and does not come back")
		return
	}
	a.state.Address = (a.state.Address + 1) % len(a.state.Addresses)
	a.state.Domain = (a.state.Domain + 1) % len(a.state.Domains)
	a.stage, a.queue, a.tries = -1, nil, 0
	for i := range a.visits {
		a.visits[i] = 0
		a.succeeded[i] = false
	}
	a.why = "every foothold is lost, so in again from outside with another address" + a.attributeDetection()
	a.waiting = true
	a.engine.Schedule(now+time.Duration(float64(20*time.Minute)*s.Exp()), a, 0)
}

// mostRevivals bounds how often an attacker waits for their program to come back.
const mostRevivals = 5

// resumeFromPersistence goes on where a program of the attacker has started by itself, or comes
// in again from outside when none has.
func (a *Agent) resumeFromPersistence(now time.Duration) {
	a.reviving = false
	h := a.state.Revive(now, a.pace.For("revival").At(uint64(a.rounds)))
	if h == nil {
		a.rounds = max(a.rounds, mostRevivals)
		a.restart(now, a.lostTo())
		return
	}
	a.streak = 0
	a.lastSuccess = now
	a.defenceBlocks = nil
	a.why = "every foothold was lost, but their program has started again on " + h.Name
	if len(a.queue) == 0 && len(a.Steps) > 0 {
		a.queue = []string{a.Steps[len(a.Steps)-1].Technique}
	}
	a.scheduleNext(now)
}

// attributeDetection lets the attacker conclude which tools were detected. The better they are, the
// likelier they come upon the tools that worked last on the hosts that they have lost,
// and does not use them again. It returns what they conclude.
func (a *Agent) attributeDetection() string {
	s := a.pace.For("suspect").At(uint64(a.rounds))
	var watched []string
	for i := len(a.Steps) - 1; i >= 0 && len(watched) < 3; i-- {
		x := a.Steps[i]
		if x.Succeeded && s.Bool(a.state.Skill) && a.state.MarkBurned(a.spec.Library.Find(x.Technique), x.Tool) {
			watched = append(watched, x.Tool)
		}
	}
	if len(watched) == 0 {
		return ""
	}
	return "; they count " + strings.Join(watched, ", ") + " as burned"
}

// react takes the stage's next reaction to being blocked that is possible.
func (a *Agent) react(now time.Duration, r world.Refusal) {
	stage := &a.spec.Campaign[a.stage]
	reactions := stage.OnBlocked
	if len(reactions) == 0 {
		reactions = []campaign.Reaction{
			{Kind: "change_host"},
			{Kind: "change_address"},
			{Kind: "wait", Wait: 20 * time.Minute},
		}
	}
	wait := time.Duration(0)
	for range reactions {
		reaction := reactions[a.blocks%len(reactions)]
		a.blocks++
		if possible, pause := a.adapt(reaction, r); possible {
			wait = pause
			break
		}
		if reaction.Kind == "give_up" {
			a.end(now, "blocked, and not worth more effort")
			return
		}
	}
	a.queue = append([]string{a.Steps[len(a.Steps)-1].Technique}, a.queue...)
	if wait == 0 {
		a.scheduleNext(now)
		return
	}
	a.waiting = true
	a.engine.Schedule(now+wait, a, 0)
}

// adapt carries out a reaction; false means that it is not possible now.
func (a *Agent) adapt(reaction campaign.Reaction, r world.Refusal) (bool, time.Duration) {
	s := a.state
	switch reaction.Kind {
	case "change_address":
		if s.Address+1 >= len(s.Addresses) && s.Domain+1 >= len(s.Domains) {
			return false, 0
		}
		s.Address = min(s.Address+1, len(s.Addresses)-1)
		s.Domain = min(s.Domain+1, len(s.Domains)-1)
		a.why = fmt.Sprintf("blocked (%s), so from another address", r.Reason)
	case "change_credential":
		working := 0
		for i := range s.Credentials {
			if !s.World.MayLogOn(s.Credentials[i].Account, s.Credentials[i].Generation).OK() {
				s.Credentials[i].Refused = true
			}
			if !s.Credentials[i].Refused {
				working++
			}
		}
		if working == 0 {
			return false, 0
		}
		a.why = fmt.Sprintf("blocked (%s), so with another credential", r.Reason)
	case "change_host":
		current := s.Current()
		if len(a.Steps) == 0 || current == nil {
			return false, 0
		}
		if target := s.World.Host(a.Steps[len(a.Steps)-1].Target); target != nil {
			s.Avoid[target.Name] = true
		}
		a.why = fmt.Sprintf("blocked (%s), so another host", r.Reason)
	case "change_tool":
		last, pinned := a.Steps[len(a.Steps)-1], a.spec.Campaign[a.stage].With["tool"]
		if pinned != "" || !s.MarkBurned(a.spec.Library.Find(last.Technique), last.Tool) {
			return false, 0
		}
		a.why = fmt.Sprintf("blocked (%s), so with another tool than %s", r.Reason, last.Tool)
	case "slow_down":
		if s.Slowdown > 30 {
			return false, 0
		}
		s.Slowdown *= 3
		a.why = fmt.Sprintf("blocked (%s), so more slowly", r.Reason)
	case "wait":
		a.why = fmt.Sprintf("blocked (%s), so after a pause", r.Reason)
		return true, reaction.Wait
	default:
		return false, 0
	}
	return true, 0
}

// nextStage moves to the next stage with something to do; false means that the
// attack has ended.
func (a *Agent) nextStage(now time.Duration) bool {
	if a.stage >= 0 && a.again(now) {
		return true
	}
	for {
		a.stage++
		a.tries, a.blocks = 0, 0
		if a.stage >= len(a.spec.Campaign) {
			if g := a.spec.Goal.Finish; g != nil && a.Progress() >= 1 {
				a.Objective, a.lastSuccess = record.At(now), now
				a.end(now, "the plan is carried out")
				return false
			}
			a.end(now, "the plan is at its end without the goal")
			return false
		}
		stage := &a.spec.Campaign[a.stage]
		if a.needsMissing(stage) || stage.When != nil && !a.holds(*stage.When) ||
			stage.Until != nil && a.holds(*stage.Until) {
			continue
		}
		if a.why == "" {
			a.why = "the plan begins with it"
		}
		a.fill(stage)
		return true
	}
}

func (a *Agent) needsMissing(s *campaign.Stage) bool {
	for _, need := range s.Needs {
		met := false
		for i := range a.spec.Campaign {
			if a.spec.Campaign[i].ID == need && a.succeeded[i] {
				met = true
			}
		}
		if !met {
			return true
		}
	}
	return false
}

// mostTries bounds a stage that repeats until a condition holds.
const mostTries = 12

// again repeats the current stage if it asks for that.
func (a *Agent) again(time.Duration) bool {
	stage := &a.spec.Campaign[a.stage]
	if last := len(a.Steps) - 1; last >= 0 && a.Steps[last].Succeeded {
		a.succeeded[a.stage] = true
	}
	switch {
	case stage.Loop != nil:
		if a.tries >= stage.Loop.Max || a.holds(stage.Loop.Until) {
			return false
		}
	case stage.Until != nil:
		if a.tries >= mostTries || a.holds(*stage.Until) {
			return false
		}
	default:
		return false
	}
	a.fill(stage)
	return true
}

// fill queues the techniques of one pass through a stage.
func (a *Agent) fill(stage *campaign.Stage) {
	a.tries++
	a.visits[a.stage]++
	s := a.stream.For("choice").At(uint64(a.stage)<<32 | uint64(a.visits[a.stage]))
	switch {
	case len(stage.Try) > 0:
		weights := make([]float64, len(stage.Try))
		for i, c := range stage.Try {
			weights[i] = c.Weight
			if c.Weight == 0 {
				weights[i] = 1
			}
		}
		a.queue = []string{stage.Try[sim.PickWeighted(&s, weights)].Do}
	case len(stage.Do.Any) > 0:
		a.queue = []string{sim.Pick(&s, stage.Do.Any)}
	default:
		a.queue = append([]string{}, stage.Do.All...)
		s.Shuffle(len(a.queue), func(i, j int) { a.queue[i], a.queue[j] = a.queue[j], a.queue[i] })
	}
}

func (a *Agent) holds(c campaign.Condition) bool {
	s := a.state
	switch {
	case c.Goal:
		return a.Objective != nil
	case c.Elevated:
		return s.Where(true, true) != nil
	case c.Cloud:
		return s.CloudAccounts() > 0
	case c.Credential != "":
		best, any := s.BestPrivilege()
		return any && best >= privilege(c.Credential)
	case c.Foothold != "":
		for _, f := range s.Footholds {
			if (c.Foothold == "any" || string(f.Host.Role) == c.Foothold) && s.Usable(f).OK() {
				return true
			}
		}
		return false
	case c.KnownHosts > 0:
		return len(s.Known) >= c.KnownHosts
	case c.Staged > 0:
		return float64(s.Staged) >= c.Staged*1e9
	}
	return false
}

func privilege(name string) world.Privilege {
	switch name {
	case "domain_admin":
		return world.DomainAdmin
	case "server_admin", "admin":
		return world.ServerAdmin
	case "service":
		return world.Service
	}
	return world.User
}

// Progress is how much of the goal is reached, 0 to 1.
func (a *Agent) Progress() float64 {
	s, g := a.state, a.spec.Goal
	part := func(have, want float64) float64 { return min(1, have/max(want, 1e-9)) }
	switch {
	case g.Control != nil:
		n := map[string]bool{}
		for _, f := range s.Footholds {
			if (g.Control.Role == "" || f.Host.Role == g.Control.Role) && s.Usable(f).OK() {
				n[f.Host.Name] = true
			}
		}
		return part(float64(len(n)), float64(max(g.Control.Count, 1)))
	case g.Persist != nil:
		return part(ofRole(s.PersistentHosts(), g.Persist.Role), float64(max(g.Persist.Count, 1)))
	case g.Exfiltrate != nil:
		return part(float64(s.Exfiltrated), g.Exfiltrate.Gigabytes*1e9)
	case g.Encrypt != nil:
		return part(float64(len(s.Encrypted)), float64(g.Encrypt.Hosts))
	case g.Destroy != nil:
		return part(float64(len(s.Destroyed)), float64(g.Destroy.Hosts))
	case g.Mine != nil:
		return part(ofRole(s.Mining, g.Mine.Role), float64(max(g.Mine.Count, 1)))
	case g.Finish != nil:
		n := 0
		for _, ok := range a.succeeded {
			if ok {
				n++
			}
		}
		share := g.Finish.Share
		if share == 0 {
			share = 1
		}
		return part(float64(n), share*float64(len(a.succeeded)))
	case g.Cloud != nil:
		return part(float64(s.CloudAccounts()), float64(max(g.Cloud.Accounts, 1)))
	}
	return 0
}

func (a *Agent) checkGoal(now time.Duration) {
	if a.Progress() < 1 || a.spec.Goal.Finish != nil { // a plan is finished at its end
		return
	}
	a.Objective = record.At(now)
	a.lastSuccess = now
	a.end(now, "reached the goal")
}

func (a *Agent) end(now time.Duration, reason string) {
	a.done = true
	a.Ended = record.At(now)
	a.EndReason = reason
}

// ofRole counts the hosts of a role; the empty role is any.
func ofRole(hosts []*world.Host, wanted role.Role) float64 {
	n := 0
	for _, h := range hosts {
		if wanted == "" || h.Role == wanted {
			n++
		}
	}
	return float64(n)
}

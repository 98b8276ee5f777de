package footprint

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// Choice says what of a recording belongs to the attack.
type Choice struct {
	// Root is an image, or the end of one: what its process tree did counts.
	Root string
	// From and To bound the time; zero is the recording's.
	From, To time.Time
	// Only are the numbers of the events that count, from 1; nil for all.
	Only map[int]bool
	// Ordinary tells events that an ordinary day holds anyway.
	Ordinary func(*event.Event) bool
}

// Chosen is one event of a recording with the decision about it.
type Chosen struct {
	Number int
	Event  *event.Event
	Keep   bool
	Reason string
}

// Choose decides event by event what belongs to the attack.
func Choose(events []*event.Event, c Choice) ([]Chosen, error) {
	out := make([]Chosen, len(events))
	var tree *processTree
	if c.Root != "" {
		var err error
		if tree, err = grow(events, c.Root); err != nil {
			return nil, err
		}
	}
	for i, e := range events {
		out[i] = Chosen{Number: i + 1, Event: e}
		x := &out[i]
		switch at := time.Unix(0, int64(e.Time)); {
		case c.Only != nil:
			x.Keep, x.Reason = c.Only[i+1], "the list of events"
		case !c.From.IsZero() && at.Before(c.From) || !c.To.IsZero() && at.After(c.To):
			x.Reason = "outside of the window"
		case tree != nil:
			x.Keep, x.Reason = tree.owns(e)
		case c.Ordinary != nil && c.Ordinary(e):
			x.Reason = "an ordinary day holds it anyway"
		default:
			x.Keep, x.Reason = true, "nothing ordinary"
		}
	}
	if !slices.ContainsFunc(out, func(x Chosen) bool { return x.Keep }) {
		return out, errors.New("no event is left: everything is outside of the window, or an ordinary day holds it anyway; --show lists the events with the reasons, --all keeps what is ordinary, and --events FILE takes an edited list")
	}
	return out, nil
}

// shownImages bounds the images that an error names.
const shownImages = 12

// processTree are the processes below a root, with their logons.
type processTree struct {
	guids  map[string]bool // Sysmon's, of processes
	pids   map[string]bool // host and number
	logons map[string]bool // host and id
}

func lowerHost(e *event.Event) string { return strings.ToLower(hostOf(e)) }

// grow finds the tree of processes below those whose image ends with root.
func grow(events []*event.Event, root string) (*processTree, error) {
	t := &processTree{guids: map[string]bool{}, pids: map[string]bool{}, logons: map[string]bool{}}
	suffix := strings.ToLower(strings.ReplaceAll(root, "/", `\`))
	seen := map[string]int{}
	for _, e := range events {
		image, pid, parent := started(e)
		if image == "" {
			continue
		}
		seen[image]++
		host := lowerHost(e)
		isRoot := strings.HasSuffix(strings.ToLower(strings.ReplaceAll(image, "/", `\`)), suffix)
		if isRoot || t.guids[e.Value(event.ParentProcessGuid)] || t.pids[host+" "+parent] {
			t.pids[host+" "+pid] = true
			if guid := e.Value(event.ProcessGuid); guid != "" {
				t.guids[guid] = true
			}
			for _, f := range []event.Field{event.LogonId, event.SubjectLogonId, event.TargetLogonId} {
				if id := e.Value(f); parseHex(id) > 0x3e8 {
					t.logons[host+" "+id] = true
				}
			}
		}
	}
	if len(t.pids) > 0 {
		return t, nil
	}
	if len(seen) == 0 {
		return nil, errors.New("--root: the recording holds no start of a process (Sysmon 1, Security 4688, execve), so no tree can be followed; choose by --window or --events")
	}
	images := slices.Sorted(maps.Keys(seen))
	slices.SortStableFunc(images, func(a, b string) int { return seen[a] - seen[b] })
	if len(images) > shownImages {
		images = append(images[:shownImages], "…")
	}
	return nil, fmt.Errorf("--root: no process of the recording has an image that ends with %q; it starts, the rarest first: %s", root, strings.Join(images, ", "))
}

// started is the image, number and parent's number of a process that an event starts.
func started(e *event.Event) (image, pid, parent string) {
	switch {
	case e.Source.Category != "process_creation":
		return "", "", ""
	case e.Value(event.EventID) == "4688":
		return e.Value(event.NewProcessName), fmt.Sprint(parseHex(e.Value(event.NewProcessId))), fmt.Sprint(parseHex(e.Value(event.ProcessId)))
	case e.Source.Product == "linux":
		ppid, _ := e.Lookup("ppid")
		return cmp.Or(e.Value(event.AuditExe), e.Value(event.Image)), cmp.Or(e.Value(event.SyslogPID),
				e.Value(event.ProcessId)),
			cmp.Or(ppid, e.Value(event.ParentProcessId))
	}
	return e.Value(event.Image), e.Value(event.ProcessId), e.Value(event.ParentProcessId)
}

// owns tells whether an event was caused by the tree, or by its logons.
func (t *processTree) owns(e *event.Event) (bool, string) {
	for _, f := range []event.Field{event.ProcessGuid, event.SourceProcessGUID, event.TargetProcessGUID,
		event.ParentProcessGuid} {
		if t.guids[e.Value(f)] {
			return true, "the process tree"
		}
	}
	host := lowerHost(e)
	for _, name := range pidFields {
		value, _ := e.Lookup(name)
		if strings.HasPrefix(value, "0x") {
			value = fmt.Sprint(parseHex(value))
		}
		if value != "" && t.pids[host+" "+value] {
			return true, "the process tree"
		}
	}
	for _, name := range logonFields {
		if value, _ := e.Lookup(name); value != "" && t.logons[host+" "+value] {
			return true, "the logon session of the tree"
		}
	}
	if e.Source.Service == "powershell" || e.Source.Service == "powershell-classic" {
		return true, "a script on a host of the tree"
	}
	return false, "not of the process tree"
}

// List writes the choice, a line an event; ReadList reads it back.
func List(w io.Writer, chosen []Chosen) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "# + keeps an event, - leaves it out; edit the sign and pass the file with --events")
	for _, x := range chosen {
		sign := "-"
		if x.Keep {
			sign = "+"
		}
		e := x.Event
		fmt.Fprintf(b, "%s %5d  %s  %s  %s  %s  (%s)\n", sign, x.Number,
			time.Unix(0, int64(e.Time)).UTC().Format("2006-01-02 15:04:05.000"),
			shortHost(hostOf(e)), Type(e), digest(e), x.Reason)
	}
	return b.Flush()
}

func shortHost(h string) string {
	name, _, _ := strings.Cut(h, ".")
	return name
}

// Type names an event's type shortly.
func Type(e *event.Event) string {
	if id := e.Value(event.EventID); id != "" {
		log := strings.TrimPrefix(e.Value(event.LogChannel), "Microsoft-Windows-")
		return strings.TrimSuffix(log, "/Operational") + " " + id
	}
	return e.Source.String()
}

const digestSize = 120

// digest is what matters most in an event, in a line.
func digest(e *event.Event) string {
	for _, name := range []string{
		"CommandLine", "TargetObject", "TargetFilename", "PipeName", "TargetImage", "ImageLoaded", "QueryName", "ScriptBlockText", "Payload",
		"ServiceName", "TaskName", "ShareName", "DestinationIp", "ObjectName", "NewProcessName", "ProcessName", "Image", "TargetUserName",
		"message", "query", "Data",
	} {
		if value, ok := e.Lookup(name); ok && value != "" && value != "-" {
			value = strings.Join(strings.Fields(value), " ")
			if r := []rune(value); len(r) > digestSize {
				value = string(r[:digestSize]) + "…"
			}
			return name + "=" + value
		}
	}
	return "-"
}

// ReadList reads an edited list: the numbers of the events to keep.
func ReadList(name string, r io.Reader) (map[int]bool, error) {
	only := map[int]bool{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if sign := line[0]; (sign != '+' && sign != '-') || len(fields) < 2 {
			if number, err := strconv.Atoi(fields[0]); err == nil {
				only[number] = true
				continue
			}
			return nil, fmt.Errorf("%s:%d: a line begins with + or - and the number of an event, as --show writes it; this one is %q", name, n, line)
		}
		number, err := strconv.Atoi(strings.TrimLeft(fields[0], "+-"))
		if len(fields[0]) == 1 {
			number, err = strconv.Atoi(fields[1])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %q is no number of an event", name, n, fields[1])
		}
		if line[0] == '+' {
			only[number] = true
		}
	}
	return only, scanner.Err()
}

// secrets are forms of passwords on command lines.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bnet1?(?:\.exe)?\s+user\s+\S+\s+([^\s/"]\S*)\s+.*?/add`),
	regexp.MustCompile(`(?i)(?:/|-)(?:p|pass|password|pwd)[: =]+"?([^\s"/-][^\s"]*)`),
	regexp.MustCompile(`(?i)\b(?:password|passwd|pwd|secret|token|apikey)\s*[=:]\s*"?([^\s";&]+)`),
	regexp.MustCompile(`(?i)\bpsexec\S*\s.*-p\s+(\S+)`),
	regexp.MustCompile(`(?i)ConvertTo-SecureString\s+(?:-String\s+)?["']([^"']+)["']`),
}

// secretFields are fields that hold what people type, or what programs are told.
var secretFields = []string{
	"CommandLine", "ParentCommandLine", "ScriptBlockText", "Payload", "ContextInfo", "Data", "TaskContent", "TaskContentNew", "ImagePath",
	"ServiceFileName", "Details", "message", "uri", "cs-uri-query", "c-uri", "proctitle",
}

// Secret is what looks like a secret in an event.
type Secret struct {
	Number int
	Field  string
	Value  string
}

// Secrets finds what looks like passwords in the texts of chosen events.
func Secrets(chosen []Chosen) []Secret {
	var out []Secret
	for _, x := range chosen {
		if !x.Keep {
			continue
		}
		x.Event.Each(func(name, value string) bool {
			if !slices.Contains(secretFields, name) {
				return true
			}
			for _, pattern := range secrets {
				for _, m := range pattern.FindAllStringSubmatch(value, -1) {
					if s := (Secret{x.Number, name, m[1]}); len(m[1]) > 2 && m[1] != redacted && !slices.Contains(out, s) {
						out = append(out, s)
					}
				}
			}
			return true
		})
	}
	return out
}

const redacted = "REDACTED"

// Options say how a footprint is made.
type Options struct {
	Name, Technique string
	Files           []string
	Redact          bool
}

// MakeDay makes a footprint of an attack-free recording, of any number of hosts.
func MakeDay(chosen []Chosen) (*Footprint, error) {
	return build(chosen, Options{Name: "recorded-day"}, math.MaxInt)
}

// Make makes a footprint of the events that were chosen.
func Make(chosen []Chosen, o Options) (*Footprint, error) { return build(chosen, o, mostHosts) }

func build(chosen []Chosen, o Options, mostHosts int) (*Footprint, error) {
	var events []*event.Event
	for _, x := range chosen {
		if x.Keep {
			events = append(events, x.Event)
		}
	}
	if len(events) == 0 {
		return nil, errors.New("no event was chosen")
	}
	slices.SortStableFunc(events, func(a, b *event.Event) int { return int(min(1, max(-1, a.Time-b.Time))) })
	hosts, err := hostsOf(events, mostHosts)
	if err != nil {
		return nil, err
	}
	v := learn(events, hosts)
	first := events[0].Time
	f := &Footprint{
		Name: o.Name, Technique: o.Technique,
		Recorded: Recorded{Files: o.Files, At: time.Unix(0, int64(first)).UTC().Format(time.RFC3339), Events: len(chosen)},
	}
	for i := range hosts {
		f.Hosts = append(f.Hosts, Host{hostName(i), v.is[i]})
	}
	var hidden []Secret
	if o.Redact {
		hidden = Secrets(chosen)
	}
	for _, e := range events {
		x := v.vary(e, first)
		for name, value := range x.Fields {
			for _, s := range hidden {
				value = strings.ReplaceAll(value, s.Value, redacted)
			}
			x.Fields[name] = value
		}
		f.Events = append(f.Events, x)
	}
	return f, nil
}

// unknownHost stands for the host of events that name none.
const unknownHost = "unknown"

// mostHosts bounds the hosts of a recording.
const mostHosts = 40

// hostsOf lists the hosts of events, the one where the attackers act first: the one on
// which processes start, else the one with the most events.
func hostsOf(events []*event.Event, mostHosts int) ([]string, error) {
	count, starts := map[string]int{}, map[string]int{}
	var hosts []string
	for _, e := range events {
		h := hostOf(e)
		if h == "" {
			h = unknownHost
		}
		if count[h]++; count[h] == 1 {
			hosts = append(hosts, h)
		}
		if image, _, _ := started(e); image != "" {
			starts[h]++
		}
	}
	if len(hosts) > mostHosts {
		return nil, fmt.Errorf("the chosen events are of %d hosts, and a footprint has at most %d: choose fewer by --root, --window or --events; hosts: %s, …",
			len(hosts), mostHosts, strings.Join(hosts[:mostHosts], ", "))
	}
	slices.SortStableFunc(hosts, func(a, b string) int {
		if starts[a] != starts[b] {
			return starts[b] - starts[a]
		}
		return count[b] - count[a]
	})
	return hosts, nil
}

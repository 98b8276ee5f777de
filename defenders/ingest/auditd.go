package ingest

import (
	"encoding/hex"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// auditdDecoder reads the raw log of the Linux audit daemon. The records of one event
// share a serial number and may be mixed with those of others; they become one event
// each, as SigmaHQ's rules expect them, and each knows what the event's SYSCALL record
// says. An execve gives one event more, of the category process_creation.
type auditdDecoder struct {
	arena  event.Arena
	groups map[string]*auditGroup
	order  []*auditGroup
}

// auditGroup are the records of one event.
type auditGroup struct {
	serial  string
	node    string
	at      time.Duration
	records []auditRecord
}

type auditRecord struct {
	kind   string
	fields []auditField
}

type auditField struct{ name, value string }

func (r *auditRecord) value(name string) string {
	for _, f := range r.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

var auditHead = regexp.MustCompile(`^(?:node=(\S+) )?type=(\S+) msg=audit\((\d+(?:\.\d+)?):(\d+)\): ?(.*)$`)

// isAuditd tells whether a line is of the audit daemon's log.
func isAuditd(line string) bool { return auditHead.MatchString(line) }

// maxAuditGroups bounds the events that are put together at a time, maxAuditRecords the
// records of one.
const (
	maxAuditGroups  = 64
	maxAuditRecords = 200
)

func (d *auditdDecoder) decode(line []byte, out *output) string {
	text := string(line)
	if at := strings.Index(text, "type="); at > 0 && !strings.HasPrefix(text, "node=") { // behind a syslog header
		text = text[at:]
	}
	m := auditHead.FindStringSubmatch(text)
	if m == nil {
		return "no record of the audit daemon"
	}
	at, ok := parseTime(m[3])
	if !ok {
		return "the time is unreadable"
	}
	key := m[1] + "|" + m[3] + ":" + m[4]
	if d.groups == nil {
		d.groups = map[string]*auditGroup{}
	}
	g := d.groups[key]
	if g == nil {
		g = &auditGroup{serial: m[4], node: m[1], at: at}
		d.groups[key] = g
		d.order = append(d.order, g)
	}
	if len(g.records) >= maxAuditRecords {
		return "an audit event of more than 200 records"
	}
	kind := strings.ToUpper(m[2])
	if kind == "EOE" {
		d.emit(g, out)
		return ""
	}
	g.records = append(g.records, auditRecord{kind: kind, fields: auditFields(m[5], kind)})
	for len(d.order) > maxAuditGroups || len(d.order) > 1 && at-d.order[0].at > 5*time.Second {
		d.emit(d.order[0], out)
	}
	return ""
}

func (d *auditdDecoder) finish(out *output) {
	for len(d.order) > 0 {
		d.emit(d.order[0], out)
	}
}

// auditFields reads name=value, where a value may stand in quotes, and msg='…' holds
// more of them. Behind a group separator stand the same values with names for numbers.
func auditFields(text, kind string) []auditField {
	raw, interpreted, _ := strings.Cut(text, "\x1d")
	fields := auditPairs(raw, kind, nil)
	for _, f := range auditPairs(interpreted, "", nil) {
		if strings.ToUpper(f.name) == f.name { // SYSCALL=execve UID="root"
			fields = append(fields, f)
		}
	}
	return fields
}

func auditPairs(text, kind string, out []auditField) []auditField {
	for len(out) < 512 {
		text = strings.TrimLeft(text, " ,")
		eq := strings.IndexByte(text, '=')
		if eq < 0 {
			return out
		}
		name := text[:eq]
		if at := strings.LastIndexByte(name, ' '); at >= 0 {
			name = name[at+1:]
		}
		rest := text[eq+1:]
		value, quoted := "", false
		switch {
		case strings.HasPrefix(rest, `"`):
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				end = len(rest) - 1
			}
			value, quoted = rest[1:1+end], true
			text = rest[min(len(rest), end+2):]
		case strings.HasPrefix(rest, `'`):
			end := strings.LastIndexByte(rest[1:], '\'')
			if end < 0 {
				end = len(rest) - 1
			}
			value, quoted = rest[1:1+end], true
			text = rest[min(len(rest), end+2):]
			if name == "msg" {
				out = auditPairs(value, kind, out)
				continue
			}
		default:
			value, text, _ = strings.Cut(rest, " ")
		}
		if !quoted && isAuditHex(kind, name, value) {
			if b, err := hex.DecodeString(value); err == nil {
				value = strings.TrimRight(strings.ReplaceAll(string(b), "\x00", " "), " ")
			}
		}
		out = append(out, auditField{name, value})
	}
	return out
}

var argument = regexp.MustCompile(`^a\d+(?:\[\d+\])?$`)

// isAuditHex tells whether the kernel may have written a value in hexadecimal since it
// holds spaces, quotes or bytes beyond ASCII.
func isAuditHex(kind, name, value string) bool {
	if len(value) < 2 || len(value)%2 != 0 {
		return false
	}
	switch name {
	case "proctitle", "comm", "exe", "name", "cwd", "acct", "cmd", "key", "path", "dir", "data", "file":
	default:
		if kind != "EXECVE" || !argument.MatchString(name) {
			return false
		}
	}
	for i := range len(value) {
		c := value[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// emit gives out the events of a group.
func (d *auditdDecoder) emit(g *auditGroup, out *output) {
	for i, other := range d.order {
		if other == g {
			d.order = append(d.order[:i], d.order[i+1:]...)
			break
		}
	}
	for key, other := range d.groups {
		if other == g {
			delete(d.groups, key)
			break
		}
	}
	syscall := g.find("SYSCALL")
	for i := range g.records {
		out.event(d.record(g, &g.records[i], syscall))
	}
	if execve := g.find("EXECVE"); execve != nil {
		out.event(d.process(g, execve, syscall))
	}
}

func (g *auditGroup) find(kind string) *auditRecord {
	for i := range g.records {
		if g.records[i].kind == kind {
			return &g.records[i]
		}
	}
	return nil
}

// record makes an event of a record.
func (d *auditdDecoder) record(g *auditGroup, r, syscall *auditRecord) *event.Event {
	e := d.arena.New(16)
	e.Time, e.Host = g.at, g.node
	e.Source = event.LogSource{Product: "linux", Service: "auditd"}
	for _, f := range r.arguments() {
		e.SetName(f.name, f.value)
	}
	e.Set(event.AuditType, r.kind)
	e.SetName("serial", g.serial)
	if r.kind == "SYSCALL" {
		nameSyscall(e)
	}
	if syscall != nil && r != syscall { // who did it
		for _, name := range []string{"exe", "comm", "auid", "uid", "euid", "tty", "key", "success", "pid", "ppid"} {
			if v := syscall.value(name); v != "" {
				if _, there := e.Lookup(name); !there {
					e.SetName(name, v)
				}
			}
		}
		if _, there := e.Lookup("syscall"); !there {
			e.SetName("syscall", syscallName(syscall))
		}
	}
	if r.kind == "PROCTITLE" {
		copyField(e, "proctitle", "CommandLine")
	}
	if user := r.value("acct"); user != "" {
		e.Set(event.User, user)
	}
	if addr := address(r.value("addr")); addr != "" {
		e.Set(event.SourceIp, addr)
	}
	return e
}

// arguments are the fields with the pieces of a long argument, a0[0], a0[1], joined.
func (r *auditRecord) arguments() []auditField {
	if r.kind != "EXECVE" {
		return r.fields
	}
	var out []auditField
	pieces := map[string]map[int]string{}
	for _, f := range r.fields {
		base, index, ok := strings.Cut(strings.TrimSuffix(f.name, "]"), "[")
		switch {
		case strings.HasSuffix(f.name, "_len"):
		case !ok:
			out = append(out, f)
		default:
			n, err := strconv.Atoi(index)
			if err != nil {
				continue
			}
			if pieces[base] == nil {
				pieces[base] = map[int]string{}
				out = append(out, auditField{name: base})
			}
			pieces[base][n] = f.value
		}
	}
	for i := range out {
		if parts := pieces[out[i].name]; parts != nil {
			var order []int
			for n := range parts {
				order = append(order, n)
			}
			sort.Ints(order)
			for _, n := range order {
				out[i].value += parts[n]
			}
		}
	}
	return out
}

// process makes the event of a started process under the names of process_creation.
func (d *auditdDecoder) process(g *auditGroup, execve, syscall *auditRecord) *event.Event {
	e := d.arena.New(16)
	e.Time, e.Host = g.at, g.node
	e.Source = event.LogSource{Category: "process_creation", Product: "linux"}
	var words []string
	byName := map[string]string{}
	for _, f := range execve.arguments() {
		byName[f.name] = f.value
	}
	for i := 0; ; i++ {
		word, ok := byName["a"+strconv.Itoa(i)]
		if !ok {
			break
		}
		words = append(words, word)
	}
	e.Set(event.CommandLine, strings.Join(words, " "))
	if len(words) > 0 {
		e.Set(event.Image, words[0])
	}
	if cwd := g.find("CWD"); cwd != nil {
		e.Set(event.CurrentDirectory, cwd.value("cwd"))
	}
	if syscall != nil {
		if exe := syscall.value("exe"); exe != "" {
			e.Set(event.Image, exe)
		}
		e.Set(event.ProcessId, syscall.value("pid"))
		e.Set(event.ParentProcessId, syscall.value("ppid"))
		user := syscall.value("UID")
		if user == "" {
			user = syscall.value("uid")
		}
		e.Set(event.User, user)
		e.SetName("LogonId", syscall.value("ses"))
	}
	return e
}

// nameSyscall gives the record of a system call its name: rules ask for SYSCALL: execve
// or for syscall: execve; the raw log may have a number only.
func nameSyscall(e *event.Event) {
	r := auditRecord{}
	e.Each(func(name, value string) bool {
		r.fields = append(r.fields, auditField{name, value})
		return true
	})
	if name := syscallName(&r); name != "" {
		if number := r.value("syscall"); number != "" && number != name {
			e.SetList("syscall", []string{name, number})
		}
		e.SetName("SYSCALL", name)
	}
}

// syscallName is the name of a record's system call: what the daemon wrote, or what the
// number means on x86-64.
func syscallName(r *auditRecord) string {
	if name := r.value("SYSCALL"); name != "" {
		return name
	}
	number := r.value("syscall")
	if arch := r.value("arch"); arch == "c000003e" || arch == "x86_64" || arch == "" {
		if name := syscalls[number]; name != "" {
			return name
		}
	}
	return number
}

// syscalls are the numbers on x86-64 of the calls that audit rules watch (Linux,
// arch/x86/entry/syscalls/syscall_64.tbl).
var syscalls = map[string]string{
	"0": "read", "1": "write", "2": "open", "3": "close", "41": "socket", "42": "connect", "43": "accept",
	"49": "bind", "50": "listen", "56": "clone", "57": "fork", "58": "vfork", "59": "execve", "61": "wait4",
	"62": "kill", "63": "uname", "76": "truncate", "77": "ftruncate", "80": "chdir", "82": "rename",
	"83": "mkdir", "84": "rmdir", "85": "creat", "86": "link", "87": "unlink", "88": "symlink", "89": "readlink",
	"90": "chmod", "91": "fchmod", "92": "chown", "93": "fchown", "94": "lchown", "99": "sysinfo",
	"101": "ptrace", "105": "setuid", "106": "setgid", "113": "setreuid", "114": "setregid", "117": "setresuid",
	"119": "setresgid", "132": "utime", "133": "mknod", "155": "pivot_root", "159": "adjtimex", "161": "chroot",
	"164": "settimeofday", "165": "mount", "166": "umount2", "169": "reboot", "170": "sethostname",
	"171": "setdomainname", "175": "init_module", "176": "delete_module", "188": "setxattr", "197": "removexattr",
	"227": "clock_settime", "235": "utimes", "246": "kexec_load", "257": "openat", "258": "mkdirat",
	"259": "mknodat", "260": "fchownat", "261": "futimesat", "263": "unlinkat", "264": "renameat",
	"265": "linkat", "266": "symlinkat", "268": "fchmodat", "280": "utimensat", "304": "open_by_handle_at",
	"310": "process_vm_readv", "311": "process_vm_writev", "313": "finit_module", "316": "renameat2",
	"319": "memfd_create", "320": "kexec_file_load", "321": "bpf", "322": "execveat", "437": "openat2",
}

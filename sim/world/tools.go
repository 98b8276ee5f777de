package world

import (
	"path"
	"strings"
	"time"

	"hemostat/sim/event"
)

// What an administrator's tool does follows from its command line: whoever runs `net user
// NAME PASSWORD /add` makes an account, and every source that sees accounts being made says
// so. The table tools has the tools of Windows by the name of their program.

// invocation is one run of a tool.
type invocation struct {
	w    *World
	now  time.Duration
	a    *Actor
	p    *Process
	args []string // without the program
	low  []string // the same in lower case
}

var tools map[string]func(*invocation)

func init() { // the tools start processes, which look here
	tools = map[string]func(*invocation){
		"cmd.exe": runCmd, "net.exe": runNet, "net1.exe": runNet1, "reg.exe": runReg, "sc.exe": runSc, "schtasks.exe": runSchtasks,
		"wevtutil.exe": runWevtutil, "auditpol.exe": runAuditpol, "netsh.exe": runNetsh, "vssadmin.exe": runVssadmin,
		"bitsadmin.exe": runBitsadmin, "vaultcmd.exe": runVaultcmd, "cmdkey.exe": runVaultcmd, "setspn.exe": runSetspn,
		"wmic.exe": runWmic, "ntdsutil.exe": runNtdsutil, "esentutl.exe": runEsentutl, "runas.exe": runRunas,
		"takeown.exe": changePermissions, "icacls.exe": changePermissions, "tscon.exe": runTscon, "dnscmd.exe": runDnscmd,
		"dsquery.exe": readDirectory, "adfind.exe": readDirectory, "sharphound.exe": readDirectory, "dsacls.exe": changePermissions,
		"whoami.exe": runWhoami, "nltest.exe": readDirectory, "mofcomp.exe": runMofcomp, "rundll32.exe": runRundll32,
		"certutil.exe": runCertutil, "wbadmin.exe": runVssadmin,
	}
}

// useTool lets a tool have its effects.
func (w *World) useTool(now time.Duration, a *Actor, p *Process) {
	run := tools[p.Binary.tool]
	if run == nil {
		return
	}
	i := &invocation{w: w, now: now + 100*time.Millisecond, a: a, p: p, args: splitLine(p.CommandLine)}
	if len(i.args) > 0 {
		i.args = i.args[1:]
	}
	for _, arg := range i.args {
		i.low = append(i.low, strings.ToLower(arg))
	}
	run(i)
}

// splitLine splits a command line at spaces outside of quotes, which it takes off.
func splitLine(line string) []string {
	var out []string
	var word strings.Builder
	quoted, started := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, started = !quoted, true
		case r == ' ' && !quoted:
			if started {
				out = append(out, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out
}

// has tells whether a word is among the arguments.
func (i *invocation) has(word string) bool {
	for _, arg := range i.low {
		if arg == word {
			return true
		}
	}
	return false
}

// after is the argument behind a word, such as the value of an option.
func (i *invocation) after(word string) string {
	for n, arg := range i.low {
		if arg == word && n+1 < len(i.args) {
			return i.args[n+1]
		}
		if rest, ok := strings.CutPrefix(arg, word); ok && strings.HasSuffix(word, "=") && rest != "" {
			return i.args[n][len(word):]
		}
	}
	return ""
}

// elevated tells whether the process may change the host.
func (i *invocation) elevated() bool { return i.p.Integrity == "High" || i.p.Integrity == "System" }

// controller is the domain controller that the process may change, nil when it may not.
func (i *invocation) controller() *Host {
	dc := i.w.DomainController(i.p.Host)
	if dc == nil || i.p.Account == nil && i.p.Host != dc || i.p.Account != nil && i.p.Account.Privilege != DomainAdmin {
		return nil
	}
	return dc
}

// child starts a further program.
func (i *invocation) child(b *Binary, line string) {
	i.w.StartProcess(i.now, i.a, Start{
		Host: i.p.Host, Account: i.p.Account, Binary: b, CommandLine: line, Integrity: i.p.Integrity, Parent: i.p,
	})
}

// byCommand are the programs that a command interpreter finds by their name.
var byCommand map[string]*Binary

func init() {
	byCommand = map[string]*Binary{}
	for _, b := range []*Binary{
		Net, Reg, Sc, Schtasks, Wevtutil, Auditpol, Netsh, Vssadmin, Bitsadmin, VaultCmd, Cmdkey, Wmic, Whoami, Ipconfig,
		Hostname, Systeminfo, Tasklist, Taskkill, Netstat, Arp, Nslookup, Ping, Nltest, Certutil, Rundll32, Findstr,
		PowerShell, Quser, Takeown, Icacls, Attrib, Bcdedit, Wbadmin, Mshta, Regsvr32, Cscript, Wscript, Dsquery, Esentutl,
	} {
		byCommand[b.tool] = b
	}
}

// runCmd starts the programs behind /c. What a shell does by itself starts none.
func runCmd(i *invocation) {
	_, rest, ok := strings.Cut(i.p.CommandLine, "/c ")
	if !ok {
		if _, rest, ok = strings.Cut(i.p.CommandLine, "/C "); !ok {
			return
		}
	}
	rest = strings.Trim(rest, `" `)
	for _, part := range strings.Split(rest, "&") {
		part, _, _ = strings.Cut(strings.TrimSpace(part), " >")
		words := splitLine(part)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(path.Base(strings.ReplaceAll(words[0], `\`, "/")))
		if !strings.HasSuffix(name, ".exe") {
			name += ".exe"
		}
		if b := byCommand[name]; b != nil && b != Cmd {
			i.child(b, part)
		}
	}
}

// runNet hands some commands on to net1.exe, as net.exe does.
func runNet(i *invocation) {
	if len(i.low) == 0 {
		return
	}
	switch i.low[0] {
	case "user", "group", "localgroup", "accounts", "start", "stop", "share", "session", "sessions":
		_, rest, _ := strings.Cut(i.p.CommandLine, " ")
		i.child(Net1, `C:\Windows\system32\net1 `+rest)
	case "use":
		i.useShare()
	}
}

func (i *invocation) useShare() {
	for _, arg := range i.args {
		name, ok := strings.CutPrefix(arg, `\\`)
		if !ok {
			continue
		}
		host, share, _ := strings.Cut(name, `\`)
		if to := i.w.hostOf(host); to != nil && i.p.Account != nil {
			i.w.OpenShare(i.now, i.a, At(i.p.Host), to, i.p.Account, `\\*\`+share)
		}
		return
	}
}

// hostOf finds a host by its name, its full name or its address.
func (w *World) hostOf(name string) *Host {
	name, _, _ = strings.Cut(name, "."+w.Domain)
	return w.Host(name)
}

func runNet1(i *invocation) {
	if len(i.low) == 0 {
		return
	}
	domain, names := i.has("/domain"), i.operands()
	switch i.low[0] {
	case "user":
		i.netUser(domain, names)
	case "group", "localgroup":
		i.netGroup(domain || i.low[0] == "group", names)
	case "accounts":
		i.askDirectory(domain)
	case "start", "stop":
		if len(names) > 0 && i.elevated() {
			i.w.StartService(i.now, i.a, i.p.Host, names[0], map[string]string{"start": "running", "stop": "stopped"}[i.low[0]])
		}
	case "share":
		i.netShare(names)
	}
}

// operands are the arguments after the first that are no options.
func (i *invocation) operands() []string {
	var out []string
	for _, arg := range i.args[1:] {
		if !strings.HasPrefix(arg, "/") {
			out = append(out, arg)
		}
	}
	return out
}

// place is where accounts are changed: the controller for the domain, else the host; nil
// when the process may not.
func (i *invocation) place(domain bool) *Host {
	if domain || i.w.DomainController(i.p.Host) == i.p.Host {
		return i.controller()
	}
	if i.elevated() {
		return i.p.Host
	}
	return nil
}

func (i *invocation) netUser(domain bool, names []string) {
	at := i.place(domain)
	switch {
	case len(names) == 0 || !i.has("/add") && !i.has("/delete") && !i.has("/del") && len(names) == 1 &&
		!i.hasPrefix("/active"):
		i.askDirectory(domain)
	case at == nil:
	case i.has("/add"):
		i.w.CreateUser(i.now, i.a, at, i.p.Account, names[0])
	case i.has("/delete") || i.has("/del"):
		i.w.deleteUser(i.now, i.a, at, i.p.Account, names[0])
	case i.hasPrefix("/active:yes"):
		i.w.LogBy(i.now, i.a, at, i.p.Account, "Security 4722", i.w.target(at, names[0])...)
		i.w.ChangeUser(i.now, i.a, at, i.p.Account, names[0])
	case i.hasPrefix("/active:no"):
		i.w.LogBy(i.now, i.a, at, i.p.Account, "Security 4725", i.w.target(at, names[0])...)
		i.w.ChangeUser(i.now, i.a, at, i.p.Account, names[0])
	default:
		i.w.SetPassword(i.now, i.a, at, i.p.Account, names[0])
	}
}

func (i *invocation) hasPrefix(word string) bool {
	for _, arg := range i.low {
		if strings.HasPrefix(arg, word) {
			return true
		}
	}
	return false
}

func (i *invocation) netGroup(domain bool, names []string) {
	switch at := i.place(domain); {
	case i.has("/add") && len(names) > 1 && at != nil:
		i.w.AddMember(i.now, i.a, at, i.p.Account, names[1], names[0])
	case i.has("/delete") && len(names) > 1 && at != nil:
		i.w.LogBy(i.now, i.a, at, i.p.Account, "Security 4733", "TargetUserName", names[0], "MemberSid", i.w.newSID(names[1]))
	case domain:
		i.askDirectory(true)
	default:
		group := "Administrators"
		if len(names) > 0 {
			group = names[0]
		}
		i.w.enumerateGroup(i.now, i.a, i.p, group, "S-1-5-32-544")
	}
}

// askDirectory is the account database read: the domain's over the network, or the
// host's own.
func (i *invocation) askDirectory(domain bool) {
	dc := i.w.DomainController(i.p.Host)
	if !domain || dc == nil || i.p.Account == nil {
		i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 4661", "ObjectName", i.p.Host.Name)
		i.w.Log(i.now, i.a, i.p, "Security 4798")
		return
	}
	i.w.AccessShareFile(i.now, i.a, At(i.p.Host), dc, i.p.Account, `\\*\IPC$`, "samr", false)
	i.w.enumerateDirectory(i.now, i.a, dc, i.p.Account)
}

func (i *invocation) netShare(names []string) {
	if len(names) == 0 || !i.elevated() {
		return
	}
	name, folder, ok := strings.Cut(names[0], "=")
	if ok {
		i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 5142", "ShareName", `\\*\`+name, "ShareLocalPath", folder)
	}
}

// hives are the roots of the registry as tools and Sysmon write them.
var hives = strings.NewReplacer(
	"HKEY_LOCAL_MACHINE", "HKLM", "HKEY_CURRENT_USER", "HKCU", "hklm", "HKLM", "hkcu", "HKCU", "HKEY_USERS", "HKU",
	`HKLM\SYSTEM\CurrentControlSet`, `HKLM\System\CurrentControlSet`,
)

// registryKey is a key as Sysmon writes it: HKCU is the user's own hive.
func (i *invocation) registryKey(key string) string {
	key = strings.TrimSuffix(hives.Replace(key), `\`)
	if rest, ok := strings.CutPrefix(key, `HKCU\`); ok {
		return i.w.arena.Join(`HKU\`, sidOf(i.p.Account), `\`, rest)
	}
	return key
}

func runReg(i *invocation) {
	if len(i.low) < 2 {
		return
	}
	key := i.registryKey(i.args[1])
	switch i.low[0] {
	case "add":
		name := i.after("/v")
		if i.has("/ve") || name == "" {
			name = "(Default)"
		}
		value := i.after("/d")
		if i.after("/t") != "" && strings.EqualFold(i.after("/t"), "REG_DWORD") {
			value = dword(value)
		}
		i.w.SetRegistryValue(i.now, i.a, i.p, i.w.arena.Join(key, `\`, name), value)
	case "delete":
		if name := i.after("/v"); name != "" {
			key = i.w.arena.Join(key, `\`, name)
		}
		i.w.deleteRegistry(i.now, i.a, i.p, key)
	case "save", "export":
		if len(i.args) > 2 {
			i.w.openObject(i.now, i.a, i.p, "Key", strings.Replace(key, "HKLM", `\REGISTRY\MACHINE`, 1), "0x20019",
				"%%1538\r\n\t\t\t\t%%4432\r\n\t\t\t\t")
			i.w.CreateFile(i.now, i.a, i.p, i.args[2])
		}
	}
}

// dword writes a number as Sysmon writes one of 32 bits.
func dword(text string) string {
	text = strings.TrimPrefix(strings.ToLower(text), "0x")
	for len(text) < 8 {
		text = "0" + text
	}
	return "DWORD (0x" + text + ")"
}

func runSc(i *invocation) {
	args := i.args
	host := i.p.Host
	if len(args) > 0 && strings.HasPrefix(args[0], `\\`) {
		if host = i.w.hostOf(args[0][2:]); host == nil {
			return
		}
		args, i.low = args[1:], i.low[1:]
	}
	if len(args) < 2 || !i.elevated() {
		return
	}
	i.args = args
	service := args[1]
	switch i.low[0] {
	case "create":
		i.w.InstallService(i.now, i.a, host, i.p.Account, service, i.after("binpath="))
	case "start":
		i.w.StartService(i.now, i.a, host, service, "running")
	case "stop":
		i.w.StartService(i.now, i.a, host, service, "stopped")
	case "config":
		if path := i.after("binpath="); path != "" {
			i.w.SetRegistryValue(i.now, i.a, host.System(Services, `C:\Windows\system32\services.exe`),
				i.w.arena.Join(`HKLM\System\CurrentControlSet\Services\`, service, `\ImagePath`), path)
		}
		if start := i.after("start="); start != "" {
			i.w.SetRegistryValue(i.now, i.a, host.System(Services, `C:\Windows\system32\services.exe`),
				i.w.arena.Join(`HKLM\System\CurrentControlSet\Services\`, service,
					`\Start`), dword(map[string]string{"auto": "2", "demand": "3", "disabled": "4"}[start]))
			i.w.LogBy(i.now, i.a, host, i.p.Account, "System 7040", "param1", service, "param2", "auto start", "param3", start,
				"param4", service)
		}
	case "delete":
		i.w.deleteRegistry(i.now, i.a, host.System(Services, `C:\Windows\system32\services.exe`),
			i.w.arena.Join(`HKLM\System\CurrentControlSet\Services\`, service))
	case "sdset":
		i.w.Log(i.now, i.a, i.p, "Security 4670", "ObjectServer", "SC Manager", "ObjectType", "SERVICE OBJECT", "ObjectName",
			service, "NewSd", i.after(i.low[1]))
	}
}

func runSchtasks(i *invocation) {
	name := i.after("/tn")
	if name == "" || !i.elevated() && i.has("/ru") {
		return
	}
	if !strings.HasPrefix(name, `\`) {
		name = `\` + name
	}
	host := i.p.Host
	if on := i.after("/s"); on != "" {
		if to := i.w.hostOf(on); to != nil && i.p.Account != nil {
			i.w.AccessShareFile(i.now, i.a, At(host), to, i.p.Account, `\\*\IPC$`, "atsvc", true)
			host = to
		}
	}
	command, arguments, _ := strings.Cut(i.after("/tr"), " ")
	t := Task{Name: name, Command: command, Arguments: arguments}
	switch {
	case i.has("/create"):
		i.w.CreateTask(i.now, i.a, host, i.p.Account, t)
	case i.has("/delete"):
		i.w.DeleteTask(i.now, i.a, host, i.p.Account, t)
	case i.has("/change"):
		i.w.LogBy(i.now, i.a, host, i.p.Account, "Security 4702", "TaskName", name, "TaskContentNew", t.xml(i.w, i.p.Account))
		i.w.LogBy(i.now, i.a, host, i.p.Account, "TaskScheduler 140", "TaskName", name)
	}
}

func runWevtutil(i *invocation) {
	if len(i.low) > 1 && (i.low[0] == "cl" || i.low[0] == "clear-log") && i.elevated() {
		i.w.clearLog(i.now, i.a, i.p.Host, i.p.Account, i.args[1])
	}
}

// auditChanges are subcategories of the audit policy by number and identifier.
var auditChanges = [][2]string{
	{"%%12544", "{0cce9215-69ae-11d9-bed3-505054503030}"}, // Logon
	{"%%13312", "{0cce922b-69ae-11d9-bed3-505054503030}"}, // Process Creation
	{"%%14339", "{0cce9240-69ae-11d9-bed3-505054503030}"}, // Kerberos Service Ticket Operations
	{"%%12802", "{0cce921f-69ae-11d9-bed3-505054503030}"}, // Kernel Object
}

func runAuditpol(i *invocation) {
	if !i.elevated() {
		return
	}
	changes := auditChanges
	switch {
	case i.has("/set"):
		changes = auditChanges[:2]
	case !i.has("/clear") && !i.has("/remove") && !i.has("/restore"):
		return
	}
	for _, c := range changes {
		i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 4719", "SubcategoryId", c[0], "SubcategoryGuid", c[1],
			"AuditPolicyChanges", "%%8448, %%8450")
	}
}

func runNetsh(i *invocation) {
	if !i.elevated() {
		return
	}
	line := strings.ToLower(i.p.CommandLine)
	switch {
	case strings.Contains(line, "portproxy add"):
		listen := i.after("listenaddress=") + "/" + i.after("listenport=")
		i.w.SetRegistryValue(i.now, i.a, i.p, i.w.arena.Join(`HKLM\System\CurrentControlSet\Services\PortProxy\v4tov4\tcp\`,
			listen),
			i.w.arena.Join(i.after("connectaddress="), "/", i.after("connectport=")))
	case strings.Contains(line, "firewall") && strings.Contains(line, "add "):
		rule := i.after("name=")
		i.w.Log(i.now, i.a, i.p, "Firewall 2004", "RuleName", rule, "ApplicationPath", i.after("program="))
		i.w.Log(i.now, i.a, i.p, "Security 4946", "RuleName", rule)
		i.w.SetRegistryValue(i.now, i.a, i.p.Host.Service(ServicePolicy),
			`HKLM\System\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules\{`+rule+`}`, "v2.30|Action=Allow|Active=TRUE|Dir=In|")
	case strings.Contains(line, "state off"), strings.Contains(line, "opmode disable"), strings.Contains(line,
		"opmode mode=disable"):
		i.w.Log(i.now, i.a, i.p, "Firewall 2003")
		i.w.Log(i.now, i.a, i.p, "Security 4950")
		i.w.SetRegistryValue(i.now, i.a, i.p.Host.Service(ServicePolicy),
			`HKLM\System\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\DomainProfile\EnableFirewall`, "DWORD (0x00000000)")
	case strings.Contains(line, "firewall") && strings.Contains(line, "delete"):
		i.w.Log(i.now, i.a, i.p, "Firewall 2006", "RuleName", i.after("name="))
		i.w.Log(i.now, i.a, i.p, "Security 4948", "RuleName", i.after("name="))
	}
}

// runVssadmin starts the service of shadow copies, which those who delete them need.
func runVssadmin(i *invocation) {
	i.w.StartService(i.now, i.a, i.p.Host, "Volume Shadow Copy", "running")
	i.w.LogBy(i.now, i.a, i.p.Host, nil, "Security 4904")
	i.w.LogBy(i.now+time.Minute, i.a, i.p.Host, nil, "Security 4905")
}

func runBitsadmin(i *invocation) {
	url, file := "", ""
	for _, arg := range i.args {
		if strings.Contains(arg, "://") {
			url = arg
		} else if url != "" && file == "" {
			file = arg
		}
	}
	if url == "" {
		return
	}
	job := i.after("/transfer")
	i.w.Log(i.now, i.a, i.p, "BITS 3", "jobTitle", job)
	bits := i.p.Host.Service(ServiceBITS)
	i.w.Log(i.now+time.Second, i.a, bits, "BITS 59", "name", job, "url", url)
	i.w.Log(i.now+3*time.Second, i.a, bits, "BITS 60", "name", job, "url", url)
	i.w.Log(i.now+3*time.Second, i.a, bits, "BITS 5", "jobTitle", job)
	if file != "" {
		i.w.CreateFile(i.now+3*time.Second, i.a, bits, file)
	}
}

func runVaultcmd(i *invocation) {
	i.w.Log(i.now, i.a, i.p, "Security 5379", "TargetName", "*", "CountOfCredentialsReturned", "1", "ReturnCode", "0")
	if i.p.Binary.tool == "vaultcmd.exe" {
		i.w.Log(i.now, i.a, i.p, "Security 5381")
		i.w.Log(i.now, i.a, i.p, "Security 5382")
	}
}

func runSetspn(i *invocation) {
	dc := i.controller()
	if !i.has("-a") && !i.has("-s") && !i.has("/a") {
		readDirectory(i)
		return
	}
	if dc == nil || len(i.args) < 3 {
		return
	}
	name := i.args[2]
	i.w.ChangeDirectory(i.now, i.a, dc, i.p.Account, "user", i.w.userDN(name), "servicePrincipalName", i.args[1])
	i.w.ChangeUser(i.now, i.a, dc, i.p.Account, name)
}

// userDN is the name of an account's object in the directory.
func (w *World) userDN(name string) string {
	return w.arena.Join("CN=", name, ",CN=Users,DC=", strings.ReplaceAll(w.Domain, ".", ",DC="))
}

// readDirectory is the directory searched: reads of its objects (4662) on the controller.
func readDirectory(i *invocation) {
	dc := i.w.DomainController(i.p.Host)
	if dc == nil || i.p.Account == nil {
		return
	}
	i.w.Flow(i.now, i.a, Flow{From: At(i.p.Host), To: At(dc), Port: 389, Service: "ldap", Process: i.p, Sent: 4e3,
		Received: 90e3, Duration: time.Second})
	for _, class := range []string{"{bf967aba-0de6-11d0-a285-00aa003049e2}", "{bf967a9c-0de6-11d0-a285-00aa003049e2}"} {
		i.w.LogBy(i.now, i.a, dc, i.p.Account, "Security 4662", "ObjectType", "%"+class, "AccessMask", "0x10", "AccessList",
			"%%7684\r\n\t\t\t\t", "Properties", "%%7684\r\n\t\t{771727b1-31b8-4cdf-ae62-4fe39fadf89e}\r\n\t\t"+class)
	}
}

// runWmic starts programs through the WMI service of this or another host, or asks it.
func runWmic(i *invocation) {
	host := i.p.Host
	if node := strings.Trim(i.after("/node:"), `"`); node != "" {
		host = i.w.hostOf(node)
	} else {
		for _, arg := range i.args {
			if name, ok := strings.CutPrefix(strings.ToLower(arg), "/node:"); ok {
				host = i.w.hostOf(strings.Trim(name, `"`))
			}
		}
	}
	if host == nil || !host.Windows() {
		return
	}
	provider := host.System(WmiPrvSE, `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`)
	i.w.Log(i.now, i.a, provider, "WMI 5857")
	switch _, command, ok := strings.Cut(strings.ToLower(i.p.CommandLine), "call create "); {
	case ok && i.p.Account != nil:
		command = strings.Trim(i.p.CommandLine[len(i.p.CommandLine)-len(command):], `" `)
		b := Cmd
		if words := splitLine(command); len(words) > 0 {
			if known := byCommand[strings.ToLower(words[0])]; known != nil {
				b = known
			}
		}
		i.w.StartProcess(i.now+time.Second, i.a, Start{Host: host, Account: i.p.Account, Binary: b, CommandLine: command,
			Integrity: "High", Parent: provider})
	case strings.Contains(strings.ToLower(i.p.CommandLine), "shadowcopy"):
		runVssadmin(i)
	default:
		i.w.Log(i.now, i.a, provider, "WMI 5858")
	}
}

func runNtdsutil(i *invocation) {
	line := strings.ToLower(i.p.CommandLine)
	if strings.Contains(line, "set dsrm password") {
		i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 4794")
		return
	}
	if !strings.Contains(line, "ifm") {
		return
	}
	runVssadmin(i)
	for _, id := range []string{"Application 216", "Application 325", "Application 326", "Application 327"} {
		i.w.LogBy(i.now+2*time.Second, i.a, i.p.Host, nil, id, "Data", `NTDS, C:\Windows\Temp\Active Directory\ntds.dit`)
	}
}

func runEsentutl(i *invocation) {
	for n, arg := range i.low {
		if arg == "/y" && n+1 < len(i.args) {
			i.w.ReadFile(i.now, i.a, i.p, i.args[n+1])
		}
		if arg == "/d" && n+1 < len(i.args) {
			i.w.CreateFile(i.now, i.a, i.p, i.args[n+1])
		}
	}
}

// runRunas logs somebody else on: 4648 for the other's credentials, 4624 with the
// secondary logon's process.
func runRunas(i *invocation) {
	name := ""
	for _, arg := range i.args {
		if rest, ok := strings.CutPrefix(strings.ToLower(arg), "/user:"); ok {
			name = arg[len(arg)-len(rest):]
		}
	}
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	kind, id := "2", i.w.arena.Hex(0x30000+unique(i.a, i.p.Host, 4648)>>36)
	if i.has("/netonly") {
		kind = "9"
	}
	i.w.Log(i.now, i.a, i.p, "Security 4648", "TargetUserName", name)
	i.w.Log(i.now, i.a, i.p, "Security 4624", "TargetUserName", name, "LogonType", kind, "LogonProcessName", "seclogo",
		"TargetLogonId", id,
		"ProcessName", Svchost.Path)
	if len(i.args) > 0 {
		words := splitLine(i.args[len(i.args)-1])
		if len(words) > 0 {
			if b := byCommand[strings.ToLower(words[0])]; b != nil {
				i.child(b, i.args[len(i.args)-1])
				return
			}
		}
		i.child(Cmd, i.args[len(i.args)-1])
	}
}

func changePermissions(i *invocation) {
	if len(i.args) == 0 {
		return
	}
	object := i.args[0]
	if named := i.after("/f"); named != "" {
		object = named
	}
	i.w.Log(i.now, i.a, i.p, "Security 4670", "ObjectType", "File", "ObjectName", object)
}

func runTscon(i *invocation) {
	i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 4779")
	i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Security 4778")
	i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "LocalSession 25")
}

func runDnscmd(i *invocation) {
	if dll := i.after("/serverlevelplugindll"); dll != "" {
		if dc := i.w.DomainController(i.p.Host); dc != nil {
			i.w.SetRegistryValue(i.now, i.a, dc.System(dnsServer, dnsServer.Path),
				`HKLM\System\CurrentControlSet\Services\DNS\Parameters\ServerLevelPluginDll`, dll)
			i.w.LogBy(i.now+time.Minute, i.a, dc, nil, "DNSServer 150", "param1", dll)
		}
	}
}

var dnsServer = InSystem32("dns.exe", "dns.exe", "Domain Name System (DNS) Server")

func runWhoami(i *invocation) {
	if i.has("/groups") || i.has("/all") {
		i.w.enumerateGroup(i.now, i.a, i.p, "Administrators", "S-1-5-32-544")
	}
}

// runMofcomp makes a lasting subscription of WMI events: Sysmon 19 to 21, WMI 5861.
func runMofcomp(i *invocation) {
	i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "WMI 5861")
}

// runRundll32 reads what a library function dumps.
func runRundll32(i *invocation) {
	line := strings.ToLower(i.p.CommandLine)
	if strings.Contains(line, "comsvcs") && strings.Contains(line, "minidump") {
		i.w.usePrivileges(i.now, i.a, i.p)
	}
}

func runCertutil(i *invocation) {
	if i.has("-urlcache") && len(i.args) > 0 {
		i.w.CreateFile(i.now+time.Second, i.a, i.p, i.args[len(i.args)-1])
	}
}

// deleteRegistry is a key or value removed by a process (Sysmon 12).
func (w *World) deleteRegistry(now time.Duration, a *Actor, p *Process, key string) {
	e := w.begin(now, &event.SysmonRegistryDelete, p.Host, a, 9)
	if e == nil {
		return
	}
	w.by(e, now, p)
	e.Set(event.TargetObject, key)
	e.Set(event.EventType, "DeleteValue")
	w.finish(e, a)
}

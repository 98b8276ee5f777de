package world

import (
	"regexp"
	"strings"
	"time"

	"hemostat/sim/event"
)

// startPowerShell is what a PowerShell that starts writes about itself: the pipe by which
// others reach it (Sysmon 17), PowerShell 40961, 40962 and 53504, and 400 and 600 in the
// classic log.
func (w *World) startPowerShell(now time.Duration, a *Actor, p *Process) {
	ticks := 132_000_000_000_000_000 + unique(a, p.Host, 17)%1e15
	w.CreatePipe(now+190*time.Millisecond, a, p, w.arena.Join(`\PSHost.`, w.arena.Uint(ticks), ".",
		w.arena.Uint(uint64(p.PID)), ".DefaultAppDomain.powershell"))
	if w.unwatched(p.Host, event.ChannelModules, a, 6) {
		return
	}
	w.Log(now+200*time.Millisecond, a, p, "WindowsPowerShell 600")
	w.Log(now+210*time.Millisecond, a, p, "PowerShell 40961")
	w.Log(now+220*time.Millisecond, a, p, "PowerShell 53504")
	w.Log(now+230*time.Millisecond, a, p, "PowerShell 40962")
	w.Log(now+240*time.Millisecond, a, p, "WindowsPowerShell 400")
	w.Log(now+p.Binary.lifetime, a, p, "WindowsPowerShell 403")
}

// commands are the cmdlets and functions in a script: a verb, a hyphen and a noun.
var commands = regexp.MustCompile(`\b[A-Z][a-zA-Z]+-[A-Z][a-zA-Z0-9]+\b`)

// mostCommands bounds the commands of a script that are logged one by one.
const mostCommands = 8

// RunScript is a script that a PowerShell runs: the block itself (PowerShell 4104) and,
// where modules are logged, each command (4103, and 800 in the classic log) and the
// block's start and end (4105, 4106).
func (w *World) RunScript(now time.Duration, a *Actor, p *Process, text string) {
	id := w.guid(p.Host.machine, now, unique(a, p.Host, 4104))
	id = id[1 : len(id)-1]
	if e := w.begin(now, &event.PowerShellScript, p.Host, a, 5); e != nil {
		e.Set(event.ScriptBlockText, text)
		e.Set(event.ScriptBlockId, id)
		e.Set(event.MessageNumber, "1")
		e.Set(event.MessageTotal, "1")
		e.Set(event.ScriptPath, "")
		w.finish(e, a)
	}
	found := commandsOf(text)
	if !w.unwatched(p.Host, event.ChannelModules, a, 2+2*uint32(len(found))) {
		w.Log(now, a, p, "PowerShell 4105", "ScriptBlockId", id)
		for i, command := range found {
			at := now + time.Duration(i+1)*20*time.Millisecond
			w.Log(at, a, p, "PowerShell 4103", "Payload", w.invocation(command, text), "ContextInfo",
				w.scriptContext(p, unique(a, p.Host, 4103), command))
			w.Log(at, a, p, "WindowsPowerShell 800", "Data", w.arena.Join(text, ", ",
				w.hostApplication(p, unique(a, p.Host, 800)), ", ", w.invocation(command, text)))
		}
		w.Log(now+300*time.Millisecond, a, p, "PowerShell 4106", "ScriptBlockId", id)
	}
	w.useCmdlets(now, a, p, text, found)
}

func commandsOf(text string) []string {
	if found := commands.FindAllString(text, mostCommands); found != nil {
		return found
	}
	return []string{"Out-Default"}
}

// invocation is a command with its parameters as module logging writes them.
func (w *World) invocation(command, text string) string {
	var b strings.Builder
	b.WriteString("CommandInvocation(" + command + "): \"" + command + "\"\n")
	_, rest, _ := strings.Cut(text, command)
	if end := strings.IndexAny(rest, "|;\n"); end >= 0 {
		rest = rest[:end]
	}
	words := strings.Fields(rest)
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "-") && i+1 < len(words) && !strings.HasPrefix(words[i+1], "-"):
			b.WriteString("ParameterBinding(" + command + "): name=\"" + word[1:] + "\"; value=\"" + strings.Trim(words[i+1],
				`"'`) + "\"\n")
		case strings.HasPrefix(word, "-"):
			b.WriteString("ParameterBinding(" + command + "): name=\"" + word[1:] + "\"; value=\"True\"\n")
		case i == 0:
			b.WriteString("ParameterBinding(" + command + "): name=\"InputObject\"; value=\"" + strings.Trim(word,
				`"'`) + "\"\n")
		}
	}
	return b.String()
}

const engineVersion = "5.1.17763.1007"

// scriptContext is the ContextInfo of PowerShell's module log.
func (w *World) scriptContext(p *Process, u uint64, command string) string {
	id := w.guid(p.Host.machine, 0, u)
	id = id[1 : len(id)-1]
	return w.arena.Join("        Severity = Informational\r\n        Host Name = ConsoleHost\r\n        Host Version = ",
		engineVersion,
		"\r\n        Host ID = ", id, "\r\n        Host Application = ", p.CommandLine, "\r\n        Engine Version = ", engineVersion,
		"\r\n        Runspace ID = ", id, "\r\n        Pipeline ID = 3\r\n        Command Name = ", command, "\r\n        Command Type = Cmdlet\r\n        Script Name = \r\n        Command Path = \r\n        Sequence Number = 16\r\n        User = ",
		w.userName(p.Account), "\r\n        Connected User = \r\n        Shell ID = Microsoft.PowerShell\r\n")
}

// hostApplication is what the classic log tells of the host of an engine.
func (w *World) hostApplication(p *Process, u uint64) string {
	id := w.guid(p.Host.machine, 0, u)
	id = id[1 : len(id)-1]
	return w.arena.Join("\tDetailSequence=1\r\n\tDetailTotal=1\r\n\r\n\tSequenceNumber=15\r\n\r\n\tUserId=",
		w.userName(p.Account),
		"\r\n\tHostName=ConsoleHost\r\n\tHostVersion=", engineVersion, "\r\n\tHostId=", id, "\r\n\tHostApplication=", p.CommandLine,
		"\r\n\tEngineVersion=", engineVersion, "\r\n\tRunspaceId=", id, "\r\n\tPipelineId=1\r\n\tCommandName=\r\n\tCommandType=\r\n\tScriptName=\r\n\tCommandPath=\r\n\tCommandLine=")
}

// cmdlets are the commands of PowerShell that leave traces beside PowerShell's own logs.
var cmdlets map[string]func(*invocation)

func init() { // they start processes, which run scripts
	cmdlets = map[string]func(*invocation){
		"clear-eventlog": func(i *invocation) {
			for _, log := range strings.Split(i.after("-logname"), ",") {
				i.w.clearLog(i.now, i.a, i.p.Host, i.p.Account, log)
			}
		},
		"new-localuser": func(i *invocation) {
			if i.elevated() {
				i.w.CreateUser(i.now, i.a, i.p.Host, i.p.Account, i.after("-name"))
			}
		},
		"add-localgroupmember": func(i *invocation) {
			if i.elevated() {
				i.w.AddMember(i.now, i.a, i.p.Host, i.p.Account, i.after("-member"), i.after("-group"))
			}
		},
		"set-mppreference": changeDefender, "add-mppreference": changeDefender,
		"new-service": func(i *invocation) {
			i.w.InstallService(i.now, i.a, i.p.Host, i.p.Account, i.after("-name"), i.after("-binarypathname"))
		},
		"stop-service": func(i *invocation) { i.w.StartService(i.now, i.a, i.p.Host, i.after("-name"), "stopped") },
		"register-scheduledtask": func(i *invocation) {
			i.w.CreateTask(i.now, i.a, i.p.Host, i.p.Account, Task{Name: `\` + i.after("-taskname"),
				Command: i.after("-execute")})
		},
		"set-itemproperty": setProperty, "new-itemproperty": setProperty,
		"get-aduser": readDirectory, "get-adcomputer": readDirectory, "get-adgroupmember": readDirectory, "get-addomain": readDirectory,
		"get-adgroup": readDirectory, "get-netuser": readDirectory, "get-domainuser": readDirectory, "get-netgroup": readDirectory,
		"get-netcomputer": readDirectory, "get-domaincomputer": readDirectory, "get-domaingroup": readDirectory,
		"get-wmiobject": queryWMI, "get-ciminstance": queryWMI, "gwmi": queryWMI,
	}
}

func changeDefender(i *invocation) {
	i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Defender 5007", "New Value",
		`HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths\`+i.after("-exclusionpath")+` = 0x0`)
	if i.has("-disablerealtimemonitoring") {
		i.w.LogBy(i.now, i.a, i.p.Host, i.p.Account, "Defender 5001")
	}
}

func setProperty(i *invocation) {
	key := strings.Replace(strings.Replace(i.after("-path"), `HKLM:\`, `HKLM\`, 1), `HKCU:\`, `HKCU\`, 1)
	if strings.HasPrefix(key, "HK") {
		i.w.SetRegistryValue(i.now, i.a, i.p, i.w.arena.Join(i.registryKey(key), `\`, i.after("-name")), i.after("-value"))
	}
}

func queryWMI(i *invocation) {
	i.w.Log(i.now, i.a, i.p.Host.System(WmiPrvSE, `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`), "WMI 5857")
}

// useCmdlets lets the commands of a script have their effects.
func (w *World) useCmdlets(now time.Duration, a *Actor, p *Process, text string, commands []string) {
	for _, name := range commands {
		run := cmdlets[strings.ToLower(name)]
		if run == nil {
			continue
		}
		_, rest, _ := strings.Cut(text, name)
		if end := strings.IndexAny(rest, "|;\n"); end >= 0 {
			rest = rest[:end]
		}
		i := &invocation{w: w, now: now + 50*time.Millisecond, a: a, p: p,
			args: splitLine(strings.ReplaceAll(strings.Trim(rest, "() "), "'", `"`))}
		for _, arg := range i.args {
			i.low = append(i.low, strings.ToLower(arg))
		}
		run(i)
	}
}

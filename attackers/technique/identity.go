package technique

import (
	"errors"
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// Techniques against the cloud directory, where the perimeter is a sign-in page.
var identity = []*Technique{
	{
		ID: "T1078.004", Name: "Valid Accounts: Cloud Accounts", Tactic: "initial-access", Platforms: []string{"identity"},
		Needs: "a password bought, sprayed or stolen before", Effect: "a session in the cloud as somebody else",
		Telemetry: []string{"azure/signinlogs", "azure/riskdetection"}, Achieves: "cloud", Tools: []string{"legacy client", "from abroad, within the hour", "nearby proxy"}, Takes: sim.LogNormal(3*time.Minute, 0.7), Success: 0.95,
		run: signIn,
	},
	{
		ID: "T1621", Name: "Multi-Factor Authentication Request Generation", Tactic: "credential-access", Platforms: []string{"identity"},
		Needs: "the password of somebody with a second factor", Effect: "the second factor is approved out of weariness",
		Telemetry: []string{"azure/signinlogs"}, Achieves: "cloud", Tools: []string{"dozens at night", "a few with a phone call"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.45,
		run: wearOut,
	},
	{
		ID: "T1528", Name: "Steal Application Access Token", Tactic: "credential-access", Platforms: []string{"identity"},
		Needs: "mail reaches people", Effect: "an application of the attacker may read somebody's mail and files",
		Telemetry: []string{"azure/auditlogs", "azure/riskdetection", "azure/signinlogs"}, Achieves: "cloud", Tools: []string{"device code", "consent to an application"}, Takes: sim.LogNormal(20*time.Minute, 0.9), Success: 0.6,
		run: consent,
	},
	{
		ID: "T1539", Name: "Steal Web Session Cookie", Tactic: "credential-access", Platforms: []string{"windows", "identity"},
		Needs: "a foothold on Windows", Effect: "a signed-in session continues elsewhere, past the second factor",
		Telemetry: []string{"azure/riskdetection", "azure/signinlogs", "windows/sysmon 1 11"}, Achieves: "cloud", Tools: []string{"sqlite", "copy the cookie store", "from the browser's memory"}, Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.85,
		ready: needWindows, run: takeCookie,
	},
	{
		ID: "T1098.003", Name: "Account Manipulation: Additional Cloud Roles", Tactic: "persistence", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "the attacker's account holds a role of administrators",
		Telemetry: []string{"azure/auditlogs"}, Achieves: "persist", Tools: []string{"add to role", "application role"}, Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.7,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("a role of administrators is held", func(who *world.Account) {
				if a.Tool == "application role" {
					a.World.CloudAudit(a.Now, a.Actor, who, a.source(), "Add app role assignment to service principal", "targetResources.type", "Service Principal")
					return
				}
				a.World.CloudAudit(a.Now, a.Actor, who, a.source(), "Add member to role", "Category", "RoleManagement", "TargetResources", "62e90394-69f5-4237-9190-012177145e10", "properties.targetResources", "Global Administrator")
			})
		},
	},
	{
		ID: "T1098.005", Name: "Account Manipulation: Device Registration", Tactic: "persistence", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "the attacker's device counts as one of the company's",
		Telemetry: []string{"azure/auditlogs", "azure/signinlogs"}, Achieves: "persist", Tools: []string{"register a device", "second phone"}, Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.85,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("a device is registered", func(who *world.Account) {
				what := "Register device"
				if a.Tool == "second phone" {
					what = "User registered security info"
				}
				a.World.CloudAudit(a.Now, a.Actor, who, a.source(), what, "Category", "Device")
			})
		},
	},
	{
		ID: "T1114.002", Name: "Email Collection: Remote Email Collection", Tactic: "collection", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "somebody's mailbox lies ready to leave",
		Telemetry: []string{"azure/signinlogs"}, Tools: []string{"legacy protocol", "web mail"}, Takes: sim.LogNormal(10*time.Minute, 0.8), Success: 0.95,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("a mailbox is copied", func(who *world.Account) {
				client, agent := "Browser", browserAgent
				if a.Tool == "legacy protocol" {
					client, agent = "IMAP", "BAV2ROPC"
				}
				a.World.SignIn(a.Now, a.Actor, world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: client, Agent: agent, Generation: who.Generation, MFA: "token", App: "Office 365 Exchange Online"})
				size := a.Rand.For("mailbox")
				a.Staged += uint64(size.LogNormal(1.5e9, 0.7))
			})
		},
	},
	{
		ID: "T1114.003", Name: "Email Collection: Email Forwarding Rule", Tactic: "collection", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "new mail goes to the attacker, too",
		Telemetry: []string{"azure/auditlogs", "azure/riskdetection"}, Achieves: "persist", Tools: []string{"forward outside", "move to a hidden folder"}, Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.97,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("mail is forwarded", func(who *world.Account) {
				a.World.CloudAudit(a.Now, a.Actor, who, a.source(), "New-InboxRule")
				if a.Tool == "forward outside" {
					a.World.CloudRisk(a.Now+10*time.Minute, a.Actor, who, a.source(), "suspiciousInboxForwarding", "medium")
				}
			})
		},
	},
	{
		ID: "T1213.002", Name: "Data from Information Repositories: Sharepoint", Tactic: "collection", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "documents lie ready to leave",
		Telemetry: []string{"azure/signinlogs"}, Tools: []string{"sync client", "by hand"}, Takes: sim.LogNormal(15*time.Minute, 0.8), Success: 0.95,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("documents are copied", func(who *world.Account) {
				a.World.SignIn(a.Now, a.Actor, world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: "Browser", Agent: browserAgent, Generation: who.Generation, MFA: "token", App: "Office 365 SharePoint Online"})
				size := a.Rand.For("documents")
				a.Staged += uint64(size.LogNormal(3e9, 0.8))
			})
		},
	},
	{
		ID: "T1526", Name: "Cloud Service Discovery", Tactic: "discovery", Platforms: []string{"identity"},
		Needs: "a session in the cloud", Effect: "the directory's roles and applications are known",
		Telemetry: []string{"azure/signinlogs"}, Tools: []string{"AzureHound", "portal"}, Takes: sim.LogNormal(5*time.Minute, 0.8), Success: 0.97,
		ready: needCloud, run: func(a *Attempt) Progress {
			return a.inCloud("the directory is mapped", func(who *world.Account) {
				agent := browserAgent
				if a.Tool == "AzureHound" {
					agent = "azurehound/v2.1.7"
				}
				a.World.SignIn(a.Now, a.Actor, world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: "Mobile Apps and Desktop clients", Agent: agent, Generation: who.Generation, MFA: "token", App: "Microsoft Graph"})
			})
		},
	},
	{
		ID: "T1537", Name: "Transfer Data to Cloud Account", Tactic: "exfiltration", Platforms: []string{"identity"},
		Needs: "a session in the cloud, and data there", Effect: "the data is gone, and never passed the company's network",
		Telemetry: []string{"azure/auditlogs"}, Achieves: "exfiltrate", Tools: []string{"share outside", "copy to another tenant"}, Takes: sim.LogNormal(20*time.Minute, 0.8), Success: 0.95,
		ready: needCloud, run: func(a *Attempt) Progress {
			if a.Staged == 0 {
				return failure("%s", errNothingTaken)
			}
			return a.inCloud("the data is gone", func(who *world.Account) {
				a.World.CloudAudit(a.Now, a.Actor, who, a.source(), "Add external user to sharing link")
				a.Exfiltrated += a.Staged
				a.Staged = 0
			})
		},
	},
}

var errNoCloud = errors.New("no session in the cloud that still works")

// CloudSession is a session in the cloud directory.
type CloudSession struct {
	Account    *world.Account
	Generation int
}

// cloud is a session that still works: the account is not disabled, its credentials
// were not replaced, and the address is not blocked.
func (s *State) cloud() (*world.Account, world.Refusal) {
	var last world.Refusal
	for i := len(s.Cloud) - 1; i >= 0; i-- {
		c := s.Cloud[i]
		if last = s.World.MayLogOn(c.Account, c.Generation); last.OK() {
			return c.Account, last
		}
	}
	return nil, last
}

// CloudAccounts counts the accounts whose sessions in the cloud still work.
func (s *State) CloudAccounts() int {
	seen := map[*world.Account]bool{}
	for _, c := range s.Cloud {
		if s.World.MayLogOn(c.Account, c.Generation).OK() {
			seen[c.Account] = true
		}
	}
	return len(seen)
}

func needCloud(s *State) error {
	if who, _ := s.cloud(); who == nil {
		return errNoCloud
	}
	return nil
}

// inCloud acts in a session that works.
func (a *Attempt) inCloud(note string, act func(*world.Account)) Progress {
	who, refusal := a.cloud()
	if who == nil {
		if refusal.ByDefence() {
			return blocked(refusal)
		}
		return failure("%s", errNoCloud)
	}
	a.Account = who
	if a.failed {
		return failure("%s has not the right to that", who.Name)
	}
	act(who)
	if a.Technique.Achieves == "persist" && who.Home != nil {
		a.Persisted = append(a.Persisted, &world.Autostart{Host: who.Home, Attack: a.Actor.Label.Attack})
	}
	return success("as %s: %s", who.Name, note)
}

func (a *Attempt) enter(who *world.Account) {
	a.Cloud = append(a.Cloud, CloudSession{who, who.Generation})
	a.steal(who, false)
}

// country is where the attacker seems to be: skilled ones rent an exit nearby.
func (a *Attempt) country() string {
	where := a.Rand.For("country")
	if where.Bool(0.2 + 0.6*a.Stealth) {
		return "US"
	}
	return sim.Pick(&where, []string{"NG", "RU", "VN", "BR", "NL"})
}

// victim is an account whose password is known already, or one that was for sale;
// nil when there is none that fits.
func (a *Attempt) victim(mfa bool) *world.Account {
	for _, c := range a.Credentials {
		if !c.Refused && !c.Hash && c.Account.MFA == mfa && c.Account.Privilege != world.Service {
			return c.Account
		}
	}
	var fits []*world.Account
	for _, who := range a.World.Accounts {
		if who.Privilege == world.User && who.MFA == mfa && who.Home != nil {
			fits = append(fits, who)
		}
	}
	if len(fits) == 0 {
		return nil
	}
	return sim.Pick(&a.Rand, fits)
}

func signIn(a *Attempt) Progress {
	who := a.victim(false)
	if who == nil {
		return failure("no account without a second factor")
	}
	s := world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: "Browser", Agent: browserAgent, Generation: who.Generation, BadPassword: a.failed, App: "Office 365"}
	switch a.Tool {
	case "from abroad, within the hour":
		s.Country = "NG"
	case "legacy client":
		s.Client, s.Agent = "IMAP", "BAV2ROPC"
	default:
		s.Country = "US"
	}
	if r := a.World.SignIn(a.Now, a.Actor, s); !r.OK() {
		return Progress{Done: true, Refusal: onlyDefence(r), Note: "the sign-in as " + who.Name + " was refused: " + r.Reason}
	}
	if s.Country != "US" {
		a.World.CloudRisk(a.Now+5*time.Minute, a.Actor, who, a.source(), "impossibleTravel", "medium")
	} else if a.Rand.Bool(0.3) {
		a.World.CloudRisk(a.Now+20*time.Minute, a.Actor, who, a.source(), "unfamiliarFeatures", "low")
	}
	a.enter(who)
	return success("signed in as %s from %s", who.Name, s.Country)
}

// wearOut asks for the second factor again and again, one request a round.
func wearOut(a *Attempt) Progress {
	if a.Round == 0 {
		if a.Account = a.victim(true); a.Account == nil {
			return failure("nobody has a second factor")
		}
		a.Count = 15 + a.Rand.IntN(30)
		if a.Tool == "a few with a phone call" {
			a.Count = 2 + a.Rand.IntN(3)
		}
	}
	answer := sim.Pick(&a.Rand, []string{"denied", "unanswered", "unanswered"})
	last := a.Round >= a.Count
	if last && !a.failed {
		answer = "approved"
	}
	r := a.World.SignIn(a.Now, a.Actor, world.SignIn{Account: a.Account, From: a.source(), Country: a.country(), Client: "Browser", Agent: browserAgent, Generation: a.Account.Generation, MFA: answer, App: "Office 365"})
	switch {
	case r.ByDefence():
		return blocked(r)
	case last && a.failed:
		return failure("%s did not give in to %d requests", a.Account.Name, a.Round+1)
	case last:
		a.enter(a.Account)
		return success("%s approved the request number %d", a.Account.Name, a.Round+1)
	}
	return again(time.Duration(float64(45*time.Second) * (0.4 + a.Rand.Exp())))
}

func consent(a *Attempt) Progress {
	who := a.victim(true)
	if who == nil || a.failed {
		return failure("nobody agreed")
	}
	from := a.source()
	if a.Tool == "device code" {
		if r := a.World.SignIn(a.Now, a.Actor, world.SignIn{Account: who, From: from, Country: a.country(), Client: "Mobile Apps and Desktop clients", Agent: "python-requests/2.31", Generation: who.Generation, MFA: "approved", App: "Device Code"}); !r.OK() {
			return Progress{Done: true, Refusal: onlyDefence(r), Note: r.Reason}
		}
		a.World.CloudRisk(a.Now+8*time.Minute, a.Actor, who, from, "anomalousToken", "medium")
	} else {
		a.World.CloudAudit(a.Now, a.Actor, who, world.At(who.Home), "Consent to application", "ConsentContext.IsAdminConsent", "false")
		a.World.CloudAudit(a.Now+time.Second, a.Actor, who, world.At(who.Home), "Add delegated permission grant", "properties.targetResources", fmt.Sprintf("Mail Sync %s", a.label(4)))
	}
	a.enter(who)
	return success("%s has let the application in", who.Name)
}

func takeCookie(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	if f.Host.Owner == nil {
		return failure("nobody is signed in at %s", f.Host.Name)
	}
	switch a.Tool {
	case "sqlite":
		a.start(f, named(world.Dropped(`C:\Users\Public\sqlite3.exe`, &plain), "sqlite3.exe", "SQLite", "SQLite"), a.text(f, `sqlite3.exe "C:\Users\{user}\AppData\Local\Google\Chrome\User Data\Default\Network\Cookies" .dump`))
	case "copy the cookie store":
		a.start(f, world.Cmd, a.text(f, `cmd.exe /c copy "C:\Users\{user}\AppData\Local\Google\Chrome\User Data\Default\Network\Cookies" C:\Users\Public\c`))
	default:
		if f.Implant != nil {
			a.World.AccessProcess(a.Now, a.Actor, f.Implant.Process, world.Chrome, "0x1410", world.UsualCallTrace)
		}
	}
	if a.failed {
		return failure("the cookies are bound to the machine")
	}
	who := f.Host.Owner
	if r := a.World.SignIn(a.Now+time.Minute, a.Actor, world.SignIn{Account: who, From: a.source(), Country: a.country(), Client: "Browser", Agent: browserAgent, Generation: who.Generation, MFA: "token", App: "Office 365"}); !r.OK() {
		return Progress{Done: true, Refusal: onlyDefence(r), Note: r.Reason}
	}
	if a.Rand.Bool(0.5) {
		a.World.CloudRisk(a.Now+15*time.Minute, a.Actor, who, a.source(), "anomalousToken", "medium")
	}
	a.enter(who)
	return success("the session of %s continues elsewhere", who.Name)
}

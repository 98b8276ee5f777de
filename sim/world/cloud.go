package world

import (
	"time"

	"hemostat/sim/event"
)

// SignIn is one attempt to sign in to the company's cloud directory from anywhere.
type SignIn struct {
	Account     *Account
	From        Endpoint
	Country     string // two letters
	Client      string // Browser, or an application's kind
	Agent       string
	Device      string // id of a managed device, or none
	Generation  int
	BadPassword bool
	// MFA is how a second factor was answered: "" none was asked (or the account has
	// none), approved, denied, unanswered, token (a stolen session needs none).
	MFA string
	// App is what was signed in to.
	App string
}

// SignIn tries to sign in: a line of the sign-in log (Microsoft Entra ID's, under the
// names that public rules use). A refusal says why it failed.
func (w *World) SignIn(now time.Duration, a *Actor, s SignIn) Refusal {
	if b := w.addresses[s.From.IP()]; b != nil {
		return refusedBy("address_blocked", b)
	}
	refusal := w.MayLogOn(s.Account, s.Generation)
	code, text := "0", ""
	needs := "singleFactorAuthentication"
	if s.Account.MFA {
		needs = "multiFactorAuthentication"
	}
	switch {
	case !refusal.OK():
		code, text = "50057", "User account is disabled. The account has been disabled by an administrator."
	case s.BadPassword:
		code, text, refusal = "50126", "Invalid username or password or Invalid on-premise username or password.", Refusal{Reason: "bad_password"}
	case s.Account.MFA && s.MFA == "denied":
		code, text, refusal = "500121", "Authentication failed during strong authentication request. MFA denied; user declined the authentication", Refusal{Reason: "second_factor_denied"}
	case s.Account.MFA && (s.MFA == "" || s.MFA == "unanswered"):
		code, text, refusal = "50074", "Strong Authentication is required: Strong Auth required.", Refusal{Reason: "second_factor_required"}
	}
	host := w.tenant(s.Account)
	if e := w.begin(now, &event.CloudSignIn, host, a, 20); e != nil {
		status := "Success"
		switch {
		case s.MFA == "denied":
			status = "MFA Denied"
		case code != "0":
			status = "Failure"
		}
		e.SetName("ResultType", code)
		e.SetName("ResultDescription", text)
		e.SetName("Status", status)
		e.SetName("UserPrincipalName", s.Account.Name+"@"+w.Domain)
		e.SetName("IPAddress", s.From.IP())
		e.SetName("Location", s.Country)
		e.SetName("ClientAppUsed", s.Client)
		e.SetName("AppDisplayName", s.App)
		e.SetName("AuthenticationRequirement", needs)
		e.SetName("userAgent", s.Agent)
		e.SetName("DeviceDetail.deviceId", s.Device)
		e.SetName("ConditionalAccessStatus", map[bool]string{true: "success", false: "failure"}[code == "0"])
		if s.Device != "" {
			e.SetName("DeviceDetail.trusttype", "Hybrid Azure AD joined")
			e.SetName("DeviceDetail.isCompliant", "true")
			e.SetName("NetworkLocationDetails", `[{"networkType":"trustedNamedLocation"}]`)
		} else {
			e.SetName("NetworkLocationDetails", "[]")
		}
		e.Set(event.User, s.Account.Name)
		e.Set(event.SourceIp, s.From.IP())
		w.finish(e, a)
	}
	return refusal
}

// CloudRisk is what the directory's own risk engine says of a user, such as
// impossibleTravel.
func (w *World) CloudRisk(now time.Duration, a *Actor, who *Account, from Endpoint, kind, level string) {
	e := w.begin(now, &event.CloudRisk, w.tenant(who), a, 8)
	if e == nil {
		return
	}
	e.SetName("riskEventType", kind)
	e.SetName("riskLevel", level)
	e.SetName("riskState", "atRisk")
	e.SetName("userPrincipalName", who.Name+"@"+w.Domain)
	e.SetName("ipAddress", from.IP())
	e.Set(event.User, who.Name)
	e.Set(event.SourceIp, from.IP())
	w.finish(e, a)
}

// CloudAudit is a change to the directory, with further fields as names and values in
// turn.
func (w *World) CloudAudit(now time.Duration, a *Actor, who *Account, from Endpoint, message string, pairs ...string) {
	e := w.begin(now, &event.CloudAudit, w.tenant(who), a, 8+len(pairs)/2)
	if e == nil {
		return
	}
	e.SetName("properties.message", message)
	e.SetName("operationName", message)
	e.SetName("OperationName", message)
	e.SetName("Status", "Success")
	e.SetName("InitiatedBy", who.Name+"@"+w.Domain)
	e.SetName("IPAddress", from.IP())
	e.Set(event.User, who.Name)
	e.Set(event.SourceIp, from.IP())
	for i := 0; i+1 < len(pairs); i += 2 {
		e.SetName(pairs[i], pairs[i+1])
	}
	w.finish(e, a)
}

// tenant is the host through whose sensor an account's cloud events come: its own, or
// any.
func (w *World) tenant(who *Account) *Host {
	if who.Home != nil {
		return who.Home
	}
	return w.Hosts[0]
}

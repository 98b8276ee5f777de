package observe

import (
	"strings"
	"time"

	"hemostat/scenarios"
	"hemostat/scenarios/coverage"
	"hemostat/sim/event"
)

// Ordinary learns a simulated day without attackers, with the whole audit, and tells events
// that such a day holds anyway: of the same type, about the same programs, with the same
// object.
func Ordinary(s *scenarios.Scenario, length time.Duration) (func(*event.Event) bool, error) {
	seen := map[string]bool{}
	err := coverage.WholeDay(s, length, func(e *event.Event) { seen[signature(e)] = true })
	return func(e *event.Event) bool { return seen[signature(e)] }, err
}

// signatureFields are what makes two events the same for Ordinary.
var signatureFields = []event.Field{
	event.Image, event.CommandLine, event.ParentImage, event.SourceImage, event.TargetImage, event.GrantedAccess, event.ImageLoaded,
	event.TargetFilename, event.TargetObject, event.PipeName, event.QueryName, event.NewProcessName, event.ProcessName, event.ServiceName,
	event.TaskName, event.ShareName, event.RelativeTargetName, event.LogonType, event.LogonProcessName, event.ScriptBlockText, event.Payload,
	event.ObjectName, event.AccessMask, event.PrivilegeList, event.Status, event.TargetUserName, event.Message, event.HTTPHost, event.URI,
	event.DNSQuery,
}

func signature(e *event.Event) string {
	var b strings.Builder
	b.WriteString(eventType(e))
	for _, f := range signatureFields {
		if value, ok := e.Get(f); ok {
			b.WriteByte('\n')
			b.WriteString(blurred(value))
		}
	}
	for _, name := range []string{"Data", "AttributeValue", "ServicePrincipalNames"} {
		if value, ok := e.Extra(name); ok {
			b.WriteByte('\n')
			b.WriteString(blurred(value))
		}
	}
	return b.String()
}

// blurred is a text without what differs from host to host: case, digits, user folders.
func blurred(value string) string {
	value = strings.ToLower(value)
	if at := strings.Index(value, `c:\users\`); at >= 0 {
		rest := value[at+len(`c:\users\`):]
		if end := strings.IndexByte(rest, '\\'); end >= 0 {
			value = value[:at] + `c:\users\*` + rest[end:]
		}
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, value)
}

package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Each service that public rules name has a channel that brings its events.
func TestWindowsServicesHaveChannels(t *testing.T) {
	carried := map[string]bool{}
	for _, service := range windowsServices {
		carried[service] = true
	}
	for _, service := range []string{"application", "applocker", "appmodel-runtime", "appxdeployment-server", "appxpackaging-om", "bits-client", "capi2",
		"certificateservicesclient-lifecycle-system", "codeintegrity-operational", "diagnosis-scripted", "dns-client", "dns-server", "driver-framework", "firewall-as",
		"iis-configuration", "ldap", "lsa-server", "microsoft-servicebus-client", "msexchange-management", "ntlm", "openssh", "powershell-classic", "security",
		"security-mitigations", "shell-core", "smbclient-security", "smbserver-connectivity", "sysmon", "system", "taskscheduler",
		"terminalservices-localsessionmanager", "windefend", "wmi"} {
		require.True(t, carried[service], service)
	}
}

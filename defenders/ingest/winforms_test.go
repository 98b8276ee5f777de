package ingest

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// windowsForms are one refused logon in the forms that converters, collectors and
// exports give it.
var windowsForms = map[string]string{
	"flat":                       `{"EventID":4625,"Channel":"Security","Computer":"pc1","SystemTime":"2026-03-02T08:15:00.1Z","TargetUserName":"kim","IpAddress":"10.0.0.7"}`,
	"flat, with Hostname":        `{"EventID":"4625","Channel":"Security","Hostname":"pc1","@timestamp":"2026-03-02T08:15:00.100Z","EventTime":"2026-03-02 03:15:00","TargetUserName":"kim","IpAddress":"10.0.0.7"}`,
	"evtx_dump":                  `{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":4625,"TimeCreated":{"#attributes":{"SystemTime":"2026-03-02T08:15:00.100000Z"}},"Channel":"Security","Computer":"pc1"},"EventData":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}}}`,
	"evtx_dump, apart":           `{"Event":{"System":{"Provider_attributes":{"Name":"Microsoft-Windows-Security-Auditing"},"EventID":4625,"TimeCreated_attributes":{"SystemTime":"2026-03-02T08:15:00.100000Z"},"Channel":"Security","Computer":"pc1"},"EventData":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}}}`,
	"EventID with qualifiers":    `{"Event":{"System":{"EventID":{"#attributes":{"Qualifiers":0},"#text":4625},"TimeCreated":{"#attributes":{"SystemTime":"2026-03-02T08:15:00.1Z"}},"Channel":"Security","Computer":"pc1"},"EventData":{"Data":[{"#attributes":{"Name":"TargetUserName"},"#text":"kim"},{"#attributes":{"Name":"IpAddress"},"#text":"10.0.0.7"}]}}}`,
	"Data as array with @Name":   `{"Event":{"System":{"EventID":{"@Qualifiers":"0","#text":"4625"},"TimeCreated":{"@SystemTime":"2026-03-02T08:15:00.1Z"},"Channel":"Security","Computer":"pc1"},"EventData":{"Data":[{"@Name":"TargetUserName","#text":"kim"},{"@Name":"IpAddress","#text":"10.0.0.7"}]}}}`,
	"EventData as array":         `{"Event":{"System":{"EventID":4625,"TimeCreated":{"#attributes":{"SystemTime":"2026-03-02T08:15:00.1Z"}},"Channel":"Security","Computer":"pc1"},"EventData":[{"@Name":"TargetUserName","#text":"kim"},{"@Name":"IpAddress","#text":"10.0.0.7"}]}}`,
	"data before the system":     `{"Event":{"EventData":{"IpAddress":"10.0.0.7","TargetUserName":"kim"},"System":{"Channel":"Security","Computer":"pc1","EventID":4625,"TimeCreated":{"#attributes":{"SystemTime":"2026-03-02T08:15:00.1Z"}}}}}`,
	"without Event":              `{"System":{"EventID":4625,"TimeCreated":{"SystemTime":"2026-03-02T08:15:00.1Z"},"Channel":"Security","Computer":"pc1"},"EventData":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}}`,
	"Winlogbeat":                 `{"@timestamp":"2026-03-02T08:15:00.100Z","winlog":{"event_id":4625,"channel":"Security","computer_name":"pc1","provider_name":"Microsoft-Windows-Security-Auditing","event_data":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}},"message":"An account failed to log on."}`,
	"Winlogbeat, dotted":         `{"@timestamp":"2026-03-02T08:15:00.100Z","winlog.event_id":"4625","winlog.channel":"Security","winlog.computer_name":"pc1","winlog.event_data.TargetUserName":"kim","winlog.event_data.IpAddress":"10.0.0.7"}`,
	"Elasticsearch hit":          `{"_index":"winlogbeat","_id":"a","_source":{"@timestamp":"2026-03-02T08:15:00.100Z","event":{"code":"4625"},"host":{"name":"pc1"},"winlog":{"event_id":"4625","channel":"Security","computer_name":"pc1","event_data":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}}}}`,
	"Elasticsearch answer":       `{"took":5,"timed_out":false,"hits":{"total":{"value":1},"hits":[{"_source":{"@timestamp":"2026-03-02T08:15:00.100Z","winlog":{"event_id":"4625","channel":"Security","computer_name":"pc1","event_data":{"TargetUserName":"kim","IpAddress":"10.0.0.7"}}}}]}}`,
	"Splunk, fields":             `{"preview":false,"result":{"EventCode":"4625","Channel":"Security","ComputerName":"pc1","_time":"2026-03-02T08:15:00.100+00:00","TargetUserName":"kim","IpAddress":"10.0.0.7"}}`,
	"Splunk, raw XML":            `{"result":{"sourcetype":"XmlWinEventLog","_raw":"<Event xmlns='x'><System><EventID>4625</EventID><TimeCreated SystemTime='2026-03-02T08:15:00.1Z'/><Channel>Security</Channel><Computer>pc1</Computer></System><EventData><Data Name='TargetUserName'>kim</Data><Data Name='IpAddress'>10.0.0.7</Data></EventData></Event>"}}`,
	"Get-WinEvent":               `{"Id":4625,"Version":0,"LogName":"Security","ProviderName":"Microsoft-Windows-Security-Auditing","MachineName":"pc1","TimeCreated":"\/Date(1772439300100)\/","Message":"An account failed to log on.","Properties":[{"Value":"S-1-0-0"},{"Value":"-"},{"Value":"-"},{"Value":0},{"Value":"S-1-0-0"},{"Value":"kim"},{"Value":"PC1"},{"Value":-1073741715},{"Value":"%%2313"},{"Value":-1073741724},{"Value":3},{"Value":"NtLmSsp "},{"Value":"NTLM"},{"Value":"-"},{"Value":"-"},{"Value":"-"},{"Value":0},{"Value":0},{"Value":"-"},{"Value":"10.0.0.7"},{"Value":"0"}]}`,
	"Get-WinEvent of PowerShell": `{"Id":4625,"Version":0,"LogName":"Security","ProviderName":"Microsoft-Windows-Security-Auditing","MachineName":"pc1","TimeCreated":"2026-03-02T09:15:00.1+01:00","Properties":[{"Value":"S-1-0-0"},{"Value":"-"},{"Value":"-"},{"Value":0},{"Value":"S-1-0-0"},{"Value":"kim"},{"Value":"PC1"},{"Value":-1},{"Value":"%%2313"},{"Value":-1},{"Value":3},{"Value":"NtLmSsp "},{"Value":"NTLM"},{"Value":"-"},{"Value":"-"},{"Value":"-"},{"Value":0},{"Value":0},{"Value":"-"},{"Value":"10.0.0.7"},{"Value":"0"}]}`,
	"EvtxECmd":                   `{"EventId":4625,"Channel":"Security","Provider":"Microsoft-Windows-Security-Auditing","Computer":"pc1","TimeCreated":"2026-03-02T08:15:00.1000000+00:00","PayloadData1":"Target: kim","Payload":"{\"EventData\":{\"Data\":[{\"@Name\":\"TargetUserName\",\"#text\":\"kim\"},{\"@Name\":\"IpAddress\",\"#text\":\"10.0.0.7\"}]}}"}`,
	"Wazuh":                      `{"timestamp":"2026-03-02T08:15:01.000+0000","data":{"win":{"system":{"eventID":"4625","channel":"Security","computer":"pc1","systemTime":"2026-03-02T08:15:00.1000000Z","providerName":"Microsoft-Windows-Security-Auditing"},"eventdata":{"targetUserName":"kim","ipAddress":"10.0.0.7"}}}}`,
	"dotted XML":                 `{"Event.System.EventID":4625,"Event.System.Channel":"Security","Event.System.Computer":"pc1","Event.System.TimeCreated.SystemTime":"2026-03-02T08:15:00.1Z","Event.EventData.TargetUserName":"kim","Event.EventData.IpAddress":"10.0.0.7"}`,
	"XML":                        `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-Security-Auditing"/><EventID Qualifiers="0">4625</EventID><TimeCreated SystemTime="2026-03-02T08:15:00.1000000Z"/><Channel>Security</Channel><Computer>pc1</Computer></System><EventData><Data Name="TargetUserName">kim</Data><Data Name="IpAddress">10.0.0.7</Data></EventData></Event>`,
	"XML, rendered": `<?xml version="1.0" encoding="utf-8"?>
<Events>
<Event xmlns='x'>
  <System><EventID>4625</EventID><TimeCreated SystemTime='2026-03-02T08:15:00.1Z'/><Channel>Security</Channel><Computer>pc1</Computer></System>
  <EventData>
    <Data Name='TargetUserName'>kim</Data>
    <Data Name='IpAddress'>10.0.0.7</Data>
  </EventData>
  <RenderingInfo Culture='en-US'><Message>An account failed to log on.</Message><Channel>Sicherheit</Channel></RenderingInfo>
</Event>
</Events>`,
	"a message within a log shipper's": `{"@timestamp":"2026-03-02T08:16:00Z","log":"{\"EventID\":4625,\"Channel\":\"Security\",\"Computer\":\"pc1\",\"SystemTime\":\"2026-03-02T08:15:00.1Z\",\"TargetUserName\":\"kim\",\"IpAddress\":\"10.0.0.7\"}"}`,
}

func TestWindowsEventsInEveryForm(t *testing.T) {
	for form, text := range windowsForms {
		t.Run(form, func(t *testing.T) { requireLogon(t, text, 1) })
	}
}

func requireLogon(t *testing.T, text string, n int) {
	t.Helper()
	got, s := read(t, "events", "auto", text)
	require.Len(t, got, n)
	require.Zero(t, s.Skipped, "%v", s.Because)
	require.Zero(t, s.Undated)
	for _, e := range got {
		require.Equal(t, event.LogSource{Product: "windows", Service: "security"}, e.Source)
		require.Equal(t, "4625", e.Value(event.EventID))
		require.Equal(t, "Security", e.Value(event.LogChannel))
		require.Equal(t, "pc1", e.Host)
		require.Equal(t, "kim", e.Value(event.TargetUserName))
		require.Equal(t, "10.0.0.7", e.Value(event.IpAddress))
		require.Equal(t, "2026-03-02T08:15:00.1Z", time.Unix(0, int64(e.Time)).UTC().Format(time.RFC3339Nano))
	}
}

// What stands around records does not matter.
func TestRecordsInEveryWrapping(t *testing.T) {
	const one = `{"EventID":4625,"Channel":"Security","Computer":"pc1","SystemTime":"2026-03-02T08:15:00.1Z","TargetUserName":"kim","IpAddress":"10.0.0.7"}`
	pretty := strings.NewReplacer("{", "{\n  ", ",", ",\n  ", "}", "\n}").Replace(one)
	for wrapping, text := range map[string]string{
		"one a line":               one + "\n" + one + "\n",
		"no line end":              one + "\n" + one,
		"CRLF":                     one + "\r\n" + one + "\r\n",
		"blank lines":              "\n\n" + one + "\n\n\n" + one + "\n\n",
		"an array on one line":     "[" + one + "," + one + "]",
		"an array over lines":      "[\n" + one + ",\n" + one + "\n]\n",
		"an array, CRLF":           "[\r\n" + one + ",\r\n" + one + "\r\n]\r\n",
		"an array, pretty":         "[" + pretty + "," + pretty + "]",
		"an array a line":          "[" + one + "]\n[" + one + "]\n",
		"pretty":                   pretty + "\n" + pretty,
		"pretty, tabs":             strings.ReplaceAll(pretty+"\n"+pretty, "  ", "\t"),
		"pretty, all on the left":  strings.ReplaceAll(pretty+"\n"+pretty, "  ", ""),
		"behind each other":        one + one,
		"Record N":                 "Record 1\n" + pretty + "\nRecord 2\n" + pretty + "\n",
		"Record N, one a line":     "Record 1\n" + one + "\nRecord 2\n" + one + "\n",
		"Records":                  `{"Records":[` + one + "," + one + "]}",
		"value, other keys before": `{"@odata.context":"x","value":[` + one + "," + one + `],"next":null}`,
		"a byte order mark":        "\ufeff" + one + "\n" + one,
		"marks in the middle":      "\ufeff" + one + "\n\ufeff" + one,
		"comma between":            one + ",\n" + one + ",\n",
	} {
		t.Run(wrapping, func(t *testing.T) {
			requireLogon(t, text, 2)
			for _, big := range []bool{false, true} {
				for _, mark := range []bool{false, true} {
					requireLogon(t, utf16Text(strings.TrimPrefix(text, "\ufeff"), big, mark), 2)
				}
			}
		})
	}
}

func utf16Text(text string, big, mark bool) string {
	var b bytes.Buffer
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	for _, u := range units {
		_ = binary.Write(&b, order, u)
	}
	return b.String()
}

// An event of a log being cleared names the log; that does not become the event's own.
func TestUserDataDoesNotReplaceTheFrame(t *testing.T) {
	for _, text := range []string{
		`{"Event":{"UserData":{"LogFileCleared":{"#attributes":{"xmlns":"x"},"Channel":"Application","EventID":"7","Computer":"other","SubjectUserName":"kim"}},"System":{"EventID":104,"Channel":"System","Computer":"pc1","TimeCreated":{"#attributes":{"SystemTime":"2026-03-02T08:15:00Z"}}}}}`,
		`<Event><System><EventID>104</EventID><Channel>System</Channel><Computer>pc1</Computer><TimeCreated SystemTime="2026-03-02T08:15:00Z"/></System><UserData><LogFileCleared xmlns="x"><Channel>Application</Channel><EventID>7</EventID><Computer>other</Computer><SubjectUserName>kim</SubjectUserName></LogFileCleared></UserData></Event>`,
		`{"@timestamp":"2026-03-02T08:15:00Z","winlog":{"user_data":{"Channel":"Application","EventID":"7","Computer":"other","SubjectUserName":"kim","xml_name":"LogFileCleared"},"event_id":104,"channel":"System","computer_name":"pc1"}}`,
	} {
		got, _ := read(t, "x", "auto", text)
		require.Len(t, got, 1)
		require.Equal(t, "system", got[0].Source.Service)
		require.Equal(t, "104", got[0].Value(event.EventID))
		require.Equal(t, "pc1", got[0].Host)
		require.Equal(t, "pc1", got[0].Value(event.Computer))
		require.Equal(t, "kim", got[0].Value(event.SubjectUserName))
		require.Equal(t, []string{"System", "Application"}, got[0].Members(event.LogChannel, ""))
	}
}

func TestNamesWithSpacesAlsoStandWithout(t *testing.T) {
	got, _ := read(t, "x", "auto", `<Event><System><EventID>1116</EventID><Channel>Microsoft-Windows-Windows Defender/Operational</Channel><TimeCreated SystemTime="2026-03-02T08:15:00Z"/></System><EventData><Data Name="Threat Name">HTool</Data></EventData></Event>`)
	require.Equal(t, "windefend", got[0].Source.Service)
	for _, name := range []string{"Threat Name", "ThreatName", "Threat_Name"} {
		v, _ := got[0].Lookup(name)
		require.Equal(t, "HTool", v, name)
	}
}

// Events of the Security log also serve rules on registry values and connections.
func TestSecurityEventsServeOtherCategories(t *testing.T) {
	got, _ := read(t, "x", "auto", `{"EventID":4657,"Channel":"Security","SystemTime":"2026-03-02T08:15:00Z","ObjectName":"\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run","ObjectValueName":"evil","NewValue":"c:\\x.exe","OperationType":"%%1904","ProcessName":"C:\\Windows\\regedit.exe"}
{"EventID":5156,"Channel":"Security","SystemTime":"2026-03-02T08:15:00Z","Application":"\\device\\harddiskvolume3\\windows\\system32\\svchost.exe","Direction":"%%14593","SourceAddress":"10.0.0.5","SourcePort":"50000","DestAddress":"203.0.113.9","DestPort":"443","Protocol":"6"}
`)
	require.Equal(t, event.LogSource{Category: "registry_set", Product: "windows", Service: "security"}, got[0].Source)
	require.Equal(t, `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\evil`, got[0].Value(event.TargetObject))
	require.Equal(t, `c:\x.exe`, got[0].Value(event.Details))
	require.Equal(t, `C:\Windows\regedit.exe`, got[0].Value(event.Image))
	require.Equal(t, "network_connection", got[1].Source.Category)
	require.Equal(t, `C:\windows\system32\svchost.exe`, got[1].Value(event.Image))
	require.Equal(t, "203.0.113.9", got[1].Value(event.DestinationIp))
	require.Equal(t, "true", got[1].Value(event.Initiated))
	require.Equal(t, "tcp", got[1].Value(event.Protocol))
}

func TestSysmonForLinuxAndGetWinEventOfSysmon(t *testing.T) {
	got, s := read(t, "syslog", "auto", `Mar  2 08:15:00 web1 sysmon: <Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/><EventID>1</EventID><TimeCreated SystemTime="2026-03-02T08:15:00.000000000Z"/><Channel>Linux-Sysmon/Operational</Channel><Computer>web1</Computer></System><EventData><Data Name="Image">/usr/bin/whoami</Data></EventData></Event>
`)
	require.Zero(t, s.Skipped)
	require.Equal(t, event.LogSource{Category: "process_creation", Product: "linux", Service: "sysmon"}, got[0].Source)
	require.Equal(t, "/usr/bin/whoami", got[0].Value(event.Image))
	got, _ = read(t, "x", "auto", `{"Id":1,"Version":5,"LogName":"Microsoft-Windows-Sysmon/Operational","ProviderName":"Microsoft-Windows-Sysmon","MachineName":"pc1","TimeCreated":"2026-03-02T08:15:00Z","Message":"Process Create:\r\nRuleName: -\r\nImage: C:\\Windows\\System32\\whoami.exe\r\nCommandLine: whoami /all\r\n"}`)
	require.Equal(t, `C:\Windows\System32\whoami.exe`, got[0].Value(event.Image))
	require.Equal(t, "whoami /all", got[0].Value(event.CommandLine))
}

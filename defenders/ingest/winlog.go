package ingest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// winlogDecoder reads one Windows event a line: flat, nested under Event with
// System and EventData, or as Winlogbeat writes it.
type winlogDecoder struct {
	parser fastjson.Parser
	arena  event.Arena
	clock  int // rank among clocks of the time found so far
}

// clocks are the fields that hold a time, the best first: EventTime carries no
// time zone.
var clocks = []string{"SystemTime", "TimeCreated", "@timestamp", "EventTime"}

func (d *winlogDecoder) decode(line []byte, emit func(*event.Event) error) (string, error) {
	v, err := d.parser.ParseBytes(line)
	if err != nil {
		return "no valid JSON", nil
	}
	root, err := v.Object()
	if err != nil {
		return "no JSON object", nil
	}
	e := d.arena.New(40)
	d.clock = len(clocks)
	if reason := d.fill(e, root); reason != "" {
		return reason, nil
	}
	return "", emit(e)
}

func (d *winlogDecoder) fill(e *event.Event, root *fastjson.Object) string {
	switch {
	case root.Get("Event") != nil:
		d.nested(e, root.Get("Event"))
	case root.Get("winlog") != nil:
		d.winlogbeat(e, root)
	default:
		d.flat(e, root)
	}
	id, channel := e.Value(event.EventID), e.Value(event.LogChannel)
	if id == "" {
		return "no EventID"
	}
	e.Source = windowsSource(channel, id, e.Value(event.EventType))
	if e.Source.Service == "sysmon" {
		if kind, ok := e.Lookup("EventTypeOrignal"); ok && e.Value(event.EventType) == "INFO" {
			e.Set(event.EventType, kind)
		}
	}
	if e.Time == 0 {
		e.Time = textTime(e.Value(event.UtcTime))
	}
	e.Observed = e.Time
	return ""
}

// meta are the names that collectors use for an event's frame.
func (d *winlogDecoder) meta(e *event.Event, name, value string) bool {
	switch name {
	case "Hostname", "Computer", "computer_name":
		e.Host = value
		e.Set(event.Computer, value)
	case "TimeCreated", "@timestamp", "EventTime", "SystemTime":
		if rank := slices.Index(clocks, name); rank < d.clock {
			if t := textTime(value); t != 0 {
				e.Time, d.clock = t, rank
			}
		}
	case "EventID", "event_id":
		e.Set(event.EventID, value)
	case "Channel", "channel":
		e.Set(event.LogChannel, value)
	case "SourceName", "provider_name", "Provider":
		e.Set(event.ProviderName, value)
	default:
		return false
	}
	return true
}

func (d *winlogDecoder) flat(e *event.Event, o *fastjson.Object) {
	o.Visit(func(key []byte, v *fastjson.Value) {
		if value, ok := d.text(v); ok && !d.meta(e, string(key), value) {
			e.SetName(d.arena.Join(string(key)), value)
		}
	})
}

func (d *winlogDecoder) nested(e *event.Event, v *fastjson.Value) {
	if sys := v.GetObject("System"); sys != nil {
		sys.Visit(func(key []byte, v *fastjson.Value) {
			name := string(key)
			if a := v.GetObject("#attributes"); a != nil {
				for _, inner := range []string{"SystemTime", "Name"} {
					if t, ok := d.text(a.Get(inner)); ok {
						if inner == "Name" {
							d.meta(e, "Provider", t)
						} else {
							d.meta(e, inner, t)
						}
					}
				}
			}
			if t := v.Get("#text"); t != nil {
				v = t
			}
			if t, ok := d.text(v); ok {
				d.meta(e, name, t)
			}
		})
	}
	for _, section := range []string{"EventData", "UserData"} {
		o := v.GetObject(section)
		if o == nil {
			continue
		}
		o.Visit(func(key []byte, v *fastjson.Value) {
			if inner := v.GetObject(); inner != nil && section == "UserData" {
				d.flat(e, inner)
				return
			}
			if unnamed := v.Get("#text"); unnamed != nil {
				v = unnamed // <Data> elements without a name, as evtx_dump writes them
			}
			if value, ok := d.text(v); ok {
				e.SetName(d.arena.Join(string(key)), value)
			}
		})
	}
}

func (d *winlogDecoder) winlogbeat(e *event.Event, root *fastjson.Object) {
	if t, ok := d.text(root.Get("@timestamp")); ok {
		d.meta(e, "@timestamp", t)
	}
	w := root.Get("winlog")
	if o := w.GetObject(); o != nil {
		o.Visit(func(key []byte, v *fastjson.Value) {
			if t, ok := d.text(v); ok {
				d.meta(e, string(key), t)
			}
		})
	}
	if data := w.GetObject("event_data"); data != nil {
		data.Visit(func(key []byte, v *fastjson.Value) {
			if t, ok := d.text(v); ok {
				e.SetName(d.arena.Join(string(key)), t)
			}
		})
	}
}

// text is a JSON scalar as field text; containers and null are none.
func (d *winlogDecoder) text(v *fastjson.Value) (string, bool) { return jsonText(&d.arena, v) }

func jsonText(arena *event.Arena, v *fastjson.Value) (string, bool) {
	if v == nil {
		return "", false
	}
	switch v.Type() {
	case fastjson.TypeString:
		b := v.GetStringBytes()
		return arena.Text(len(b), func(out []byte) []byte { return append(out, b...) }), true
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return arena.Text(24, v.MarshalTo), true
	case fastjson.TypeArray:
		var parts []string
		for _, item := range v.GetArray() {
			if t, ok := jsonText(arena, item); ok {
				parts = append(parts, t)
			}
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05",
}

// textTime reads a time as nanoseconds since the Unix epoch, 0 when it is none.
func textTime(s string) time.Duration {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return time.Duration(t.UnixNano())
		}
	}
	return 0
}

// windowsSource is the log source of an event of a Windows channel (Sigma
// taxonomy; the channels are those of the public Windows pipelines).
func windowsSource(channel, id, eventType string) event.LogSource {
	s := event.LogSource{Product: "windows", Service: windowsServices[strings.ToLower(channel)]}
	switch s.Service {
	case "sysmon":
		s.Category = sysmonCategories[id]
		if id == "12" && strings.HasPrefix(eventType, "Delete") {
			s.Category = "registry_delete"
		}
	case "security":
		if id == "4688" {
			s.Category = "process_creation"
		}
	case "powershell":
		s.Category = map[string]string{"4104": "ps_script", "4103": "ps_module"}[id]
	case "powershell-classic":
		s.Category = map[string]string{"400": "ps_classic_start", "600": "ps_classic_provider_start", "800": "ps_classic_script"}[id]
	case "":
		s.Service = strings.ToLower(channel)
	}
	return s
}

var windowsServices = map[string]string{
	"microsoft-windows-sysmon/operational": "sysmon",
	"security":                             "security",
	"system":                               "system",
	"application":                          "application",
	"microsoft-windows-powershell/operational":                                 "powershell",
	"powershellcore/operational":                                               "powershell",
	"windows powershell":                                                       "powershell-classic",
	"microsoft-windows-taskscheduler/operational":                              "taskscheduler",
	"microsoft-windows-wmi-activity/operational":                               "wmi",
	"microsoft-windows-windows defender/operational":                           "windefend",
	"microsoft-windows-terminalservices-localsessionmanager/operational":       "terminalservices-localsessionmanager",
	"microsoft-windows-bits-client/operational":                                "bits-client",
	"microsoft-windows-codeintegrity/operational":                              "codeintegrity-operational",
	"microsoft-windows-dns-client/operational":                                 "dns-client",
	"microsoft-windows-ntlm/operational":                                       "ntlm",
	"microsoft-windows-printservice/operational":                               "printservice-operational",
	"microsoft-windows-printservice/admin":                                     "printservice-admin",
	"microsoft-windows-smbclient/security":                                     "smbclient-security",
	"microsoft-windows-smbclient/connectivity":                                 "smbclient-connectivity",
	"microsoft-windows-applocker/exe and dll":                                  "applocker",
	"microsoft-windows-applocker/msi and script":                               "applocker",
	"microsoft-windows-windows firewall with advanced security/firewall":       "firewall-as",
	"microsoft-windows-driverframeworks-usermode/operational":                  "driver-framework",
	"microsoft-windows-ldap-client/debug":                                      "ldap",
	"microsoft-windows-appxdeploymentserver/operational":                       "appxdeployment-server",
	"microsoft-windows-appmodel-runtime/admin":                                 "appmodel-runtime",
	"microsoft-windows-security-mitigations/kernelmode":                        "security-mitigations",
	"microsoft-windows-security-mitigations/usermode":                          "security-mitigations",
	"microsoft-windows-openssh/operational":                                    "openssh",
	"microsoft-windows-shell-core/operational":                                 "shell-core",
	"microsoft-windows-diagnosis-scripted/operational":                         "diagnosis-scripted",
	"microsoft-windows-certificateservicesclient-lifecycle-system/operational": "certificateservicesclient-lifecycle-system",
	"microsoft-windows-capi2/operational":                                      "capi2",
	"microsoft-windows-vhdmp-operational":                                      "vhdmp",
	"microsoft-servicebus-client":                                              "microsoft-servicebus-client",
	"microsoft-servicebus-client/operational":                                  "microsoft-servicebus-client",
	"msexchange management":                                                    "msexchange-management",
	"dns server":                                                               "dns-server",
	"microsoft-windows-dns-server/analytical":                                  "dns-server-analytic",
	"microsoft-windows-kernel-shimengine/operational":                          "kernel-shimengine",
	"microsoft-windows-kernel-shimengine/diagnostic":                           "kernel-shimengine",
	"microsoft-windows-application-experience/program-telemetry":               "application-experience",
	"microsoft-windows-application-experience/program-compatibility-assistant": "application-experience",
	"microsoft-windows-kernel-eventtracing/admin":                              "kernel-event-tracing",
	"microsoft-windows-hyper-v-worker-admin":                                   "hyper-v-worker",
	"microsoft-windows-sense/operational":                                      "sense",
	"microsoft-windows-vhdmp/operational":                                      "vhdmp",
	"microsoft-windows-dhcp-server/operational":                                "dhcp",
	"microsoft-windows-dns-server/audit":                                       "dns-server-audit",
	"microsoft-windows-smbserver/connectivity":                                 "smbserver-connectivity",
	"microsoft-windows-appxpackaging/operational":                              "appxpackaging-om",
	"microsoft-windows-applocker/packaged app-deployment":                      "applocker",
	"microsoft-windows-applocker/packaged app-execution":                       "applocker",
	"microsoft-windows-lsa-server/operational":                                 "lsa-server",
	"microsoft-windows-iis-configuration/operational":                          "iis-configuration",
	"microsoft-iis-configuration/operational":                                  "iis-configuration",
}

var sysmonCategories = map[string]string{
	"1": "process_creation", "2": "file_change", "3": "network_connection", "4": "sysmon_status", "5": "process_termination",
	"6": "driver_load", "7": "image_load", "8": "create_remote_thread", "9": "raw_access_thread", "10": "process_access",
	"11": "file_event", "12": "registry_add", "13": "registry_set", "14": "registry_rename", "15": "create_stream_hash",
	"16": "sysmon_status", "17": "pipe_created", "18": "pipe_created", "19": "wmi_event", "20": "wmi_event", "21": "wmi_event",
	"22": "dns_query", "23": "file_delete", "24": "clipboard_capture", "25": "process_tampering", "26": "file_delete",
	"27": "file_block_executable", "28": "file_block_shredding", "29": "file_executable_detected", "255": "sysmon_error",
}

// readDocuments reads JSON that is spread over lines: one object after another,
// or an array of them.
func readDocuments(name string, in *bufio.Reader, d decoder, s *Summary, emit func(*event.Event) error) error {
	stream := json.NewDecoder(in)
	one := func(raw json.RawMessage) error {
		reason, err := d.decode(raw, emit)
		s.count(reason)
		return err
	}
	for {
		var raw json.RawMessage
		err := stream.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
		if err != nil {
			s.skip("no valid JSON: the rest of the file is unreadable", 1)
			return &badLogError{name, "it is no valid JSON from a place on: " + err.Error()}
		}
		if len(raw) > 0 && raw[0] == '[' {
			var items []json.RawMessage
			if err := json.Unmarshal(raw, &items); err != nil {
				return fmt.Errorf("log %s: %w", name, err)
			}
			for _, item := range items {
				if err := one(item); err != nil {
					return err
				}
			}
			continue
		}
		if err := one(raw); err != nil {
			return err
		}
	}
}

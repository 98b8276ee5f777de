package ingest

import (
	"strings"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// ecsNames are the fields of the Elastic Common Schema under the names that Sigma's
// rules have for them.
var ecsNames = []struct {
	path string
	to   event.Field
}{
	{"process.executable", event.Image},
	{"process.command_line", event.CommandLine},
	{"process.working_directory", event.CurrentDirectory},
	{"process.parent.executable", event.ParentImage},
	{"process.parent.command_line", event.ParentCommandLine},
	{"process.pid", event.ProcessId},
	{"process.parent.pid", event.ParentProcessId},
	{"process.pe.original_file_name", event.OriginalFileName},
	{"process.pe.description", event.Description},
	{"process.pe.product", event.Product},
	{"process.pe.company", event.Company},
	{"process.entity_id", event.ProcessGuid},
	{"source.ip", event.SourceIp},
	{"source.port", event.SourcePort},
	{"source.domain", event.SourceHostname},
	{"destination.ip", event.DestinationIp},
	{"destination.port", event.DestinationPort},
	{"destination.domain", event.DestinationHostname},
	{"dns.question.name", event.QueryName},
	{"file.path", event.TargetFilename},
	{"registry.path", event.TargetObject},
	{"registry.data.strings", event.Details},
	{"dll.path", event.ImageLoaded},
	{"user.name", event.User},
}

// ecsFields gives an event the fields of the Elastic Common Schema that it does not
// have under another name yet.
func ecsFields(e *event.Event, value func(path string) string) {
	for _, n := range ecsNames {
		e.SetAbsent(n.to, value(n.path))
	}
}

// isECS tells whether a document has Elastic's common fields and no winlog.
func isECS(o *fastjson.Object) bool {
	return has(o, "@timestamp") &&
		(has(o, "process.executable") || has(o, "process.name") || has(o, "event.category") ||
			has(o, "destination.ip") || has(o, "dns.question.name") || has(o, "ecs.version"))
}

// ecsCategories are the log sources of ECS categories.
var ecsCategories = map[string]string{
	"process": "process_creation", "network": "network_connection", "file": "file_event", "registry": "registry_set",
	"library": "image_load", "driver": "driver_load", "dns": "dns_query", "web": "webserver",
}

func (d *jsonDecoder) ecs(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "@timestamp", "event.created")
	value := func(path string) string {
		v, _ := e.Lookup(path)
		return v
	}
	ecsFields(e, value)
	e.Host = value("host.name")
	if e.Host == "" {
		e.Host = value("host.hostname")
	}
	system := strings.ToLower(value("host.os.type"))
	if system == "" {
		system = strings.ToLower(value("host.os.family"))
	}
	switch system {
	case "debian", "redhat", "ubuntu", "centos", "rhel", "suse", "fedora", "arch":
		system = "linux"
	case "darwin":
		system = "macos"
	}
	category, _, _ := strings.Cut(value("event.category"), ",")
	e.Source = event.LogSource{Category: ecsCategories[category], Product: system}
	if value("dns.question.name") != "" && category == "network" {
		e.Source.Category = "dns_query"
		e.SetName("query", value("dns.question.name"))
	}
	if e.Source.Category == "" && (value("process.command_line") != "" || value("process.executable") != "") {
		e.Source.Category = "process_creation"
	}
	if e.Source.Product == "" && e.Source.Category != "webserver" {
		e.Source.Product = "windows"
		if strings.HasPrefix(value("process.executable"), "/") {
			e.Source.Product = "linux"
		}
	}
	e.Source.Service = value("event.dataset")
	if message := value("message"); message != "" {
		e.SetName("Message", message)
	}
	return ""
}

package ingest

import (
	"strings"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// isCloudTrail tells whether a document is a record of AWS CloudTrail.
func isCloudTrail(o *fastjson.Object) bool {
	return has(o, "eventSource", "eventName") &&
		(has(o, "eventVersion") || has(o, "awsRegion") || has(o, "userIdentity"))
}

func (d *jsonDecoder) cloudTrail(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "eventTime")
	e.Source = event.LogSource{Product: "aws", Service: "cloudtrail"}
	e.Host = d.scalar(o.Get("recipientAccountId"))
	copyField(e, "sourceIPAddress", "SourceIp")
	copyField(e, "userIdentity.arn", "User")
	return ""
}

// isKubernetes tells whether a document is an event of Kubernetes' audit log.
func isKubernetes(o *fastjson.Object) bool {
	return has(o, "auditID", "verb") || has(o, "requestURI", "verb", "stage") || has(o, "objectRef", "verb")
}

func (d *jsonDecoder) kubernetes(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "requestReceivedTimestamp", "stageTimestamp", "timestamp", "metadata.creationTimestamp")
	e.Source = event.LogSource{Category: "application", Product: "kubernetes", Service: "audit"}
	copyField(e, "sourceIPs", "SourceIp")
	copyField(e, "user.username", "User")
	// SigmaHQ's rules ask for parts of the request by short names.
	copyField(e, "objectRef.apiGroup", "apiGroup")
	copyField(e, "requestObject.spec.volumes.hostPath.path", "hostPath")
	copyField(e, "requestObject.spec.template.spec.volumes.hostPath.path", "hostPath")
	copyField(e, "requestObject.spec.containers.securityContext.capabilities.add", "capabilities")
	return ""
}

// isOkta tells whether a document is an event of Okta's system log.
func isOkta(o *fastjson.Object) bool {
	return has(o, "eventType", "actor") && (has(o, "published") || has(o, "outcome") || has(o, "displayMessage"))
}

func (d *jsonDecoder) okta(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "published")
	e.Source = event.LogSource{Product: "okta", Service: "okta"}
	copyField(e, "client.ipAddress", "SourceIp")
	copyField(e, "actor.alternateId", "User", "actor.alternateid")
	lowerNames(e, "eventType", "displayMessage", "legacyEventType")
	return ""
}

// lowerNames gives fields a second name in lower case, which older rules use.
func lowerNames(e *event.Event, names ...string) {
	for _, name := range names {
		copyField(e, name, strings.ToLower(name))
	}
}

// isGCP tells whether a document is an audit log entry of Google Cloud, or of Google
// Workspace as Cloud Logging keeps it.
func isGCP(o *fastjson.Object) bool {
	return has(o, "protoPayload") || has(o, "data.protoPayload") || has(o, "logName", "insertId")
}

func (d *jsonDecoder) gcp(e *event.Event, o *fastjson.Object) string {
	if inner := o.Get("data").GetObject(); inner != nil && inner.Get("protoPayload") != nil { // of Pub/Sub
		o = inner
	}
	d.flatten(e, o)
	d.timeFrom(e, o, "timestamp", "receiveTimestamp")
	e.Source = event.LogSource{Product: "gcp", Service: "gcp.audit"}
	switch service := d.scalar(at(o, "protoPayload.serviceName")); service {
	case "login.googleapis.com":
		e.Source.Service = "google_workspace.login"
	case "admin.googleapis.com":
		e.Source.Service = "google_workspace.admin"
	}
	copyField(e, "protoPayload.serviceName", "protoPayload.Servicename", "eventService")
	copyField(e, "protoPayload.metadata.event.eventName", "eventName")
	copyField(e, "protoPayload.methodName", "gcp.audit.method_name")
	copyField(e, "protoPayload.requestMetadata.callerIp", "SourceIp")
	copyField(e, "protoPayload.authenticationInfo.principalEmail", "User")
	prefixed(e, "data.", "protoPayload.", "resource.", "logName")
	// Rules take the resource and the log's name for parts of the payload.
	copyField(e, "resource.type", "data.protoPayload.resource.type")
	if name, ok := e.Lookup("logName"); ok {
		if at := strings.LastIndex(name, "/"); at >= 0 {
			name = name[at+1:]
		}
		e.SetList("data.protoPayload.logName", []string{name, strings.ReplaceAll(name, "%2F", "/")})
	}
	return ""
}

// prefixed gives fields whose names begin so a second name with a prefix.
func prefixed(e *event.Event, prefix string, begins ...string) {
	var names []string
	e.Each(func(name, _ string) bool {
		for _, b := range begins {
			if strings.HasPrefix(name, b) {
				names = append(names, name)
				break
			}
		}
		return true
	})
	for _, name := range names {
		copyField(e, name, prefix+name)
	}
}

// isM365 tells whether a document is a record of Microsoft 365's unified audit log.
func isM365(o *fastjson.Object) bool {
	return has(o, "Workload", "Operation") || has(o, "CreationTime", "Operation", "RecordType")
}

// m365 reads a record. Rules on threat management, threat detection and Exchange name
// the workload, the operation and the status otherwise.
func (d *jsonDecoder) m365(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "CreationTime", "TimeGenerated")
	e.Source = event.LogSource{Product: "m365", Service: "audit"}
	workload, _ := e.Lookup("Workload")
	switch {
	case strings.EqualFold(workload, "Exchange"):
		e.Source.Service = "exchange"
	case strings.EqualFold(workload, "SecurityComplianceCenter"):
		e.Source.Service = "threat_management"
	}
	copyField(e, "Workload", "eventSource")
	copyField(e, "Operation", "eventName")
	copyField(e, "Name", "eventName")
	copyField(e, "ResultStatus", "status")
	for _, pair := range propertyLists {
		d.pairs(e, o.Get(pair))
	}
	copyField(e, "ClientIP", "SourceIp")
	copyField(e, "UserId", "User")
	return ""
}

// propertyLists are members that hold lists of pairs of a name and a value.
var propertyLists = []string{"ExtendedProperties", "Parameters", "DeviceProperties"}

// pairs gives an event the values of a list of {Name, Value} under their names.
func (d *jsonDecoder) pairs(e *event.Event, v *fastjson.Value) {
	for _, item := range v.GetArray() {
		name, value := d.scalar(item.Get("Name")), d.scalar(item.Get("Value"))
		if name == "" {
			name, value = d.scalar(item.Get("name")), d.scalar(item.Get("value"))
		}
		if _, there := e.Lookup(name); name != "" && !there {
			e.SetName(name, value)
		}
	}
}

// isEntra tells whether a document is a sign-in or a directory audit of Entra ID, from
// Microsoft Graph, a diagnostic setting or Log Analytics.
func isEntra(o *fastjson.Object) bool {
	switch category := stringOf(o.Get("category"), o.Get("Category"), o.Get("Type")); category {
	case "SignInLogs",
		"NonInteractiveUserSignInLogs",
		"ServicePrincipalSignInLogs",
		"ManagedIdentitySignInLogs",
		"SigninLogs",
		"AuditLogs",
		"RiskyUsers",
		"UserRiskEvents",
		"RiskyServicePrincipals":
		return true
	}
	for _, keys := range entraKeys {
		if has(o, keys...) {
			return true
		}
	}
	return false
}

// entraKeys are keys by which a record of Entra ID is known that names no category.
var entraKeys = [][]string{
	{
		"appDisplayName",
		"userPrincipalName",
	}, {"AppDisplayName", "UserPrincipalName"}, {"activityDisplayName", "initiatedBy"},
	{"OperationName", "InitiatedBy"}, {"riskEventType"}, {"ActivityDisplayName", "LoggedByService"},
	{"properties.activityDisplayName", "properties.initiatedBy"}, {"createdDateTime", "conditionalAccessStatus"},
}

func stringOf(values ...*fastjson.Value) string {
	for _, v := range values {
		if v != nil && v.Type() == fastjson.TypeString {
			return string(v.GetStringBytes())
		}
	}
	return ""
}

// entra reads a sign-in, a directory audit or a risk detection. Its values stand under
// the names of the interface that it comes from, of a diagnostic setting (with and
// without "properties.") and of Log Analytics, since rules use each of them.
func (d *jsonDecoder) entra(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(
		e,
		o,
		"createdDateTime",
		"properties.createdDateTime",
		"activityDateTime",
		"properties.activityDateTime",
		"time",
		"TimeGenerated",
		"CreatedDateTime",
		"detectedDateTime",
		"TimeGenerated [UTC]",
		"ActivityDateTime",
	)
	var inner []string
	e.Each(func(name, _ string) bool {
		if strings.HasPrefix(name, "properties.") {
			inner = append(inner, name)
		}
		return true
	})
	for _, name := range inner {
		copyField(e, name, strings.TrimPrefix(name, "properties."))
	}
	category := stringOf(o.Get("category"), o.Get("Category"), o.Get("Type"))
	lookup := func(name string) bool { _, ok := e.Lookup(name); return ok }
	e.Source = event.LogSource{Product: "azure", Service: "signinlogs"}
	switch {
	case lookup("riskEventType") && !lookup("appDisplayName"):
		e.Source.Service = "riskdetection"
		if v, _ := e.Lookup("riskEventType"); strings.HasSuffix(v, "AlertIncident") {
			e.Source.Service = "pim"
		}
	case category == "AuditLogs" || lookup("activityDisplayName") || lookup("ActivityDisplayName") || lookup("initiatedBy") || lookup("InitiatedBy"):
		e.Source.Service = "auditlogs"
	}
	capitalNames(e)
	copyField(e, "status.errorCode", "ResultType")
	copyField(e, "resultType", "ResultType")
	copyField(e, "status.failureReason", "ResultDescription", "Resultdescription", "failure_status_reason")
	copyField(e, "resultDescription", "ResultDescription", "Resultdescription")
	copyField(e, "ResultDescription", "Resultdescription")
	copyField(e, "clientAppUsed", "ClientApp", "ClientAppUsed")
	copyField(e, "userPrincipalName", "Username", "User")
	copyField(e, "UserPrincipalName", "Username", "User")
	copyField(e, "ipAddress", "SourceIp")
	copyField(e, "IPAddress", "SourceIp")
	copyField(e, "deviceDetail.trustType", "DeviceDetail.trusttype", "DeviceDetail.trustType")
	copyField(e, "resourceDisplayName", "ResourceDisplayName")
	if e.Source.Service == "auditlogs" {
		copyField(
			e,
			"activityDisplayName",
			"OperationName",
			"operationName",
			"properties.message",
			"ActivityType",
			"activityType",
		)
		copyField(
			e,
			"OperationName",
			"operationName",
			"properties.message",
			"ActivityDisplayName",
			"activityDisplayName",
		)
		copyField(e, "operationName", "OperationName", "properties.message")
		copyField(e, "result", "Status", "Result", "properties.result")
		copyField(e, "Result", "Status")
		copyField(e, "targetResources", "TargetResources", "Target", "properties.targetResources")
		copyField(e, "initiatedBy", "Initiatedby", "InitiatedBy")
		for _, part := range []string{".modifiedProperties", ".modifiedProperties.newValue", ".modifiedProperties.displayName", ".type"} {
			copyField(e, "targetResources"+part, "TargetResources"+part)
		}
		copyField(
			e,
			"targetResources.modifiedProperties.displayName",
			"TargetResources.ModifiedProperties.DisplayName",
		)
		copyField(e, "targetResources.modifiedProperties.newValue", "TargetResources.ModifiedProperties.NewValue")
	} else {
		status := "Failure"
		if v, ok := e.Lookup("ResultType"); ok && v == "0" {
			status = "Success"
		}
		if v, ok := e.Lookup("Status"); !ok || strings.HasPrefix(v, "{") {
			e.SetName("Status", status)
		}
	}
	return ""
}

// capitalNames gives fields a second name that begins with a capital, as Log Analytics
// writes the names of Graph.
func capitalNames(e *event.Event) {
	var names []string
	e.Each(func(name, _ string) bool {
		if name != "" && name[0] >= 'a' && name[0] <= 'z' && !strings.HasPrefix(name, "properties.") {
			names = append(names, name)
		}
		return true
	})
	for _, name := range names {
		copyField(e, name, capital(name))
	}
}

// isAzureActivity tells whether a document is of Azure's activity log.
func isAzureActivity(o *fastjson.Object) bool {
	return has(o, "operationName", "resourceId") || has(o, "OperationNameValue") ||
		has(o, "authorization", "operationName") ||
		has(o, "operationName", "subscriptionId") ||
		has(o, "operationName.value", "eventTimestamp")
}

func (d *jsonDecoder) azureActivity(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "time", "eventTimestamp", "TimeGenerated", "submissionTimestamp")
	e.Source = event.LogSource{Product: "azure", Service: "activitylogs"}
	copyField(e, "operationName.value", "OperationNameValue")
	if v, ok := e.Lookup("operationName.value"); ok {
		e.SetName("operationName", v)
	}
	copyField(e, "operationName", "OperationNameValue", "properties.message")
	copyField(e, "OperationNameValue", "operationName", "properties.message")
	copyField(e, "category.value", "CategoryValue")
	copyField(e, "category", "CategoryValue")
	copyField(e, "resourceProviderName.value", "ResourceProviderValue")
	copyField(e, "resourceId", "ResourceId")
	if _, ok := e.Lookup("ResourceProviderValue"); !ok { // it is part of the resource's path
		id, _ := e.Lookup("ResourceId")
		if _, rest, ok := strings.Cut(strings.ToLower(id), "/providers/"); ok {
			provider, _, _ := strings.Cut(rest, "/")
			e.SetName("ResourceProviderValue", provider)
		}
	}
	copyField(e, "callerIpAddress", "SourceIp")
	copyField(e, "caller", "User")
	return ""
}

// isGitHub tells whether a document is of GitHub's audit log.
func isGitHub(o *fastjson.Object) bool {
	return has(o, "action", "actor") &&
		(has(o, "created_at") || has(o, "@timestamp") || has(o, "_document_id") || has(o, "org"))
}

func (d *jsonDecoder) gitHub(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "@timestamp", "created_at")
	e.Source = event.LogSource{Product: "github", Service: "audit"}
	copyField(e, "actor", "User")
	copyField(e, "actor_ip", "SourceIp")
	return ""
}

// isBitbucket tells whether a document is of Bitbucket's audit log.
func isBitbucket(o *fastjson.Object) bool { return has(o, "auditType") }

func (d *jsonDecoder) bitbucket(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "timestamp", "creationDate")
	e.Source = event.LogSource{Product: "bitbucket", Service: "audit"}
	return ""
}

// isDuo tells whether a document is of Cisco Duo's authentication log.
func isDuo(o *fastjson.Object) bool {
	return has(o, "event_type", "factor") || has(o, "event_type", "auth_device") || has(o, "txid", "result")
}

func (d *jsonDecoder) duo(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "isotimestamp", "timestamp")
	e.Source = event.LogSource{Product: "cisco", Service: "duo"}
	copyField(e, "access_device.ip", "SourceIp")
	return ""
}

// isOpenCanary tells whether a document is an alert of an OpenCanary decoy.
func isOpenCanary(o *fastjson.Object) bool {
	return has(o, "logtype", "node_id") || has(o, "logtype", "logdata")
}

func (d *jsonDecoder) openCanary(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "utc_time", "local_time", "local_time_adjusted")
	e.Source = event.LogSource{Category: "application", Product: "opencanary"}
	e.Host, _ = e.Lookup("node_id")
	copyField(e, "src_host", "SourceIp")
	return ""
}

// isWorkspace tells whether a document is an activity of Google Workspace's reports.
func isWorkspace(o *fastjson.Object) bool {
	return stringOf(o.Get("kind")) == "admin#reports#activity" || has(o, "id.applicationName", "events")
}

func (d *jsonDecoder) workspace(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "id.time")
	application := d.scalar(at(o, "id.applicationName"))
	e.Source = event.LogSource{Product: "gcp", Service: "google_workspace." + application}
	e.SetName("eventService", application+".googleapis.com")
	copyField(e, "events.name", "eventName")
	for _, inner := range o.Get("events").GetArray() {
		d.pairs(e, inner.Get("parameters"))
		for _, p := range inner.Get("parameters").GetArray() {
			name := strings.ToLower(d.scalar(p.Get("name")))
			if _, there := e.Lookup(name); !there && name != "" {
				e.SetName(name, d.scalar(p.Get("value")))
			}
		}
	}
	copyField(e, "ipAddress", "SourceIp")
	copyField(e, "actor.email", "User")
	return ""
}

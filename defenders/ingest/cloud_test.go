package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// Each source is known by its records' own keys, and has the log source and the fields
// that published rules for it name.
func TestCloudAndIdentitySources(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		source event.LogSource
		fields map[string]string
	}{
		"CloudTrail": {
			`{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},"eventTime":"2026-03-02T08:15:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.9","requestParameters":{"name":"trail","containerDefinitions":[{"command":["sh","-c"]},{"command":["ls"]}]},"responseElements":null,"additionalEventData":{"MFAUsed":"No"}}]}`,
			event.LogSource{Product: "aws", Service: "cloudtrail"},
			map[string]string{"eventName": "StopLogging", "userIdentity.type": "Root", "additionalEventData.MFAUsed": "No", "requestParameters.containerDefinitions.command": "sh,-c,ls", "SourceIp": "203.0.113.9"},
		},
		"CloudTrail through EventBridge and a shipper": {
			`{"message":"{\"detail-type\":\"AWS API Call via CloudTrail\",\"detail\":{\"eventVersion\":\"1.08\",\"eventTime\":\"2026-03-02T08:15:00Z\",\"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"CreateUser\",\"userIdentity\":{\"type\":\"Root\"}}}","@timestamp":"2026-03-02T08:20:00Z"}`,
			event.LogSource{Product: "aws", Service: "cloudtrail"},
			map[string]string{"eventName": "CreateUser", "userIdentity.type": "Root"},
		},
		"Entra sign-in, Graph": {
			`{"value":[{"id":"1","createdDateTime":"2026-03-02T08:15:00Z","userPrincipalName":"kim@example.org","appDisplayName":"Azure Portal","ipAddress":"203.0.113.9","clientAppUsed":"IMAP4","conditionalAccessStatus":"failure","status":{"errorCode":53003,"failureReason":"Blocked by Conditional Access"},"deviceDetail":{"trustType":"","isCompliant":false}}]}`,
			event.LogSource{Product: "azure", Service: "signinlogs"},
			map[string]string{"ResultType": "53003", "ResultDescription": "Blocked by Conditional Access", "ClientApp": "IMAP4", "conditionalAccessStatus": "failure", "Status": "Failure", "Username": "kim@example.org"},
		},
		"Entra sign-in, diagnostic setting": {
			`{"time":"2026-03-02T08:15:00Z","category":"SignInLogs","resultType":"50126","resultDescription":"Invalid username or password","properties":{"userPrincipalName":"kim@example.org","authenticationRequirement":"singleFactorAuthentication","deviceDetail":{"deviceId":""}}}`,
			event.LogSource{Product: "azure", Service: "signinlogs"},
			map[string]string{"ResultType": "50126", "AuthenticationRequirement": "singleFactorAuthentication", "DeviceDetail.deviceId": "", "ResultDescription": "Invalid username or password"},
		},
		"Entra sign-in, Log Analytics": {
			`{"TimeGenerated":"2026-03-02T08:15:00Z","Category":"SignInLogs","ResultType":"0","UserPrincipalName":"kim@example.org","AppDisplayName":"x","AuthenticationRequirement":"singleFactorAuthentication"}`,
			event.LogSource{Product: "azure", Service: "signinlogs"},
			map[string]string{"ResultType": "0", "Status": "Success"},
		},
		"Entra audit": {
			`{"activityDateTime":"2026-03-02T08:15:00Z","activityDisplayName":"Add member to role","category":"RoleManagement","result":"success","loggedByService":"Core Directory","initiatedBy":{"user":{"userPrincipalName":"kim@example.org"}},"targetResources":[{"type":"User","modifiedProperties":[{"displayName":"Role.DisplayName","newValue":"Global Administrator"}]}]}`,
			event.LogSource{Product: "azure", Service: "auditlogs"},
			map[string]string{"OperationName": "Add member to role", "properties.message": "Add member to role", "Category": "RoleManagement", "LoggedByService": "Core Directory", "Status": "success", "TargetResources.modifiedProperties.newValue": "Global Administrator", "TargetResources.type": "User"},
		},
		"Azure activity": {
			`{"time":"2026-03-02T08:15:00Z","resourceId":"/SUBSCRIPTIONS/1/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK/FIREWALLPOLICIES/P","operationName":"MICROSOFT.NETWORK/FIREWALLPOLICIES/DELETE","category":"Administrative","resultType":"Success","callerIpAddress":"203.0.113.9"}`,
			event.LogSource{Product: "azure", Service: "activitylogs"},
			map[string]string{"operationName": "MICROSOFT.NETWORK/FIREWALLPOLICIES/DELETE", "OperationNameValue": "MICROSOFT.NETWORK/FIREWALLPOLICIES/DELETE", "CategoryValue": "Administrative", "ResourceProviderValue": "microsoft.network"},
		},
		"Microsoft 365": {
			`{"CreationTime":"2026-03-02T08:15:00","Id":"1","Operation":"UserLoggedIn","RecordType":15,"Workload":"AzureActiveDirectory","ResultStatus":"Success","ApplicationId":"9ba1a5c7","ObjectId":"x","UserId":"kim@example.org","ClientIP":"203.0.113.9","ExtendedProperties":[{"Name":"RequestType","Value":"Cmsi:Cmsi"}]}`,
			event.LogSource{Product: "m365", Service: "audit"},
			map[string]string{"Operation": "UserLoggedIn", "RequestType": "Cmsi:Cmsi", "ApplicationId": "9ba1a5c7"},
		},
		"Microsoft 365, AuditData": {
			`{"CreationDate":"2026-03-02T08:15:00Z","UserIds":"kim","AuditData":"{\"CreationTime\":\"2026-03-02T08:15:00\",\"Operation\":\"New-InboxRule\",\"RecordType\":1,\"Workload\":\"Exchange\",\"ResultStatus\":\"True\"}"}`,
			event.LogSource{Product: "m365", Service: "exchange"},
			map[string]string{"eventName": "New-InboxRule", "eventSource": "Exchange", "status": "True"},
		},
		"Okta": {
			`{"published":"2026-03-02T08:15:00.000Z","eventType":"user.session.start","displayMessage":"User login to Okta","actor":{"id":"1","alternateId":"kim@example.org"},"outcome":{"result":"FAILURE","reason":"VERIFICATION_ERROR"},"client":{"ipAddress":"203.0.113.9"},"securityContext":{"isProxy":true},"target":[{"displayName":"a"},{"displayName":"b"}],"debugContext":{"debugData":{"behaviors":"{New Device=POSITIVE}"}}}`,
			event.LogSource{Product: "okta", Service: "okta"},
			map[string]string{"eventType": "user.session.start", "securityContext.isProxy": "true", "outcome.reason": "VERIFICATION_ERROR", "target.displayName": "a,b", "debugContext.debugData.behaviors": "{New Device=POSITIVE}"},
		},
		"Google Cloud": {
			`{"insertId":"1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-03-02T08:15:00Z","resource":{"type":"k8s_cluster"},"protoPayload":{"serviceName":"accesscontextmanager.googleapis.com","methodName":"x","authorizationInfo":[{"permission":"accesscontextmanager.accessPolicies.delete","granted":true}]}}`,
			event.LogSource{Product: "gcp", Service: "gcp.audit"},
			map[string]string{"data.protoPayload.authorizationInfo.permission": "accesscontextmanager.accessPolicies.delete", "data.protoPayload.authorizationInfo.granted": "true", "data.protoPayload.serviceName": "accesscontextmanager.googleapis.com", "gcp.audit.method_name": "x", "data.protoPayload.resource.type": "k8s_cluster"},
		},
		"Kubernetes": {
			`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods","verb":"create","user":{"username":"kim"},"sourceIPs":["203.0.113.9"],"objectRef":{"resource":"pods","namespace":"default"},"responseStatus":{"code":201},"requestObject":{"spec":{"volumes":[{"hostPath":{"path":"/"}}]}},"requestReceivedTimestamp":"2026-03-02T08:15:00.000000Z"}`,
			event.LogSource{Category: "application", Product: "kubernetes", Service: "audit"},
			map[string]string{"verb": "create", "objectRef.resource": "pods", "responseStatus.code": "201", "hostPath": "/", "User": "kim"},
		},
		"GitHub": {
			`{"@timestamp":1772439300000,"_document_id":"x","action":"repo.destroy","actor":"kim","org":"o","created_at":1772439300000}`,
			event.LogSource{Product: "github", Service: "audit"},
			map[string]string{"action": "repo.destroy", "User": "kim"},
		},
		"Google Workspace": {
			`{"kind":"admin#reports#activity","id":{"time":"2026-03-02T08:15:00Z","applicationName":"admin"},"actor":{"email":"kim@example.org"},"events":[{"type":"x","name":"ENFORCE_STRONG_AUTHENTICATION","parameters":[{"name":"NEW_VALUE","value":"false"}]}]}`,
			event.LogSource{Product: "gcp", Service: "google_workspace.admin"},
			map[string]string{"eventService": "admin.googleapis.com", "eventName": "ENFORCE_STRONG_AUTHENTICATION", "new_value": "false"},
		},
		"Suricata": {
			`{"timestamp":"2026-03-02T09:15:00.000000+0100","flow_id":1,"event_type":"dns","src_ip":"10.0.0.5","src_port":5000,"dest_ip":"10.0.0.1","dest_port":53,"proto":"UDP","dns":{"type":"query","rrname":"pool.example","rrtype":"A"}}`,
			event.LogSource{Category: "dns", Product: "suricata", Service: "dns"},
			map[string]string{"query": "pool.example", "record_type": "A", "src_ip": "10.0.0.5"},
		},
		"ECS": {
			`{"@timestamp":"2026-03-02T08:15:00.000Z","ecs":{"version":"8.0.0"},"event":{"category":["process"],"type":["start"]},"host":{"name":"pc1","os":{"type":"windows"}},"process":{"executable":"C:\\Windows\\System32\\whoami.exe","command_line":"whoami /all","parent":{"executable":"C:\\Windows\\System32\\cmd.exe"}},"user":{"name":"kim"}}`,
			event.LogSource{Category: "process_creation", Product: "windows"},
			map[string]string{"Image": `C:\Windows\System32\whoami.exe`, "CommandLine": "whoami /all", "ParentImage": `C:\Windows\System32\cmd.exe`, "User": "kim"},
		},
		"combined access log": {
			`203.0.113.9 - kim [02/Mar/2026:09:15:00 +0100] "GET /index.php?id=1%20union%20select HTTP/1.1" 200 512 "https://a/" "sqlmap/1.7"` + "\n",
			event.LogSource{Category: "webserver", Service: "access"},
			map[string]string{"cs-method": "GET", "cs-uri-query": "/index.php?id=1%20union%20select", "cs-uri-stem": "/index.php", "sc-status": "200", "cs-user-agent": "sqlmap/1.7", "c-ip": "203.0.113.9", "cs-username": "kim", "cs-referer": "https://a/"},
		},
		"IIS": {
			"#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2026-03-02 08:00:00\r\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status\r\n2026-03-02 08:15:00 10.0.0.2 POST /shell.aspx cmd=whoami 80 - 203.0.113.9 Mozilla/5.0+(X11) - 200\r\n",
			event.LogSource{Category: "webserver", Service: "iis"},
			map[string]string{"cs-method": "POST", "cs-uri-stem": "/shell.aspx", "cs-uri-query": "/shell.aspx?cmd=whoami", "cs-user-agent": "Mozilla/5.0 (X11)", "sc-status": "200", "c-ip": "203.0.113.9"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, s := read(t, "log", "auto", c.text)
			require.Len(t, got, 1)
			require.Zero(t, s.Skipped)
			require.Zero(t, s.Undated)
			require.Equal(t, int64(1772439300), int64(got[0].Time.Seconds()))
			require.Equal(t, c.source, got[0].Source)
			for field, want := range c.fields {
				v, ok := got[0].Lookup(field)
				require.True(t, ok, "%s is missing", field)
				require.Equal(t, want, v, field)
			}
		})
	}
}

// Zeek writes a time in three forms; a stream is known by the record, the header, the
// name or the fields.
func TestZeekTimesStreamsAndTypes(t *testing.T) {
	for _, ts := range []string{"1772439300.5", "1772439300500", `"2026-03-02T08:15:00.500000Z"`} {
		for name, record := range map[string]string{
			"dns.log":                           `{"ts":` + ts + `,"uid":"C1","id.orig_h":"10.0.0.5","query":"a.example"}`,
			"dns.08:00:00-09:00:00.log.gz":      `{"ts":` + ts + `,"uid":"C1","id.orig_h":"10.0.0.5","query":"a.example"}`,
			"dns-20260302.log":                  `{"ts":` + ts + `,"uid":"C1","id":{"orig_h":"10.0.0.5"},"query":"a.example"}`,
			"json_streaming_x.log":              `{"_path":"dns","ts":` + ts + `,"uid":"C1","id.orig_h":"10.0.0.5","query":"a.example"}`,
			"capture":                           `{"ts":` + ts + `,"uid":"C1","id.orig_h":"10.0.0.5","query":"a.example","qtype_name":"A"}`,
			"/x/2026-03-02/dns.00:00-01:00.log": `{"ts":` + ts + `,"uid":"C1","id.orig_h":"10.0.0.5","query":"a.example"}`,
		} {
			got, s := read(t, name, "auto", record+"\n")
			require.Len(t, got, 1, "%s %v", name, s.Because)
			require.Equal(t, event.LogSource{Category: "dns", Product: "zeek", Service: "dns"}, got[0].Source, name)
			require.Equal(t, int64(1772439300500), got[0].Time.Milliseconds(), name)
			require.Equal(t, "10.0.0.5", got[0].Host)
		}
	}
	got, s := read(t, "x", "auto", "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tquery\tanswers\tTTLs\trejected\tAA\ttags\n#types\ttime\tstring\taddr\tstring\tvector[string]\tvector[interval]\tbool\tbool\tset[string]\n"+
		"1772439300.5\tC1\t10.0.0.5\ta\\x09b\tx.example,10.0.0.9\t1.0,2.0\tT\tF\t(empty)\n")
	require.Zero(t, s.Skipped)
	require.Equal(t, "true", got[0].Value(event.Rejected))
	require.Equal(t, "false", got[0].Value(event.AA))
	require.Equal(t, "a\tb", got[0].Value(event.DNSQuery))
	require.Equal(t, []string{"x.example", "10.0.0.9"}, got[0].Members(event.DNSAnswers, ""))
	_, there := got[0].Lookup("tags")
	require.False(t, there)
}

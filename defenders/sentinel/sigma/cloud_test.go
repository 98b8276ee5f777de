package sigma_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// cloudRecords are records of cloud and identity sources as these write them, shortened.
const cloudRecords = `{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},"eventTime":"2026-03-02T08:15:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.9"}]}
{"createdDateTime":"2026-03-02T08:15:00Z","userPrincipalName":"kim@example.org","appDisplayName":"Azure Portal","status":{"errorCode":53003,"failureReason":"Blocked by Conditional Access"}}
{"activityDateTime":"2026-03-02T08:15:00Z","activityDisplayName":"Add owner to application","category":"ApplicationManagement","result":"success","loggedByService":"Core Directory","initiatedBy":{"user":{"userPrincipalName":"kim@example.org"}},"targetResources":[]}
{"time":"2026-03-02T08:15:00Z","resourceId":"/SUBSCRIPTIONS/1/X","operationName":"MICROSOFT.NETWORK/FIREWALLPOLICIES/DELETE","category":"Administrative"}
{"CreationTime":"2026-03-02T08:15:00","Operation":"Disable Strong Authentication.","RecordType":15,"Workload":"AzureActiveDirectory","ResultStatus":"Success","UserId":"kim"}
{"published":"2026-03-02T08:15:00.000Z","eventType":"application.lifecycle.delete","displayMessage":"x","actor":{"alternateId":"kim"},"outcome":{"result":"SUCCESS"}}
{"insertId":"1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-03-02T08:15:00Z","resource":{"type":"x"},"protoPayload":{"serviceName":"accesscontextmanager.googleapis.com","methodName":"x","authorizationInfo":[{"permission":"accesscontextmanager.accessPolicies.delete","granted":true}]}}
{"kind":"Event","auditID":"1","stage":"ResponseComplete","requestURI":"/x","verb":"create","user":{"username":"kim"},"objectRef":{"resource":"pods","namespace":"kube-system"},"requestReceivedTimestamp":"2026-03-02T08:15:00.000000Z"}
{"@timestamp":1772439300000,"action":"repo.disable_two_factor_requirement","actor":"kim","org":"o"}
{"@timestamp":1772439300000,"action":"business_secret_scanning.disable","actor":"kim","org":"o"}
{"kind":"admin#reports#activity","id":{"time":"2026-03-02T08:15:00Z","applicationName":"admin"},"actor":{"email":"kim"},"events":[{"name":"ASSIGN_ROLE","parameters":[{"name":"NEW_VALUE","value":"false"}]}]}
`

// Public rules for cloud and identity sources fire on what these sources write.
func TestPublicRulesFireOnCloudRecords(t *testing.T) {
	rules, _ := publicRules(t)
	engine, err := sigma.Compile(rules)
	require.NoError(t, err)
	m := engine.NewMatcher()
	file := filepath.Join(t.TempDir(), "records.json")
	require.NoError(t, os.WriteFile(file, []byte(cloudRecords), 0o600))
	fired := map[string]bool{}
	_, err = ingest.Read(context.Background(), []string{file}, ingest.Options{}, func(e *event.Event) error {
		m.Match(e, func(x sigma.Match) { fired[x.Rule.Title] = true })
		return nil
	})
	require.NoError(t, err)
	for _, title := range []string{
		"Disabling Multi Factor Authentication", "Github Secret Scanning Feature Disabled", "AWS CloudTrail Important Change", "AWS Root Credentials",
		"Added Owner To Application", "Azure Network Firewall Policy Modified or Deleted", "Creation Of Pod In System Namespace",
		"GCP Access Policy Deleted", "Okta Application Modified or Deleted", "User Access Blocked by Azure Conditional Access",
	} {
		require.True(t, fired[title], title)
	}
}

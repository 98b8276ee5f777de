package analyst

import (
	"testing"

	"hemostat/sim/printable"

	"github.com/stretchr/testify/require"
)

func TestSecretsAndPersonsDoNotLeave(t *testing.T) {
	for given, want := range map[string]string{
		// secrets
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- rest": "[secret] rest",
		"Authorization: Bearer abcdef0123456789":                                    "Authorization: Bearer [secret]",
		"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF-_12":                     "token [secret]",
		"aws AKIAIOSFODNN7EXAMPLE":                                                  "aws [secret]",
		"push ghp_abcdefghijklmnopqrstuvwxyz0123456789":                             "push [secret]",
		"curl https://bob:hunter2@files.example/x":                                  "curl https://bob:[secret]@files.example/x",
		"app.exe --password=Winter2026! --run":                                      "app.exe --password=[secret] --run",
		`{"api_key": "0123456789abcdef", "n": 1}`:                                   `{"api_key": "[secret]", "n": 1}`,
		`net use \\FS01\c$ /user:CORP\svc_backup Summer2026`:                        `net use \\FS01\c$ /user:CORP\svc_backup [secret]`,
		`net user helpdesk P@ssw0rd1 /add`:                                          `net user helpdesk [secret] /add`,
		`psexec.exe \\SRV -u CORP\svc_x -p Secret99 cmd`:                            `psexec.exe \\SRV -u CORP\svc_x -p [secret] cmd`,
		`ConvertTo-SecureString "Geheim12" -AsPlainText`:                            `ConvertTo-SecureString "[secret]" -AsPlainText`,
		"Server=db;Pwd=abc123;Database=x":                                           "Server=db;Pwd=[secret];Database=x",
		// persons
		`C:\Users\alice\Downloads\a.exe`:               `C:\Users\user-1\Downloads\a.exe`,
		"/home/bob/.ssh/id_rsa":                        "/home/user-1/.ssh/id_rsa",
		"alice.smith@corp.example wrote":               "mail-1@corp.example wrote",
		"S-1-5-21-1004336348-1177238915-682003330-512": "sid-1",
		"card 4111 1111 1111 1111":                     "card [number]",
		"call +49 30 1234567":                          "call [number]",
		// what stays
		`C:\Windows\System32\cmd.exe /c whoami`: `C:\Windows\System32\cmd.exe /c whoami`,
		`C:\Users\Public\x.exe`:                 `C:\Users\Public\x.exe`,
		"203.0.113.7 update.example":            "203.0.113.7 update.example",
		"d41d8cd98f00b204e9800998ecf8427e":      "d41d8cd98f00b204e9800998ecf8427e",
		"logon id 1234567890123":                "logon id 1234567890123",
		"root ran /usr/sbin/sshd":               "root ran /usr/sbin/sshd",
	} {
		require.Equal(t, want, newRedactor().text(given), given)
	}
}

func TestOnePersonHasOnePseudonym(t *testing.T) {
	r := newRedactor()
	r.person(`CORP\Alice`)
	r.person("bob")
	r.person("SYSTEM")
	r.person("WS01$")
	r.person("svc_backup")
	require.Equal(t, `user-1 copied C:\Users\user-1\x for user-2 as SYSTEM on WS01$ with svc_backup; malice`,
		r.text(`alice copied C:\Users\ALICE\x for Bob as SYSTEM on WS01$ with svc_backup; malice`))
	require.Equal(t, "alice told bob", r.restore("user-1 told user-2"))
}

func FuzzRedact(f *testing.F) {
	f.Add(`net use \\a\b /user:x y`, "alice")
	f.Fuzz(func(t *testing.T, s, name string) {
		r := newRedactor()
		r.person(name)
		once := r.text(s)
		require.Equal(t, once, r.text(s), "equal texts are redacted alike")
		_ = isSuspicious(s)
		_ = printable.Text(s)
	})
}

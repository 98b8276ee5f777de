package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hemostat": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// racingScripts are those whose commands do something at once on several goroutines.
var racingScripts = []string{"run", "gate", "replay", "plugin", "detectors", "fingerprint", "usage"}

// TestCommands runs the scripts of testdata against the command itself.
func TestCommands(t *testing.T) {
	scripts := testscript.Params{Dir: "testdata"}
	if raceEnabled { // the others run without the race detector, as make test does
		scripts.Dir = ""
		for _, name := range racingScripts {
			scripts.Files = append(scripts.Files, filepath.Join("testdata", name+".txt"))
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: scripts.Dir, Files: scripts.Files,
		Setup: func(env *testscript.Env) error {
			rules, err := filepath.Abs("../../defenders/sentinel/rules")
			env.Setenv("EMBEDDED_RULES", rules)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// same-alerts DB FILE holds the alerts of a database against those that replay printed.
			"same-alerts": func(ts *testscript.TestScript, _ bool, args []string) {
				db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
				ts.Check(err)
				defer db.Close()
				rows, err := db.Query("SELECT detector||' '||title FROM alerts ORDER BY 1")
				ts.Check(err)
				var run, replayed []string
				for rows.Next() {
					var s string
					ts.Check(rows.Scan(&s))
					run = append(run, s)
				}
				ts.Check(rows.Err())
				for line := range strings.Lines(ts.ReadFile(args[1])) {
					var a struct{ Detector, Title string }
					ts.Check(json.Unmarshal([]byte(line), &a))
					if a.Title != "" {
						replayed = append(replayed, a.Detector+" "+a.Title)
					}
				}
				slices.Sort(replayed)
				slices.Sort(run)
				if len(run) == 0 || !slices.Equal(run, replayed) {
					ts.Fatalf("the run raised %d alerts, replay %d, or others:\n%v\n%v", len(run), len(replayed), run, replayed)
				}
			},
			// same-digests FILE holds the digests of a gate's two sides against each other.
			"same-digests": func(ts *testscript.TestScript, _ bool, args []string) {
				var verdict struct{ Digests map[string]string }
				ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &verdict))
				if d := verdict.Digests; d["baseline"] == "" || d["baseline"] != d["candidate"] {
					ts.Fatalf("baseline %q, candidate %q", d["baseline"], d["candidate"])
				}
			},
			// capture FILE writes a capture of the hello of Go's own TLS client to tls.example.
			"capture": func(ts *testscript.TestScript, _ bool, args []string) {
				data, err := helloCapture()
				ts.Check(errors.Join(err, os.WriteFile(ts.MkAbs(args[0]), data, 0o600)))
			},
			// alter FILE SQL changes a database behind the program's back.
			"alter": func(ts *testscript.TestScript, _ bool, args []string) {
				db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
				ts.Check(err)
				_, err = db.Exec(args[1])
				ts.Check(errors.Join(err, db.Close()))
			},
			// exits CODE COMMAND... runs a command that must end with this exit code.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				err = ts.Exec(args[1], args[2:]...)
				code := 0
				var e *exec.ExitError
				if errors.As(err, &e) {
					code = e.ExitCode()
				} else if err != nil {
					ts.Fatalf("%v", err)
				}
				if code != want {
					ts.Fatalf("exit code %d, expected %d", code, want)
				}
			},
		},
	})
}

// helloCapture is a capture with one packet: what Go's TLS client sends first.
func helloCapture() ([]byte, error) {
	client, server := net.Pipe()
	defer func() { _, _ = client.Close(), server.Close() }()
	go func() { _ = tls.Client(client, &tls.Config{ServerName: "tls.example"}).Handshake() }()
	hello := make([]byte, 8192)
	n, err := server.Read(hello)
	if err != nil {
		return nil, err
	}
	packet := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(packet, gopacket.SerializeOptions{FixLengths: true},
		&layers.IPv4{
			Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, 5}, DstIP: net.IP{203, 0, 113, 9},
		},
		&layers.TCP{SrcPort: 50123, DstPort: 443, Seq: 1, ACK: true}, gopacket.Payload(hello[:n]))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	size := len(packet.Bytes())
	info := gopacket.CaptureInfo{Timestamp: time.Unix(1772439300, 0), CaptureLength: size, Length: size}
	err = errors.Join(w.WriteFileHeader(65536, layers.LinkTypeRaw), w.WritePacket(info, packet.Bytes()))
	return out.Bytes(), err
}

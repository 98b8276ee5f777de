package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hemostat": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestCommands runs the scripts of testdata against the command itself.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
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

package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

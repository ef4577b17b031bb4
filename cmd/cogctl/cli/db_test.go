package cli_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localpg"
)

// TestDatabaseScripts runs the stories of testdata/db in a checkout of their own, against a real server that they start and stop.
func TestDatabaseScripts(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/db/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	modules, err := filepath.Abs("../../../workers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/db", RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		url, err := accountAPI(t, e.WorkDir)
		if err != nil {
			return err
		}
		e.Setenv("API", url)
		e.Setenv("TOKEN", token)
		e.Setenv("ACCOUNT", account)
		e.Setenv("NO_COLOR", "1")
		e.Defer(func() { stopServer(t, filepath.Join(e.WorkDir, ".local", "pg")) })
		return errors.Join(os.Mkdir(filepath.Join(e.WorkDir, "workers"), 0o755), os.Symlink(modules, filepath.Join(e.WorkDir, "workers", "node_modules")))
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"sql": runSQL, "plant": plant, "send": sendMessages, "kvspace": makeNamespace, "kvput": putValue}})
}

// stopServer leaves no process behind when a story fails halfway.
func stopServer(t *testing.T, dir string) {
	s, err := localpg.Running(context.Background(), dir)
	if err != nil {
		return
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// runSQL runs a statement at the address of the file: sql url.txt statement.
func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sql <file of the address> <statement>")
	}
	conn, err := pgx.Connect(context.Background(), strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), args[1], pgx.QueryExecModeSimpleProtocol)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}

// scriptAPI is the account's API as its owner.
func scriptAPI(ts *testscript.TestScript) *cfapi.Client {
	api, err := cfapi.New(cfapi.Config{BaseURL: ts.Getenv("API"), Token: token, AccountID: account})
	ts.Check(err)
	return api
}

// makeNamespace makes a KV namespace: kvspace TITLE.
func makeNamespace(ts *testscript.TestScript, _ bool, args []string) {
	plant(ts, false, []string{http.MethodPost, "/accounts/" + account + "/storage/kv/namespaces", `{"title":"` + args[0] + `"}`})
}

// putValue writes into a KV namespace: kvput TITLE key value.
func putValue(ts *testscript.TestScript, _ bool, args []string) {
	api := scriptAPI(ts)
	ns, err := api.NamespaceByTitle(context.Background(), args[0])
	ts.Check(err)
	ts.Check(api.KVPut(context.Background(), ns.ID, args[1], []byte(args[2])))
}

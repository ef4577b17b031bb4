package cli_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cogctl": func() { os.Exit(cli.Main("test")) }})
}

const (
	account = "fedcba9876543210fedcba9876543210"
	zoneID  = "0123456789abcdef0123456789abcdef"
	token   = "0123456789012345678901234567890123456789"
	narrow  = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
)

// TestScripts runs every story of testdata against the real program. $API is an account of the local cloud's own API, in which
// the gateway owns production's hostname.
func TestScripts(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, Setup: func(e *testscript.Env) error {
		url, err := accountAPI(t, e.WorkDir)
		e.Setenv("API", url)
		e.Setenv("TOKEN", token)
		e.Setenv("NARROW", narrow)
		e.Setenv("ACCOUNT", account)
		e.Setenv("NO_COLOR", "")
		return err
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"plant": plant, "send": sendMessages}})
}

// plant calls the account's API as its owner: plant METHOD path body.
func plant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: plant METHOD path body")
	}
	req, err := http.NewRequest(args[0], ts.Getenv("API")+args[1], strings.NewReader(args[2]))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		ts.Fatalf("%s %s answers %s", args[0], args[1], res.Status)
	}
}

func accountAPI(t *testing.T, dir string) (string, error) {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, ".account"), store.Options{})
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = s.Close() })
	err = s.Update(func(tx *store.Tx) error { return seed(tx) })
	server := httptest.NewServer(api.New(api.Config{Store: s, Runtime: starts{}, AccountID: account, AccountName: "test"}))
	t.Cleanup(server.Close)
	return server.URL + api.Prefix, err
}

func seed(tx *store.Tx) error {
	const routeID, recordID = "11111111111111111111111111111111", "22222222222222222222222222222222"
	for _, doc := range []struct {
		c   store.Collection
		id  string
		doc any
	}{
		{store.Tokens, api.HashToken(token), store.Token{ID: "t", Status: "active", Permissions: []string{"*"}}},
		{store.Tokens, api.HashToken(narrow), store.Token{ID: "n", Status: "active", Permissions: []string{"Zone Read", "DNS Read", "Workers Scripts Read"}}},
		{store.Zones, zoneID, store.Zone{ID: zoneID, Name: "cognomega.com", Status: "active"}},
		{store.DNSRecords, zoneID + "/" + recordID, store.DNSRecord{ID: recordID, ZoneID: zoneID, Type: "AAAA", Name: "api.cognomega.com", Content: "100::", Proxied: true}},
		{store.Routes, zoneID + "/" + routeID, store.Route{ID: routeID, ZoneID: zoneID, Pattern: "api.cognomega.com/*", Script: "cognomega-api"}},
		{store.Scripts, "cognomega-api", store.Script{Name: "cognomega-api", LastVersion: 1, Deployments: []store.Deployment{{ID: "d", Versions: []store.VersionShare{{VersionID: "v", Percentage: 100}}}}}},
		{store.Versions, "cognomega-api/v", store.Version{ID: "v", Number: 1, Script: "cognomega-api", Annotations: map[string]string{"workers/tag": "bundle-0011223344556677"}}},
	} {
		if err := tx.Put(doc.c, doc.id, doc.doc); err != nil {
			return err
		}
	}
	return nil
}

// starts is a runtime on which every script starts.
type starts struct{}

func (starts) Prepare(context.Context, api.Change) (api.Prepared, error) { return nil, nil } //nolint:nilnil // nothing is deployed here

package cli_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// arguments puts the test's own things into a use.
func (l *lived) arguments(u use) []string {
	l.t.Helper()
	known := map[string]func() string{
		"$DIR":     func() string { return l.dir },
		"$PROOF":   func() string { return l.first("proofs/*.json") },
		"$KEY":     func() string { return l.key() },
		"$ADMIN":   func() string { return l.admin() },
		"$KID":     func() string { return l.kid() },
		"$ACCOUNT": func() string { return l.account() },
		"$QUEUE":   func() string { return l.queue() },
		"$FILE":    func() string { return l.uploaded() },
	}
	args := strings.Fields(u.args)
	for i, arg := range args {
		for name, value := range known {
			if strings.HasPrefix(arg, name) {
				args[i] = value() + strings.TrimPrefix(arg, name)
			}
		}
	}
	return append(args, "--dir", l.local, "--output", "json")
}

// uploaded is the key of ada's newest file.
func (l *lived) uploaded() string {
	l.t.Helper()
	tm, out, errs := term.Test(term.Fake{})
	d := cli.NewDeps("test")
	d.Term, d.WorkDir, d.Getenv = tm, l.root, l.getenv
	cli.Run(l.t.Context(), d, []string{"files", "list", "ada@example.com", "--dir", l.local, "--output", "json"})
	var list struct{ Files []struct{ Key string } }
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list.Files) == 0 {
		l.t.Fatalf("no file of ada's: %v %s", err, errs)
	}
	return list.Files[0].Key
}

func (l *lived) first(pattern string) string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, pattern))
	if err != nil || len(found) == 0 {
		l.t.Fatalf("there is no %s", pattern)
	}
	return found[0]
}

func (l *lived) key() string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.local, "evidence", "keys", "*.pem"))
	if err != nil || len(found) == 0 {
		l.t.Fatal("this machine trusts no key")
	}
	return found[0]
}

func (l *lived) admin() string {
	l.t.Helper()
	raw, err := os.ReadFile(filepath.Join(l.local, "secrets.json"))
	var secrets map[string]string
	if err == nil {
		err = json.Unmarshal(raw, &secrets)
	}
	file := filepath.Join(l.dir, "admin-key")
	if err == nil {
		err = os.WriteFile(file, []byte(secrets["ADMIN_API_KEY"]), 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return file
}

// account is one of the ledger with some credits, and a use.
func (l *lived) account() string {
	l.t.Helper()
	const name = "ada@example.com"
	db, err := platform.OpenDatabase(l.t.Context(), l.layout, platform.Local, func(string) string { return "" })
	if err != nil {
		l.t.Fatal(err)
	}
	conn, err := pgx.Connect(l.t.Context(), db.Address())
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(l.t.Context())
	credits := int64(5_000_000)
	if _, err := ledger.New(conn).Adjust(l.t.Context(), ledger.Adjustment{ID: uuid.New(), Account: name, Set: &credits, Actor: "test", Reason: "a test"}); err != nil {
		l.t.Fatal(err)
	}
	used := ledger.Event{ID: uuid.New(), Kind: ledger.Usage, Account: name, Amount: 1, AtMS: time.Now().UnixMilli(), Meta: json.RawMessage(`{"route":"/api/si/ask"}`)}
	if _, err := ledger.New(conn).PostBatch(l.t.Context(), []ledger.Event{used}, false); err != nil {
		l.t.Fatal(err)
	}
	return name
}

// makeQueue makes a queue whose messages are pulled.
func makeQueue(ctx context.Context, api *cfapi.Client, name string) error {
	path := "/accounts/" + api.AccountID() + "/queues"
	if _, err := api.CF().Raw(ctx, http.MethodPost, path, map[string]string{"queue_name": name}, nil); err != nil {
		return err
	}
	all, err := api.Queues(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(q cfapi.Queue) bool { return q.Name == name })
	_, err = api.CF().Raw(ctx, http.MethodPost, path+"/"+all[at].ID+"/consumers", map[string]string{"type": "http_pull"}, nil)
	return err
}

// queue is one of the account.
func (l *lived) queue() string {
	l.t.Helper()
	const name = "test-queue"
	c, err := contract.Load()
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := platform.Connect(l.t.Context(), c, l.layout, platform.Local)
	if err != nil {
		l.t.Fatal(err)
	}
	all, err := n.API.Queues(l.t.Context())
	if err == nil && !slices.ContainsFunc(all, func(q cfapi.Queue) bool { return q.Name == name }) {
		err = makeQueue(l.t.Context(), n.API, name)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return name
}

func (l *lived) kid() string {
	l.t.Helper()
	tm, out, errs := term.Test(term.Fake{})
	d := cli.NewDeps("test")
	d.Term, d.WorkDir, d.Getenv = tm, l.root, l.getenv
	var shown struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	if code := cli.Run(l.t.Context(), d, []string{"jwks", "show", "--dir", l.local, "-o", "json"}); code != 0 || json.Unmarshal(out.Bytes(), &shown) != nil || len(shown.Keys) == 0 {
		l.t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	return shown.Keys[0].KID
}

func (l *lived) tokenOf(raw []byte) string {
	l.t.Helper()
	var said struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		l.t.Fatal(err)
	}
	return said.Token
}

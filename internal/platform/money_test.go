package platform_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/cfapi"
)

// money drives the way of usage: through the edge as a client does, and into the ledger and KV as an operator may look.
type money struct {
	journey
	http  *http.Client
	edge  string
	admin string
	db    *pgx.Conn
	cf    *cfapi.Client
	kv    string
	began time.Time
}

func newMoney(t *testing.T) *money {
	t.Helper()
	return moneyOn(t, newJourney(t))
}

// moneyOn is the way of usage on a platform of one's own making.
func moneyOn(t *testing.T, j journey) *money {
	t.Helper()
	m := &money{journey: j, began: time.Now()}
	m.must(0, nil, "up", "--skip-proof") // the proof of Phase 1 sends usage of its own, and these tests count theirs
	e := m.endpoints()
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	m.http = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", e.EdgeHTTPS)
		},
	}}
	m.edge = "https://api.cognomega.localhost"
	var secrets map[string]string
	raw, err := os.ReadFile(filepath.Join(m.dir, "secrets.json"))
	if err != nil || json.Unmarshal(raw, &secrets) != nil {
		t.Fatalf("secrets: %v", err)
	}
	m.admin = secrets["ADMIN_API_KEY"]
	m.connect()
	token, err := e.Token()
	if err != nil {
		t.Fatal(err)
	}
	if m.cf, err = cfapi.New(cfapi.Config{BaseURL: e.APIHTTP, Token: token, AccountID: e.AccountID}); err != nil {
		t.Fatal(err)
	}
	ns, err := m.cf.NamespaceByTitle(t.Context(), "cognomega-billing")
	if err != nil {
		t.Fatal(err)
	}
	m.kv = ns.ID
	return m
}

// connect opens the ledger as cogctl db psql-url says.
func (m *money) connect() {
	m.t.Helper()
	cmd := m.command("db", "psql-url")
	cmd.Args = cmd.Args[:len(cmd.Args)-2] // the plain text: an address alone
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatal(err)
	}
	if m.db, err = pgx.Connect(m.t.Context(), strings.TrimSpace(string(out))); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = m.db.Close(context.Background()) })
}

type header = map[string]string

// call sends a request through the edge and decodes the answer, whose status it returns.
func (m *money) call(method, path, body string, with header, out any) int {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.edge+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	for name, value := range with {
		req.Header.Set(name, value)
	}
	res, err := m.http.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if out != nil {
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(out); err != nil {
			m.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, raw)
		}
	}
	return res.StatusCode
}

// user is the header of a user's own token.
func (m *money) user(email string) header {
	m.t.Helper()
	var minted struct{ Token string }
	if code := m.call("POST", "/auth/token", fmt.Sprintf(`{"email":%q}`, email), header{"X-Admin-Key": m.admin}, &minted); code != http.StatusOK {
		m.t.Fatalf("token of %s: %d", email, code)
	}
	return header{"Authorization": "Bearer " + minted.Token}
}

func (m *money) operator() header { return header{"X-Admin-Key": m.admin} }

func with(h header, name, value string) header {
	all := header{name: value}
	for k, v := range h {
		all[k] = v
	}
	return all
}

type answer struct {
	ID      string
	Error   string
	Outcome string
	Balance float64 `json:"balance_credits"`
	Stale   bool
	AsOf    time.Time `json:"as_of"`
}

func (m *money) balance(who header) (a answer, code int) {
	m.t.Helper()
	code = m.call("GET", "/api/credits", "", who, &a)
	return a, code
}

// awaitBalance waits until an account's balance in credits is shown.
func (m *money) awaitBalance(who header, credits float64) {
	m.t.Helper()
	var a answer
	m.until(fmt.Sprintf("a balance of %v", credits), func() bool { a, _ = m.balance(who); return a.Balance == credits }, func() string { return fmt.Sprint(a) })
}

func (m *money) until(what string, holds func() bool, state func() string) {
	m.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); <-time.After(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("no %s within a minute: %s", what, state())
		}
	}
}

// one reads a single value of the ledger.
func one[T any](m *money, sql string, args ...any) (v T) {
	m.t.Helper()
	if err := m.db.QueryRow(m.t.Context(), sql, args...).Scan(&v); err != nil {
		m.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func (m *money) held(key string) string {
	m.t.Helper()
	raw, err := m.cf.KVGet(m.t.Context(), m.kv, key)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (m *money) plant(key, value string) {
	m.t.Helper()
	if err := m.cf.KVPut(m.t.Context(), m.kv, key, []byte(value)); err != nil {
		m.t.Fatal(err)
	}
}

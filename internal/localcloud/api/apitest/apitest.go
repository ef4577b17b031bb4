// Package apitest serves the API for tests, with a runtime that reads bundles without running them.
package apitest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/runtime"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// What the account of a Bed is called.
const (
	AccountID = "0123456789abcdef0123456789abcdef"
	ZoneID    = "fedcba9876543210fedcba9876543210"
	ZoneName  = "cognomega.localhost"
	Token     = "operator_token_of_the_test_account_12345"
)

// Bed is an account of its own behind a listening API.
type Bed struct {
	URL     string // ends in /client/v4
	Store   *store.Store
	Runtime *Runtime
	Faults  *api.Faults
	dir     string
}

// New opens an account with one zone and one token that may do everything; the test's end closes it.
func New(t testing.TB) *Bed {
	t.Helper()
	b := open(t)
	b.Runtime = &Runtime{Store: b.Store}
	b.serve(t, b.Runtime)
	return b
}

// NewWorkerd is New with the scripts running in the real workerd; Bed.Runtime is nil.
func NewWorkerd(t testing.TB) *Bed {
	t.Helper()
	b := open(t)
	r, err := runtime.New(runtime.Config{Dir: b.dir, Workerd: workerd(t), Store: b.Store, Drain: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	b.serve(t, api.Workerd(r))
	return b
}

func open(t testing.TB) *Bed {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	err = s.Update(func(tx *store.Tx) error {
		if err := tx.Put(store.Zones, ZoneID, store.Zone{ID: ZoneID, Name: ZoneName, Status: "active", Created: time.Unix(1700000000, 0).UTC()}); err != nil {
			return err
		}
		return tx.Put(store.Tokens, api.HashToken(Token), store.Token{ID: ZoneID, Name: "operator", Status: "active", Permissions: []string{"*"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Bed{Store: s, Faults: &api.Faults{}, dir: dir}
}

func (b *Bed) serve(t testing.TB, r api.Runtime) {
	t.Helper()
	server := httptest.NewServer(api.New(api.Config{Store: b.Store, Runtime: r, AccountID: AccountID, AccountName: "cognomega-local", Faults: b.Faults}))
	t.Cleanup(server.Close)
	b.URL = server.URL + api.Prefix
}

// workerd is the binary that the workspace of the Workers pins; a test fails without it.
func workerd(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		found, err := filepath.Glob(filepath.Join(dir, "workers/node_modules/@cloudflare/workerd-*/bin/workerd"))
		if err == nil && len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("no workerd: run make setup")
	return ""
}

// Answer is a response with its envelope read, when it had one.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Errors []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Success bool            `json:"success"`
	Result  json.RawMessage `json:"result"`
	Info    json.RawMessage `json:"result_info"`
}

// Code is the first error's number, 0 for none.
func (a Answer) Code() int {
	if len(a.Errors) == 0 {
		return 0
	}
	return a.Errors[0].Code
}

// Into decodes the result.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Result, v); err != nil {
		t.Fatalf("result %s: %v", a.Body, err)
	}
}

// Call sends one request; a body that is not bytes or a string is sent as JSON. headers are pairs.
func (b *Bed) Call(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	var data []byte
	switch v := body.(type) {
	case nil:
	case []byte:
		data = v
	case string:
		data = []byte(v)
	default:
		var err error
		if data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.URL+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+Token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	a := Answer{Status: res.StatusCode, Header: res.Header}
	if a.Body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(a.Body, &a) // raw answers are no JSON
	return a
}

// Account is Call below the account's path, and Zone below the zone's.
func (b *Bed) Account(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	return b.Call(t, method, "/accounts/"+AccountID+path, body, headers...)
}

// Zone is Call below the zone's path.
func (b *Bed) Zone(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	return b.Call(t, method, "/zones/"+ZoneID+path, body, headers...)
}

package cfapi_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// newAccount is a client of the local cloud's own API over its real store.
func newAccount(t *testing.T) *cfapi.Client {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	err = s.Update(func(tx *store.Tx) error {
		err := tx.Put(store.Tokens, api.HashToken(secret), store.Token{ID: "t", Status: "active", Permissions: []string{"*"}})
		return errors.Join(err, tx.Put(store.Zones, zone, store.Zone{ID: zone, Name: "example.test", Status: "active"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{Store: s, AccountID: account, AccountName: "test"}))
	t.Cleanup(server.Close)
	c, err := cfapi.New(cfapi.Config{BaseURL: server.URL + api.Prefix, Token: secret, AccountID: account, RetryMax: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStoresOfAnAccount(t *testing.T) {
	t.Parallel()
	c, rc := newAccount(t), cloudflare.AccountIdentifier(account)
	const many = 55 // more than a page of any of these lists
	for i := range many {
		if _, err := c.CF().CreateWorkersKVNamespace(t.Context(), rc, cloudflare.CreateWorkersKVNamespaceParams{Title: fmt.Sprintf("ns-%02d", i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.CF().CreateQueue(t.Context(), rc, cloudflare.CreateQueueParams{Name: fmt.Sprintf("q-%02d", i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.CF().CreateR2Bucket(t.Context(), rc, cloudflare.CreateR2BucketParameters{Name: fmt.Sprintf("bucket-%02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	namespaces, err := c.Namespaces(t.Context())
	if err != nil || len(namespaces) != many {
		t.Errorf("%d namespaces, %v", len(namespaces), err)
	}
	queues, err := c.Queues(t.Context())
	if err != nil || len(queues) != many || queues[0].ID == "" || queues[0].Name == "" {
		t.Errorf("%d queues, %v", len(queues), err)
	}
	buckets, err := c.Buckets(t.Context())
	if err != nil || len(buckets) != many {
		t.Errorf("%d buckets, %v", len(buckets), err)
	}
}

func TestKVValues(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	if _, err := c.NamespaceByTitle(t.Context(), "keys"); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := c.CF().CreateWorkersKVNamespace(t.Context(), cloudflare.AccountIdentifier(account), cloudflare.CreateWorkersKVNamespaceParams{Title: "keys"}); err != nil {
		t.Fatal(err)
	}
	ns, err := c.NamespaceByTitle(t.Context(), "keys")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.KVGet(t.Context(), ns.ID, "jwks"); !errors.Is(err, fault.NotFound) || cfapi.Code(err) != 10009 {
		t.Errorf("got %v, code %d", err, cfapi.Code(err))
	}
	for _, key := range []string{"jwks", "usage:a@b.test:0:1/2", "spaced key?&#%", "ключ"} {
		value := []byte("{\"key\":\x00\"" + key + "\"}")
		if err := c.KVPut(t.Context(), ns.ID, key, value); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if got, err := c.KVGet(t.Context(), ns.ID, key); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}

func TestIdentityOfAnAccount(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	if token, err := c.VerifyToken(t.Context()); err != nil || token.Status != "active" {
		t.Errorf("%+v %v", token, err)
	}
	if z, err := c.ZoneOf(t.Context(), "a.b.example.test"); err != nil || z.ID != zone {
		t.Errorf("%+v %v", z, err)
	}
	for _, host := range []string{"badexample.test", "test", "example.test.evil"} {
		if _, err := c.ZoneOf(t.Context(), host); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := c.ZoneByName(t.Context(), "other.test"); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

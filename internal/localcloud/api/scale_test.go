package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// With ten thousand routes they are all listed, and a duplicate is still found, also one whose pattern JSON has to escape.
func TestTenThousandRoutes(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	err := b.Store.Update(func(tx *store.Tx) error {
		for i := range 10_000 {
			r := store.Route{ID: fmt.Sprintf("%032x", i), ZoneID: apitest.ZoneID, Pattern: fmt.Sprintf("cognomega.localhost/<%d>&*", i)}
			if err := tx.Put(store.Routes, apitest.ZoneID+"/"+r.ID, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := b.Zone(t, "GET", "/workers/routes", nil)
	if n := strings.Count(string(got.Result), `"pattern"`); n != 10_000 {
		t.Errorf("listed %d routes", n)
	}
	want(t, "duplicate", b.Zone(t, "POST", "/workers/routes", object{"pattern": "cognomega.localhost/<7777>&*"}), 409, 10020)
	want(t, "another", b.Zone(t, "POST", "/workers/routes", object{"pattern": "cognomega.localhost/<7777>"}), 200, 0)
}

func BenchmarkCreateRouteAmongTenThousand(b *testing.B) {
	bed := apitest.New(b)
	err := bed.Store.Update(func(tx *store.Tx) error {
		for i := range 10_000 {
			r := store.Route{ID: fmt.Sprintf("%032x", i), ZoneID: apitest.ZoneID, Pattern: fmt.Sprintf("cognomega.localhost/%d/*", i)}
			if err := tx.Put(store.Routes, apitest.ZoneID+"/"+r.ID, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		bed.Zone(b, "POST", "/workers/routes", object{"pattern": fmt.Sprintf("cognomega.localhost/new/%d", i)})
	}
}

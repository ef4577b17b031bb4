package routes_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// counted is the account behind a counter of requests.
func (b *bed) counted() (*cfapi.Client, *atomic.Int64) {
	b.t.Helper()
	var n atomic.Int64
	inner := api.New(api.Config{Store: b.store, Runtime: starts{}, AccountID: account, AccountName: "test"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		inner.ServeHTTP(w, r)
	}))
	b.t.Cleanup(server.Close)
	c, err := cfapi.New(cfapi.Config{BaseURL: server.URL + api.Prefix, Token: secret, AccountID: account, RetryMax: -1})
	b.must(err)
	return c, &n
}

// zones adds n zones of 100 routes on 10 hosts each, with a proxied record for every host.
func (b *bed) zones(n int) {
	b.t.Helper()
	b.must(b.store.Update(func(tx *store.Tx) error {
		for z := range n {
			id, name := fmt.Sprintf("%032x", 0xa000+z), fmt.Sprintf("zone%d.test", z)
			if err := tx.Put(store.Zones, id, store.Zone{ID: id, Name: name, Status: "active"}); err != nil {
				return err
			}
			for i := range 100 {
				host := fmt.Sprintf("h%d.%s", i%10, name)
				r := store.Route{ID: fmt.Sprintf("%032x", i), ZoneID: id, Pattern: fmt.Sprintf("%s/p%d/*", host, i/10), Script: "gateway"}
				if i < 10 {
					r.Pattern = host + "/*"
					record := store.DNSRecord{ID: fmt.Sprintf("%032x", i), ZoneID: id, Type: "A", Name: host, Content: "192.0.2.1", Proxied: true}
					if err := tx.Put(store.DNSRecords, id+"/"+record.ID, record); err != nil {
						return err
					}
				}
				if err := tx.Put(store.Routes, id+"/"+r.ID, r); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// TestAnAccountOfAHundredZones reads each list once, and decides every hostname of 10,000 routes.
func TestAnAccountOfAHundredZones(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zones(100)
	b.put(store.Routes, fmt.Sprintf("%032x/%032x", 0xa000+7, 1<<20), store.Route{ID: fmt.Sprintf("%032x", 1<<20), ZoneID: fmt.Sprintf("%032x", 0xa000+7), Pattern: "*h3.zone7.test/*", Script: "voice"})
	b.put(store.Routes, fmt.Sprintf("%032x/%032x", 0xa000+9, 1<<20), store.Route{ID: fmt.Sprintf("%032x", 1<<20), ZoneID: fmt.Sprintf("%032x", 0xa000+9), Pattern: "dead.zone9.test/*", Script: "voice"})
	b.put(store.Routes, fmt.Sprintf("%032x/%032x", 0xa000+11, 1<<20), store.Route{ID: fmt.Sprintf("%032x", 1<<20), ZoneID: fmt.Sprintf("%032x", 0xa000+11), Pattern: "h1.zone11.test/shared/*", Script: "voice"})
	client, calls := b.counted()
	a, err := routes.CollectAccount(t.Context(), client, at())
	b.must(err)
	// 101 zones are 3 pages; each zone has a page of routes, of records and of redirects; the account has one each of custom
	// domains, Pages projects and bulk redirects.
	const pages = 3 + 101*3 + 3
	if n := calls.Load(); n > pages*12/10 || len(a.Zones) != 101 {
		t.Errorf("%d zones took %d requests, they are on %d pages", len(a.Zones), n, pages)
	} else {
		t.Logf("%d requests for %d pages", n, pages)
	}
	began := time.Now()
	hosts := routes.JudgeAccount(a)
	t.Logf("%d hostnames decided in %s", len(hosts), time.Since(began))
	if len(hosts) != 1002 {
		t.Errorf("%d hostnames", len(hosts))
	}
	want := []string{"dead.zone9.test dns_missing error", "h1.zone11.test route_shadow note", "h3.zone7.test route_ambiguous error"}
	var got []string
	for _, h := range hosts {
		for _, f := range h.Findings {
			got = append(got, h.Host+" "+f.Code+" "+string(f.Severity))
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestAnAccountThatMayNotBeSeenWhole(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	narrow := strings.Repeat("n", 40)
	b.token(narrow, "Zone Read", "Workers Routes Read", "DNS Read", "Workers Scripts Read")
	a, err := routes.CollectAccount(t.Context(), b.client(narrow), at())
	b.must(err)
	if len(a.Unseen) != 3 {
		t.Errorf("unseen %+v", a.Unseen)
	}
	hosts := routes.JudgeAccount(a)
	if len(hosts) != 1 || hosts[0].Owner != "gateway" || audit.Conclude("", hosts[0].Findings, nil).Verdict != audit.Pass {
		t.Errorf("got %+v", hosts)
	}
}

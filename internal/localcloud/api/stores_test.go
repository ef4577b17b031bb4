package api_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func namespace(t *testing.T, b *apitest.Bed) string {
	t.Helper()
	var n struct {
		ID string `json:"id"`
	}
	a := b.Account(t, "POST", "/storage/kv/namespaces", object{"title": "keys"})
	want(t, "create namespace", a, 200, 0)
	a.Into(t, &n)
	return "/storage/kv/namespaces/" + n.ID
}

func TestKVValues(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	ns := namespace(t, b)
	key := ns + "/values/" + url.PathEscape("a/b c%2F")
	want(t, "raw", b.Account(t, "PUT", key+"?expiration_ttl=3600&expiration=1", "\x00raw", "Content-Type", "application/octet-stream"), 200, 0)
	got := b.Account(t, "GET", key, nil)
	if string(got.Body) != "\x00raw" || got.Header.Get("Expiration") == "" {
		t.Errorf("raw value %q, expiration %q", got.Body, got.Header.Get("Expiration"))
	}
	kind, body := multipartBody(t, form{"value", "", "", "formed"}, form{"metadata", "", "", `{"n":1}`})
	want(t, "multipart", b.Account(t, "PUT", ns+"/values/m", body, "Content-Type", kind), 200, 0)
	if got := b.Account(t, "GET", ns+"/metadata/m", nil); string(got.Result) != `{"n":1}` {
		t.Errorf("metadata %s", got.Body)
	}
	tests := map[string]struct {
		method, path string
		body         any
		status, code int
	}{
		"short ttl":          {"PUT", ns + "/values/k?expiration_ttl=59", "v", 400, 10034},
		"ttl is no number":   {"PUT", ns + "/values/k?expiration_ttl=soon", "v", 400, 10034},
		"expiration is past": {"PUT", ns + "/values/k?expiration=1000", "v", 400, 10034},
		"dot":                {"PUT", ns + "/values/%2E", "v", 400, 10033},
		"two dots":           {"GET", ns + "/values/%2E%2E", nil, 400, 10033},
		"long key":           {"PUT", ns + "/values/" + strings.Repeat("k", 513), "v", 414, 10030},
		"big value":          {"PUT", ns + "/values/k", strings.Repeat("v", 25<<20+1), 413, 10030},
		"bigger body":        {"PUT", ns + "/values/k", strings.Repeat("v", 26<<20), 413, 10027},
		"no key":             {"GET", ns + "/values/none", nil, 404, 10009},
		"no namespace":       {"GET", "/storage/kv/namespaces/" + strings.Repeat("0", 32) + "/values/k", nil, 404, 10013},
		"small limit":        {"GET", ns + "/keys?limit=5", nil, 400, 10019},
		"bulk of nothing":    {"PUT", ns + "/bulk", "[]", 400, 10029},
		"bulk is no list":    {"PUT", ns + "/bulk", "{}", 400, 10012},
		"bulk short ttl":     {"PUT", ns + "/bulk", `[{"key":"a","value":"b","expiration_ttl":1}]`, 400, 10034},
		"bulk bad base64":    {"PUT", ns + "/bulk", `[{"key":"a","value":"?","base64":true}]`, 400, 10012},
		"bulk get too many":  {"POST", ns + "/bulk/get", object{"keys": make([]string, 101)}, 400, 10012},
		"delete nothing":     {"DELETE", ns + "/values/none", nil, 200, 0},
		"title twice":        {"POST", "/storage/kv/namespaces", object{"title": "keys"}, 400, 10014},
		"no title":           {"POST", "/storage/kv/namespaces", object{}, 400, 10019},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want(t, name, b.Account(t, test.method, test.path, test.body), test.status, test.code)
		})
	}
	kind, body = multipartBody(t, form{"metadata", "", "", `{"n":1}`})
	want(t, "form without a value", b.Account(t, "PUT", ns+"/values/k", body, "Content-Type", kind), 400, 10012)
	kind, body = multipartBody(t, form{"value", "", "", "v"}, form{"metadata", "", "", `"` + strings.Repeat("m", 1024) + `"`})
	want(t, "long metadata", b.Account(t, "PUT", ns+"/values/k", body, "Content-Type", kind), 400, 10039)
}

func TestKVBulkAndPages(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	ns := namespace(t, b)
	want(t, "bulk put", b.Account(t, "PUT", ns+"/bulk", `[{"key":"a","value":"1"},{"key":"b","value":"Mg==","base64":true,"metadata":{"x":1}},{"key":"c","value":"{\"n\":3}"}]`), 200, 0)
	got := b.Account(t, "POST", ns+"/bulk/get", object{"keys": []string{"a", "b", "none"}, "withMetadata": true})
	if string(got.Result) != `{"values":{"a":{"metadata":null,"value":"1"},"b":{"metadata":{"x":1},"value":"2"},"none":null}}` {
		t.Errorf("bulk get %s", got.Result)
	}
	got = b.Account(t, "POST", ns+"/bulk/get", object{"keys": []string{"c"}, "type": "json"})
	if string(got.Result) != `{"values":{"c":{"n":3}}}` {
		t.Errorf("bulk get of JSON %s", got.Result)
	}
	want(t, "bulk delete, older path", b.Account(t, "DELETE", ns+"/bulk", `["a"]`), 200, 0)
	want(t, "bulk delete", b.Account(t, "POST", ns+"/bulk/delete", `["b","none"]`), 200, 0)
	if got = b.Account(t, "GET", ns+"/keys", nil); string(got.Result) != `[{"name":"c"}]` || !strings.Contains(string(got.Info), `"count":1`) {
		t.Errorf("keys %s %s", got.Result, got.Info)
	}
	for page, count := range map[string]string{"1": `"count":1`, "2": `"count":0`, "99": `"count":0`} {
		got := b.Account(t, "GET", "/storage/kv/namespaces?per_page=1000&page="+page, nil)
		if !strings.Contains(string(got.Info), count) || !strings.Contains(string(got.Info), `"total_count":1`) {
			t.Errorf("page %s: %s %s", page, got.Result, got.Info)
		}
	}
	want(t, "delete namespace", b.Account(t, "DELETE", ns, nil), 200, 0)
	want(t, "its keys are gone", b.Account(t, "GET", ns+"/keys", nil), 404, 10013)
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	for _, name := range []string{"one", "two", "three"} {
		want(t, "create", b.Account(t, "POST", "/r2/buckets", object{"name": name}), 200, 0)
	}
	first := b.Account(t, "GET", "/r2/buckets?per_page=2", nil)
	var info struct {
		Cursor string `json:"cursor"`
	}
	if err := json.Unmarshal(first.Info, &info); err != nil || info.Cursor == "" {
		t.Fatalf("first page %s", first.Info)
	}
	if rest := b.Account(t, "GET", "/r2/buckets?per_page=2&cursor="+info.Cursor, nil); strings.Count(string(rest.Result), `"name"`) != 1 || !strings.Contains(string(rest.Result), "two") {
		t.Errorf("second page %s", rest.Result)
	}
	want(t, "another jurisdiction", b.Account(t, "GET", "/r2/buckets/one", nil, "cf-r2-jurisdiction", "eu"), 404, 10006)
	if _, err := b.Store.R2().Put(context.Background(), "one", "key", strings.NewReader("v"), store.R2PutOptions{}); err != nil {
		t.Fatal(err)
	}
	want(t, "delete a bucket with objects", b.Account(t, "DELETE", "/r2/buckets/one", nil), 409, 10008)
	want(t, "it is still there", b.Account(t, "GET", "/r2/buckets/one", nil), 200, 0)
	rule := func(fields object) object {
		fields["id"], fields["enabled"], fields["conditions"] = "r", true, object{"prefix": ""}
		return object{"rules": []object{fields}}
	}
	age := object{"condition": object{"type": "Age", "maxAge": 1}}
	date := object{"condition": object{"type": "Date", "date": time.Now()}}
	want(t, "abort by date", b.Account(t, "PUT", "/r2/buckets/two/lifecycle", rule(object{"abortMultipartUploadsTransition": date})), 400, 10057)
	want(t, "no action", b.Account(t, "PUT", "/r2/buckets/two/lifecycle", rule(object{})), 400, 10057)
	want(t, "no such class", b.Account(t, "PUT", "/r2/buckets/two/lifecycle", rule(object{"storageClassTransitions": []object{{"condition": age["condition"], "storageClass": "Glacier"}}})), 400, 10057)
	want(t, "good rule", b.Account(t, "PUT", "/r2/buckets/two/lifecycle", rule(object{"deleteObjectsTransition": date, "abortMultipartUploadsTransition": age})), 200, 0)
	want(t, "bad cors", b.Account(t, "PUT", "/r2/buckets/two/cors", object{"rules": []object{{"allowed": object{"origins": []string{"*"}, "methods": []string{"FETCH"}}}}}), 400, 10058)
	cors := object{"rules": []object{{"allowed": object{"origins": []string{"*"}, "methods": []string{"GET"}}, "maxAgeSeconds": 9}}}
	want(t, "cors", b.Account(t, "PUT", "/r2/buckets/two/cors", cors), 200, 0)
	if got := b.Account(t, "GET", "/r2/buckets/two/cors", nil); string(got.Result) != `{"rules":[{"allowed":{"origins":["*"],"methods":["GET"]},"maxAgeSeconds":9}]}` {
		t.Errorf("cors %s", got.Result)
	}
	want(t, "delete cors", b.Account(t, "DELETE", "/r2/buckets/two/cors", nil), 200, 0)
	want(t, "no cors", b.Account(t, "GET", "/r2/buckets/two/cors", nil), 404, 10059)
	domain := object{"domain": "files." + apitest.ZoneName, "zoneId": apitest.ZoneID, "enabled": true}
	want(t, "attach", b.Account(t, "POST", "/r2/buckets/two/domains/custom", domain), 200, 0)
	want(t, "attach to another", b.Account(t, "POST", "/r2/buckets/three/domains/custom", domain), 409, 10052)
	if got := b.Account(t, "GET", "/r2/buckets/two/domains/custom", nil); !strings.Contains(string(got.Result), "files.") {
		t.Errorf("domains %s", got.Result)
	}
	if got := b.Account(t, "GET", "/r2/buckets/two/domains/managed", nil); !strings.Contains(string(got.Result), `"enabled":false`) {
		t.Errorf("managed %s", got.Result)
	}
	want(t, "delete", b.Account(t, "DELETE", "/r2/buckets/two", nil), 200, 0)
	want(t, "its domain is free", b.Account(t, "POST", "/r2/buckets/three/domains/custom", domain), 200, 0)
}

func TestHyperdrive(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	origin := object{"scheme": "postgresql", "host": "db", "database": "d", "user": "u", "password": "hush"}
	a := b.Account(t, "POST", "/hyperdrive/configs", object{"name": "db", "origin": origin})
	want(t, "create", a, 200, 0)
	var made struct {
		ID     string `json:"id"`
		Origin struct {
			Port int `json:"port"`
		} `json:"origin"`
	}
	a.Into(t, &made)
	if made.Origin.Port != 5432 {
		t.Errorf("default port %d", made.Origin.Port)
	}
	path := "/hyperdrive/configs/" + made.ID
	want(t, "twice", b.Account(t, "POST", "/hyperdrive/configs", object{"name": "db", "origin": origin}), 409, 2017)
	want(t, "no password", b.Account(t, "POST", "/hyperdrive/configs", object{"name": "x", "origin": object{"scheme": "postgres", "host": "h", "database": "d", "user": "u"}}), 400, 2007)
	want(t, "PUT without a password", b.Account(t, "PUT", path, object{"name": "db", "origin": object{"scheme": "postgres", "host": "h", "database": "d", "user": "u"}}), 400, 2007)
	want(t, "PATCH of the password alone", b.Account(t, "PATCH", path, object{"origin": object{"password": "other"}}), 200, 0)
	for _, p := range []string{path, "/hyperdrive/configs"} {
		if got := b.Account(t, "GET", p, nil); strings.Contains(string(got.Body), "other") || strings.Contains(string(got.Body), "password") {
			t.Errorf("%s gives the password: %s", p, got.Body)
		}
	}
	want(t, "delete", b.Account(t, "DELETE", path, nil), 200, 0)
	want(t, "delete again", b.Account(t, "DELETE", path, nil), 404, 2006)
}

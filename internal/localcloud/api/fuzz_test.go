package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// refusal says that an error is one the API gives on purpose, with a number.
func refusal(err error) bool {
	var api *apiError
	var query *queryError
	return errors.As(err, &api) && api.Code != 0 && api.Status >= 400 && api.Status != 500 || errors.As(err, &query)
}

func FuzzParseUpload(f *testing.F) {
	body := "--B\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n%s\r\n--B\r\nContent-Disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\nContent-Type: application/javascript+module\r\n\r\nexport default {}\r\n--B--\r\n"
	f.Add("multipart/form-data; boundary=B", []byte(fmt.Sprintf(body, `{"main_module":"index.js"}`)))
	f.Add("multipart/form-data; boundary=B", []byte(fmt.Sprintf(body, `{"body_part":"index.js","bindings":[{"name":"A","type":"inherit","old_name":"B"}],"migrations":{"new_tag":"v1","steps":[{}]}}`)))
	f.Add("multipart/form-data; boundary=B", []byte("--B--"))
	f.Add("multipart/form-data", []byte(""))
	f.Add("application/javascript", []byte("addEventListener()"))
	f.Add(";;;", []byte(""))
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		u, err := parseUpload(contentType, data)
		if err != nil {
			if !refusal(err) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		if len(u.parts) == 0 || u.parts[0].name != u.main {
			t.Fatalf("the main module %q is not the first part: %+v", u.main, u.parts)
		}
		if u.parts[0].kind != typeModule && u.parts[0].kind != typeServiceWorker {
			t.Fatalf("the main module has type %q", u.parts[0].kind)
		}
		for _, p := range u.parts {
			if len(p.data) > len(data) {
				t.Fatal("a part is larger than its body")
			}
		}
		if _, err := (inheritance{}).bindings(u.meta.Bindings); err != nil && !refusal(err) {
			t.Fatalf("not a refusal: %v", err)
		}
	})
}

func FuzzParseBinding(f *testing.F) {
	f.Add([]byte(`{"name":"A","type":"secret_text","text":"hush"}`))
	f.Add([]byte(`{"name":"A","type":"secret_key","key_base64":"hush","key_jwk":{"k":"hush"},"extra":{"text":"hush"}}`))
	f.Add([]byte(`{"name":"A","type":"ratelimit","namespace_id":"1","simple":{"limit":1,"period":60}}`))
	f.Add([]byte(`{"name":"A","type":"secret_text","TEXT":"hush"}`))
	f.Add([]byte(`{"name":"A","type":"plain_text","TYPE":"secret_text","text":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBinding(data)
		if err != nil {
			return
		}
		view := viewBinding("script", b)
		if view["name"] != b.Name || view["type"] != b.Type {
			t.Fatalf("%s is given back as %v", data, view)
		}
		for key := range view {
			if isSecret(b) && !slices.Contains([]string{"name", "type", "algorithm", "format", "usages"}, key) {
				t.Fatalf("a secret's %s is given back: %v", key, view)
			}
		}
	})
}

func FuzzValidatePattern(f *testing.F) {
	for _, p := range []string{"example.com/*", "*example.com", "*.example.com/a/*", "https://example.com/", "http://a.example.com", "ftp://example.com",
		"example.com/a*b", "*", "", "//", "example.com/?x", "EXAMPLE.com/A", "..example.com/", "https://https://example.com/"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		err := validatePattern(pattern, "example.com")
		if err != nil {
			if !refusal(err) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		rest := pattern
		for _, scheme := range []string{"http://", "https://"} {
			rest = strings.TrimPrefix(rest, scheme)
		}
		host, path, _ := strings.Cut(rest, "/")
		bare := strings.ToLower(strings.TrimPrefix(host, "*"))
		if bare != "example.com" && !strings.HasSuffix(bare, ".example.com") {
			t.Fatalf("%q is outside of the zone", pattern)
		}
		if strings.Contains(bare, "*") || strings.Contains(strings.TrimSuffix(path, "*"), "*") || strings.Contains(rest, "?") {
			t.Fatalf("%q has a wildcard or a query where none may be", pattern)
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	f.Add(`query Q($a: string!) { viewer { accounts(filter: {accountTag: $a}) { x: y(limit: 1, in: [1 "b"]) { z } } } }`)
	f.Add(`{ a # comment`)
	f.Add(`{a(b:{c:[{d:-1.5e3}]})}`)
	f.Fuzz(func(t *testing.T, query string) {
		fields, err := parseQuery(query, nil)
		if err == nil && len(fields) == 0 {
			t.Fatal("a query without fields")
		}
	})
}

func FuzzParseValueForm(f *testing.F) {
	f.Add([]byte("--B\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv\r\n--B\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{}\r\n--B--\r\n"), "B")
	f.Add([]byte(""), "")
	f.Fuzz(func(t *testing.T, data []byte, boundary string) {
		if _, _, err := parseValueForm(data, boundary); err != nil && !refusal(err) {
			t.Fatalf("not a refusal: %v", err)
		}
	})
}

package doubles

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const widgetSecret = "0x4AAAAAAAthesecretofawidget"

// checks asks a double's siteverify, as a form.
type checks struct {
	t   *testing.T
	set *Set
}

func (c checks) post(contentType, body string) verdict {
	c.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://"+TurnstileHost+siteverifyPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	c.set.Of("turnstile").ServeHTTP(w, r)
	var v verdict
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		c.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

func (c checks) form(parameters ...string) verdict {
	c.t.Helper()
	form := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	return c.post("application/x-www-form-urlencoded", form.Encode())
}

func (c checks) solve(asked Challenge) string {
	c.t.Helper()
	solved, err := c.set.Solve(asked)
	if err != nil {
		c.t.Fatal(err)
	}
	return solved.Response
}

// Each refusal has the code that Cloudflare documents for it, also under the keys that are for tests.
func TestTurnstileRefuses(t *testing.T) {
	t.Parallel()
	c := checks{t, New(time.Now)}
	dummy := c.solve(Challenge{Sitekey: "1x00000000000000000000AA"})
	for name, is := range map[string]struct {
		secret, response, want string
	}{
		"no secret":                   {"", "x", "missing-input-secret"},
		"a secret that is none":       {"secret", "x", "invalid-input-secret"},
		"a sitekey for the secret":    {"1x00000000000000000000AA", "x", "invalid-input-secret"},
		"no response":                 {widgetSecret, "", "missing-input-response"},
		"a response that is none":     {widgetSecret, "x", "invalid-input-response"},
		"the dummy, of a real secret": {widgetSecret, dummy, "invalid-input-response"},
		"the secret that fails":       {"2x0000000000000000000000000000000AA", dummy, "invalid-input-response"},
		"the secret of the spent":     {"3x0000000000000000000000000000000AA", dummy, "timeout-or-duplicate"},
	} {
		if v := c.form("secret", is.secret, "response", is.response); v.Success || !slices.Equal(v.Codes, []string{is.want}) {
			t.Errorf("%s: %+v, want %s", name, v, is.want)
		}
	}
	if v := c.form("secret", "1x0000000000000000000000000000000AA", "response", dummy); !v.Success || v.Hostname != "example.com" || v.Action != "" || len(v.Codes) != 0 {
		t.Errorf("the secret that passes: %+v", v)
	}
	if v := c.post("application/json", "{"); !slices.Equal(v.Codes, []string{"bad-request"}) {
		t.Errorf("JSON that is none: %+v", v)
	}
	if _, err := c.set.Solve(Challenge{Sitekey: "2x00000000000000000000AB"}); err == nil {
		t.Error("a widget that lets nobody pass gave a response")
	}
}

// A response counts once and for five minutes, and says where and for what it was given.
func TestTurnstileTakesAResponseOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	c := checks{t, New(func() time.Time { return now })}
	asked := Challenge{Hostname: "app.example", Action: "guest", CData: "cart 7"}
	first, late, form := c.solve(asked), c.solve(asked), c.solve(asked)

	body, err := json.Marshal(map[string]string{"secret": widgetSecret, "response": first, "idempotency_key": "k-1"})
	if err != nil {
		t.Fatal(err)
	}
	if v := c.post("application/json", string(body)); !v.Success || v.Hostname != "app.example" || v.Action != "guest" || v.CData != "cart 7" || v.At != "2026-11-28T12:00:00.000Z" {
		t.Errorf("the first time: %+v", v)
	}
	if v := c.post("application/json", string(body)); !v.Success {
		t.Errorf("the same check again: %+v", v)
	}
	if v := c.form("secret", widgetSecret, "response", first); !slices.Equal(v.Codes, []string{"timeout-or-duplicate"}) {
		t.Errorf("the second time: %+v", v)
	}
	if v := c.post("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"secret\"\r\n\r\n"+widgetSecret+
		"\r\n--b\r\nContent-Disposition: form-data; name=\"response\"\r\n\r\n"+form+"\r\n--b--\r\n"); !v.Success {
		t.Errorf("a form of parts: %+v", v)
	}
	now = now.Add(ResponseLife + time.Second)
	if v := c.form("secret", widgetSecret, "response", late); !slices.Equal(v.Codes, []string{"timeout-or-duplicate"}) {
		t.Errorf("after five minutes: %+v", v)
	}
	now = now.Add(responseMemory)
	c.solve(asked)
	if n := len(c.set.turnstile.given); n != 1 {
		t.Errorf("%d responses are kept after an hour, want the new one", n)
	}
}

package doubles

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// TurnstileHost is where Workers on this machine have Turnstile's responses checked.
const TurnstileHost = "challenges.cloudflare.localhost"

const (
	siteverifyPath = "/turnstile/v0/siteverify"
	// ResponseLife is how long a response counts, as documented.
	ResponseLife = 5 * time.Minute
	// responseMemory is how long a response that no longer counts is told from one that never was.
	responseMemory = time.Hour
	dummyResponse  = "XXXX.DUMMY.TOKEN.XXXX"
)

// Cloudflare's documented keys for tests: what a widget of each does, and what each secret makes of any response.
var (
	testSitekeys = map[string]bool{ // whether a person gets past it
		"1x00000000000000000000AA": true, "1x00000000000000000000BB": true, "3x00000000000000000000FF": true,
		"2x00000000000000000000AB": false, "2x00000000000000000000BB": false,
	}
	testSecrets = map[string]verdict{
		"1x0000000000000000000000000000000AA": {Success: true, Hostname: "example.com", Codes: []string{}, Metadata: map[string]any{"result_with_testing_key": true}},
		"2x0000000000000000000000000000000AA": refusedFor("invalid-input-response"),
		"3x0000000000000000000000000000000AA": refusedFor("timeout-or-duplicate"),
	}
	secretShape = regexp.MustCompile(`^0x[\w-]{20,}$`)
)

// Challenge is a page on which a person is asked, and what its widget is set to say.
type Challenge struct {
	Sitekey  string `json:"sitekey,omitempty"` // one of the test keys, or none for a widget of the account's own
	Hostname string `json:"hostname"`
	Action   string `json:"action,omitempty"`
	CData    string `json:"cdata,omitempty"`
}

// Solved is what the widget gives the page.
type Solved struct {
	Response string    `json:"response"`
	Expires  time.Time `json:"expires_at"`
}

// verdict is an answer of siteverify.
type verdict struct {
	Success  bool           `json:"success"`
	Codes    []string       `json:"error-codes"`
	At       string         `json:"challenge_ts,omitempty"`
	Hostname string         `json:"hostname,omitempty"`
	Action   string         `json:"action,omitempty"`
	CData    string         `json:"cdata,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

func refusedFor(code string) verdict { return verdict{Codes: []string{code}} }

// given is a response that a widget gave.
type given struct {
	Challenge
	at    time.Time
	spent bool
	by    string // idempotency key of the check that spent it
}

// turnstile is siteverify, and the widgets before it.
type turnstile struct {
	now func() time.Time

	mu    sync.Mutex
	given map[string]*given
}

// solve has a person pass a widget.
func (d *turnstile) solve(c Challenge) (Solved, error) {
	now := d.now()
	solved := Solved{Response: dummyResponse, Expires: now.Add(ResponseLife).UTC()}
	if passes, ok := testSitekeys[c.Sitekey]; ok {
		if !passes {
			return Solved{}, fault.New(fault.Denied, "the widget of sitekey %s lets nobody pass", c.Sitekey).WithHint("that is what this test key is for; others are in Cloudflare's documentation")
		}
		return solved, nil
	}
	if c.Sitekey != "" || c.Hostname == "" || len(c.Action) > 32 || len(c.CData) > 255 {
		return Solved{}, fault.New(fault.Invalid, "a widget has a hostname, an action of up to 32 and cdata of up to 255 characters, and no sitekey but a test key")
	}
	solved.Response = "1." + rand.Text() + "." + rand.Text()
	d.mu.Lock()
	defer d.mu.Unlock()
	for text, g := range d.given {
		if now.Sub(g.at) > responseMemory {
			delete(d.given, text)
		}
	}
	d.given[solved.Response] = &given{Challenge: c, at: now}
	return solved, nil
}

func (*turnstile) model(*http.Request, []byte) string { return "" }

func (*turnstile) refuse(w http.ResponseWriter, status int) {
	say(w, status, refusedFor("internal-error"))
}

func (d *turnstile) answer(w http.ResponseWriter, r *http.Request, empty bool) {
	if r.URL.Path != siteverifyPath || r.Method != http.MethodPost {
		http.Error(w, "not emulated: "+r.Method+" "+r.URL.Path, http.StatusNotImplemented)
		return
	}
	asked, err := parametersOf(r)
	switch {
	case empty:
		say(w, http.StatusOK, struct{}{})
	case err != nil:
		say(w, http.StatusBadRequest, refusedFor("bad-request"))
	default:
		say(w, http.StatusOK, d.check(asked))
	}
}

func (d *turnstile) check(asked func(name string) string) verdict {
	secret, response := asked("secret"), asked("response")
	tested, test := testSecrets[secret]
	switch {
	case secret == "":
		return refusedFor("missing-input-secret")
	case !test && !secretShape.MatchString(secret):
		return refusedFor("invalid-input-secret")
	case response == "":
		return refusedFor("missing-input-response")
	case test:
		if tested.Success {
			tested.At = stamp(d.now())
		}
		return tested
	}
	return d.spend(response, asked("idempotency_key"))
}

// spend takes a response once; the same check asked again, under its idempotency key, is answered as it was.
func (d *turnstile) spend(response, by string) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.given[response]
	if g == nil {
		return refusedFor("invalid-input-response")
	}
	again := g.spent && by != "" && by == g.by
	if d.now().Sub(g.at) > ResponseLife || g.spent && !again {
		return refusedFor("timeout-or-duplicate")
	}
	g.spent, g.by = true, by
	return verdict{Success: true, Codes: []string{}, At: stamp(g.at), Hostname: g.Hostname, Action: g.Action, CData: g.CData}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// parametersOf reads a form, of either kind, or JSON.
func parametersOf(r *http.Request) (func(name string) string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // one that is none is no form
	if kind == "multipart/form-data" {
		return r.FormValue, r.ParseMultipartForm(maxBody)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if kind == "application/json" {
		var doc map[string]any
		err := json.Unmarshal(body, &doc)
		return func(name string) string { text, _ := doc[name].(string); return text }, err
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	return form.Get, err
}

func say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller went away
}

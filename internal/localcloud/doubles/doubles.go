// Package doubles stands in for the model providers and Turnstile: their wire formats, answers that depend on the question alone, counts of what was asked, and faults that an operator sets.
package doubles

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/runtime/aidouble"
)

// The hostnames at which Workers on this machine find the doubles of outside providers.
const (
	GroqHost   = "api.groq.localhost"
	OpenAIHost = "api.openai.localhost"
)

// Set is the doubles of one account, by provider.
type Set struct {
	doubles   map[string]*Double
	turnstile *turnstile
}

// Providers are those that have a double, in order.
func Providers() []string { return []string{"cfai", "groq", "openai", "turnstile"} }

// New makes a double of every provider, all of them well.
func New(now func() time.Time) *Set {
	t := &turnstile{now: now, given: map[string]*given{}}
	return &Set{turnstile: t, doubles: map[string]*Double{
		"cfai":      {wire: workersAI{}, bound: true},
		"groq":      {wire: chat{prefix: "/openai/v1", groq: true}},
		"openai":    {wire: chat{prefix: "/v1"}},
		"turnstile": {wire: t},
	}}
}

// Of is a provider's double, to be served.
func (s *Set) Of(provider string) *Double { return s.doubles[provider] }

// Hosts are the outside hostnames that doubles answer for.
func (s *Set) Hosts() map[string]http.Handler {
	return map[string]http.Handler{GroqHost: s.doubles["groq"], OpenAIHost: s.doubles["openai"], TurnstileHost: s.doubles["turnstile"]}
}

// Solve has a person pass a Turnstile widget, as no program can on the real one.
func (s *Set) Solve(c Challenge) (Solved, error) { return s.turnstile.solve(c) }

// Status is how a provider's double is set, and what it has been asked since the account was started.
type Status struct {
	Provider string         `json:"provider"`
	Plan     Plan           `json:"plan"`
	Requests int            `json:"requests"`
	Models   map[string]int `json:"models"` // requests by model, of those that said which
	Faults   map[Kind]int   `json:"faults"` // requests that a fault befell
}

// Status lists every provider, in order.
func (s *Set) Status() []Status {
	all := make([]Status, 0, len(s.doubles))
	for _, name := range Providers() {
		st := s.doubles[name].status()
		st.Provider = name
		all = append(all, st)
	}
	return all
}

// Plan replaces what a provider does wrong; the zero plan makes it well.
func (s *Set) Plan(provider string, p Plan) error {
	d, ok := s.doubles[provider]
	if !ok {
		return fault.New(fault.NotFound, "no provider %q has a double", provider).WithHint("one of: %s", strings.Join(Providers(), ", "))
	}
	if err := p.Check(); err != nil {
		return err
	}
	d.set(p)
	return nil
}

// wire is a provider's format.
type wire interface {
	// model is the model that a request asks for, or empty.
	model(r *http.Request, body []byte) string
	// refuse answers with an error of the provider's.
	refuse(w http.ResponseWriter, status int)
	// answer answers; with nothing in it when empty.
	answer(w http.ResponseWriter, r *http.Request, empty bool)
}

// Double is one provider.
type Double struct {
	wire  wire
	bound bool // reached through a binding: no network between that could fail in a way of its own

	mu       sync.Mutex
	plan     Plan
	picker   picker
	latency  latency
	requests int
	models   map[string]int
	befallen map[Kind]int
}

func (d *Double) set(p Plan) {
	l, _ := parseLatency(p.Delay) // checked
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan, d.picker, d.latency = p, newPicker(p.Faults), l
}

func (d *Double) status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := Status{Plan: d.plan, Requests: d.requests, Models: map[string]int{}, Faults: map[Kind]int{}}
	st.Plan.Faults = append([]Fault{}, d.plan.Faults...)
	maps.Copy(st.Models, d.models)
	maps.Copy(st.Faults, d.befallen)
	return st
}

// begin counts a request and deals it its fate.
func (d *Double) begin(model string) (p Plan, k Kind, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.models == nil {
		d.models, d.befallen = map[string]int{}, map[Kind]int{}
	}
	d.requests++
	if model != "" {
		d.models[model]++
	}
	if k = d.picker.next(); k != "" {
		d.befallen[k]++
	}
	if d.latency != nil {
		wait = d.latency(uint64(d.requests))
	}
	return d.plan, k, wait
}

// maxBody bounds a request: Workers AI takes images and audio, so it is generous.
const maxBody = 20 << 20

func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The whole body first: only then does the server notice that the caller went away.
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		d.wire.refuse(w, http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	plan, kind, wait := d.begin(d.wire.model(r, body))
	if wait > 0 && !hold(r, wait) {
		return
	}
	d.befall(w, r, plan, kind)
}

// befall answers as the kind of fault has it.
func (d *Double) befall(w http.ResponseWriter, r *http.Request, plan Plan, kind Kind) {
	switch kind {
	case Refuse, DNS, TLS:
		if d.bound {
			panic(http.ErrAbortHandler)
		}
		networkError(w, kind)
	case Reset:
		panic(http.ErrAbortHandler)
	case SlowHeaders:
		hold(r, maxHold)
		panic(http.ErrAbortHandler)
	case Limited:
		if plan.RetryAfterS > 0 {
			w.Header().Set("Retry-After", itoa(plan.RetryAfterS))
		}
		d.wire.refuse(w, http.StatusTooManyRequests)
	case Unauth, Unpaid, Broken:
		d.wire.refuse(w, map[Kind]int{Unauth: 401, Unpaid: 402, Broken: 500}[kind])
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>Maintenance</title><p>We will be back soon.\n")
	case Stall, Cut, Malformed:
		d.wire.answer(&tampered{ResponseWriter: w, request: r, kind: kind, after: plan.After}, r, false)
	default:
		d.wire.answer(w, r, kind == Empty)
	}
}

// maxHold is longer than any caller waits.
const maxHold = 2 * time.Minute

// hold waits; false when the caller went away before.
func hold(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// networkError is the page that Cloudflare answers a Worker's fetch with when the way to the server fails.
func networkError(w http.ResponseWriter, kind Kind) {
	status, code := 521, "521"
	switch kind {
	case DNS:
		status, code = 530, "1016"
	case TLS:
		status, code = 525, "525"
	default:
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "error code: "+code)
}

// workersAI is the provider behind env.AI.
type workersAI struct{}

func (workersAI) model(r *http.Request, _ []byte) string { return r.Header.Get("Cf-Consn-Model-Id") }

func (workersAI) refuse(w http.ResponseWriter, status int) { aidouble.Refuse(w, status) }

func (workersAI) answer(w http.ResponseWriter, r *http.Request, empty bool) {
	aidouble.Handler{Empty: empty}.ServeHTTP(w, r)
}

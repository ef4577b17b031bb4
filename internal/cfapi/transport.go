package cfapi

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Cloudflare allows 1,200 requests in five minutes: a burst of 150, then 3.5 a second, stays within it.
const (
	budgetBurst  = 150
	budgetPerSec = 3.5
)

const errorBodyLimit = 256 << 10

// transport adds to plain HTTP what the API's documentation asks of a client: a budget, Retry-After, back-off,
// and errors that keep the API's own code also where cloudflare-go would lose it (429, 5xx, HTML bodies).
type transport struct {
	next     http.RoundTripper
	limiter  *rate.Limiter
	retryMax int
	maxWait  time.Duration
	sleep    func(context.Context, time.Duration) error
}

func newTransport(c Config, local bool) *transport {
	t := &transport{next: http.RoundTripper(nil), retryMax: c.RetryMax, maxWait: c.MaxWait, sleep: c.Sleep}
	if c.HTTP != nil {
		t.next = c.HTTP.Transport
	}
	if t.next == nil {
		plain := http.DefaultTransport.(*http.Transport).Clone()
		plain.ResponseHeaderTimeout = 60 * time.Second
		t.next = plain
	}
	if t.retryMax == 0 {
		t.retryMax = 4
	}
	if t.maxWait == 0 {
		t.maxWait = 30 * time.Second
	}
	if t.sleep == nil {
		t.sleep = sleep
	}
	if !local {
		t.limiter = rate.NewLimiter(budgetPerSec, budgetBurst)
	}
	return t
}

// RoundTrip answers with a response only when its status is below 400; anything else is an error of this package.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		if t.limiter != nil {
			if err := t.limiter.Wait(req.Context()); err != nil {
				return nil, err
			}
		}
		res, err := t.next.RoundTrip(req)
		if err == nil && res.StatusCode < http.StatusBadRequest {
			return res, nil
		}
		var refusal *Refusal
		if err == nil {
			refusal = readRefusal(req, res)
			err = refusal
		}
		wait, again := t.again(req, refusal, err, attempt)
		if !again {
			return nil, err
		}
		tellWaiting(req.Context(), wait, err)
		if t.sleep(req.Context(), wait) != nil {
			return nil, err // the reason for waiting says more than the end of the wait
		}
		if req, err = rewound(req, err); err != nil {
			return nil, err
		}
	}
}

// again decides whether to repeat, and after how long. A POST or PATCH that failed may have been carried out, so it never is.
func (t *transport) again(req *http.Request, refusal *Refusal, err error, attempt int) (time.Duration, bool) {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete:
	default:
		return 0, false
	}
	if attempt >= t.retryMax || req.Context().Err() != nil || errors.Is(err, context.Canceled) {
		return 0, false
	}
	if refusal != nil && !refusal.passing() {
		return 0, false
	}
	wait := backoff(attempt)
	if refusal != nil && refusal.RetryAfter > 0 {
		wait = refusal.RetryAfter
	}
	if deadline, ok := req.Context().Deadline(); ok && time.Until(deadline) < wait {
		return 0, false
	}
	return wait, wait <= t.maxWait
}

// backoff doubles from a quarter of a second, with the upper half left to chance so that callers do not march in step.
func backoff(attempt int) time.Duration {
	full := 250 * time.Millisecond << min(attempt, 6)
	return full/2 + rand.N(full/2)
}

// rewound is the request with its body at the start again; cause is returned when the body cannot be read twice.
func rewound(req *http.Request, cause error) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody == nil {
		return nil, cause
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	fresh := req.Clone(req.Context())
	fresh.Body = body
	return fresh, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter reads both forms of the header (RFC 9110, section 10.2.3); 0 when there is none that makes sense.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

func readRefusal(req *http.Request, res *http.Response) *Refusal {
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, errorBodyLimit)) // half an error body is still better than none
	r := parseRefusal(body)
	r.Status, r.Method, r.Path, r.Ray = res.StatusCode, req.Method, req.URL.Path, res.Header.Get("Cf-Ray")
	r.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	return r
}

func itoa(n int) string { return strconv.Itoa(n) }

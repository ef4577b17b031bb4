package edge

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// pauses are the waits between attempts to reach a process that has just gone; the runtime needs a moment to notice.
var pauses = []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond}

// exchange is one request on its way through the edge.
type exchange struct {
	edge   *Edge
	w      http.ResponseWriter
	r      *http.Request
	ray    string
	target string
	owner  owner

	version string
	status  int // 0 until an answer begins
	outcome string
	body    bodyCopy
	why     string // what kept the runtime from lending a process
}

// errUnanswered is the end of a connection before the Worker answered.
type errUnanswered struct{ error }

func (e errUnanswered) Unwrap() error { return e.error }

// run proxies the request, on a fresh lease again when its process went away and nothing can have happened twice.
func (x *exchange) run() {
	var err error
	for attempt, pause := range pauses {
		if !sleep(x.r.Context(), pause) {
			break
		}
		if err = x.attempt(attempt > 0); err == nil || !x.mayRepeat(err) {
			break
		}
	}
	if err == nil && x.status != 0 {
		return
	}
	x.giveUp(err)
}

func (x *exchange) attempt(fresh bool) error {
	ctx := x.r.Context()
	lease, err := x.edge.Runtime.Acquire(ctx, x.owner.script, preferOf(x.r.Header, x.owner.script))
	if err != nil {
		x.why = err.Error()
		return err
	}
	x.why = ""
	defer lease.Release()
	x.version = lease.VersionID
	c, err := x.edge.pool.Get(ctx, keepalive.Address{Network: lease.Network, Addr: lease.Addr}, fresh)
	if err != nil {
		return fault.New(fault.Unavailable, "dial: %w", err)
	}
	return x.over(c)
}

// mayRepeat is true when the Worker cannot have seen the request, or has not answered one that is safe to repeat.
func (x *exchange) mayRepeat(err error) bool {
	if x.status != 0 || x.body.started || x.r.Context().Err() != nil || errors.Is(err, fault.NotFound) {
		return false
	}
	var unanswered errUnanswered
	return !errors.As(err, &unanswered) || idempotent(x.r.Method)
}

// idempotent lists the methods of RFC 9110, section 9.2.2.
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// giveUp answers for a Worker that did not.
func (x *exchange) giveUp(err error) {
	var unanswered errUnanswered
	switch {
	case x.r.Context().Err() != nil:
		x.outcome, x.status = outcomeDisconnected, 499
		panic(http.ErrAbortHandler)
	case x.status != 0: // the answer broke off: only an aborted connection tells the client so
		x.outcome = outcomeInternal
		panic(http.ErrAbortHandler)
	case x.body.fail.Load() != nil:
		x.fail(x.body.fail.Load())
	case errors.Is(err, fault.NotFound):
		x.outcome = outcomeInternal
		x.fail(errNoOrigin.with("The URL belongs to Worker " + x.owner.script + " (" + x.owner.rule + "), which does not exist."))
	case errors.As(err, &unanswered):
		x.outcome = outcomeInternal
		x.fail(errEmptyReply)
	default:
		x.outcome = outcomeInternal
		x.fail(errDown.with(cmp.Or(x.why, errDown.detail)))
	}
	x.edge.Log.Info("request not answered by its Worker", "script", x.owner.script, "status", x.status, "err", err)
}

func (x *exchange) fail(e *edgeError) {
	x.status = e.status
	x.closeIfUnread()
	e.write(x.w, x.r, x.ray)
}

func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// over sends the request on c and brings the answer back.
func (x *exchange) over(c *keepalive.Conn) error {
	stop := context.AfterFunc(x.r.Context(), func() { _ = c.Close() })
	defer x.settle()
	x.writeHead(c.W)
	if err := x.startBody(c); err != nil {
		stop()
		_ = c.Close()
		return errUnanswered{err}
	}
	resp, err := c.Answer(x.r)
	if err != nil {
		stop()
		_ = c.Close()
		return errUnanswered{err}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		stop()
		return x.tunnel(c, resp)
	}
	err = x.copyAnswer(c, resp)
	if stop() && err == nil && !resp.Close && c.R.Buffered() == 0 && x.body.finished() {
		x.edge.pool.Put(c)
		return nil
	}
	_ = c.Close()
	return err
}

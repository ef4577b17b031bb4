package edge

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

const (
	maxBody   = 100 << 20 // as on Cloudflare's Free and Pro plans
	maxTarget = 16 << 10
	colo      = "LCL" // the "data centre" in cf-ray
)

// Outcomes of an invocation, in the words of workersInvocationsAdaptive.
const (
	outcomeSuccess      = "success"
	outcomeThrew        = "scriptThrewException"
	outcomeDisconnected = "clientDisconnected"
	outcomeInternal     = "internalError"
)

var serverHeader = []string{"cloudflare"}

func (e *Edge) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	ray := newRay()
	h := w.Header()
	h["Server"] = serverHeader
	h["Cf-Ray"] = []string{ray}
	target, own, fail := e.route(r)
	x := exchange{edge: e, w: w, r: r, ray: ray, target: target, owner: own, outcome: outcomeSuccess}
	defer func() { x.record(start) }() // also when a broken answer ends in a panic
	if fail != nil {
		x.fail(fail)
		return
	}
	x.run()
}

// route admits the request and finds its owner.
func (e *Edge) route(r *http.Request) (target string, own owner, fail *edgeError) {
	target, fail = admit(r)
	if fail != nil {
		return target, own, fail
	}
	t, err := e.table()
	if err != nil {
		return target, own, errDown.with("The account cannot be read.")
	}
	own, fail = t.resolve(r.TLS != nil, r.Host, target)
	if own.tie != nil {
		e.tellTie(t, own)
	}
	return target, own, fail
}

// admit refuses what no Worker gets to see, and gives the request's path and query.
func admit(r *http.Request) (string, *edgeError) {
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return "", errMethod
	case len(r.RequestURI) > maxTarget:
		return "", errURITooLong
	case r.ContentLength > maxBody:
		return "", errTooLarge
	}
	target, ok := canonicalTarget(originForm(r.RequestURI))
	if !ok {
		return "", errBadRequest.with("The request target is not a path.")
	}
	return target, nil
}

// originForm takes scheme and authority off a request target in absolute form; net/http has put the authority into r.Host.
func originForm(uri string) string {
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	at := strings.IndexAny(rest, "/?")
	switch {
	case at < 0:
		return "/"
	case rest[at] == '?':
		return "/" + rest[at:]
	default:
		return rest[at:]
	}
}

// tellTie reports once per table that Cloudflare documents no winner between two routes.
func (e *Edge) tellTie(t *table, own owner) {
	if _, told := t.told.LoadOrStore([2]string{own.rule, own.tie.text}, true); !told {
		e.Log.Warn("ambiguous routes: Cloudflare documents no winner between patterns of the same specificity",
			"served", own.rule, "script", own.script, "other", own.tie.text, "other_script", own.tie.script)
	}
}

func (x *exchange) record(start time.Time) {
	wall := time.Since(start)
	if x.owner.script != "" && x.edge.Metrics != nil {
		x.edge.Metrics.Record(store.Invocation{
			Script: x.owner.script, Version: x.version, Status: x.outcome, At: start, Wall: wall, HTTPStatus: x.status,
		})
	}
	if log := x.edge.Log; log.Enabled(context.Background(), slog.LevelDebug) {
		// No query: tokens travel in it.
		path, _, _ := strings.Cut(x.target, "?")
		log.Debug("request", "method", x.r.Method, "host", x.r.Host, "path", path, "status", x.status, "ms", float64(wall.Microseconds())/1e3,
			"script", x.owner.script, "by", x.owner.by, "rule", x.owner.rule, "outcome", x.outcome, "ray", x.ray)
	}
}

func newRay() string {
	var b [20]byte
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64())
	hex.Encode(b[:16], id[:])
	copy(b[16:], "-"+colo)
	return string(b[:])
}

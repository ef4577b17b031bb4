package runtime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// targetHeader names the store that a request from workerd is for; workerd sets it itself, so no script can choose another.
const targetHeader = "Cogctl-Backend"

// backend serves the bindings whose state is in Go, over HTTP on one socket.
type backend struct {
	store     *store.Store
	now       func() time.Time
	server    *http.Server
	serveErr  chan error
	ai        http.Handler
	limits    *rateLimiter
	analytics *analytics
	pools     *pools
	out       *outbound // nil when Workers reach the network themselves
	queueIDs  sync.Map  // by the names that bindings use

	mu      sync.Mutex
	secrets map[string]string
}

func newBackend(r *Runtime) (*backend, error) {
	if err := writeHelpers(r.paths.modules()); err != nil {
		return nil, err
	}
	b := &backend{
		store: r.cfg.Store, now: r.cfg.Now, ai: r.cfg.AI, limits: newRateLimiter(r.cfg.Now), secrets: map[string]string{},
		pools: newPools(r.cfg.Log), serveErr: make(chan error, 1),
	}
	var err error
	if b.analytics, err = openAnalytics(r.cfg.Dir); err != nil {
		return nil, err
	}
	if b.ai == nil {
		b.ai = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no AI provider is configured", http.StatusNotImplemented)
		})
	}
	l, err := net.Listen("unix", r.paths.backSocket())
	if err != nil {
		return nil, fault.New(fault.Internal, "listen for bindings: %w", err)
	}
	if err := os.Chmod(r.paths.backSocket(), 0o600); err != nil {
		return nil, fault.New(fault.Internal, "listen for bindings: %w", errors.Join(err, l.Close()))
	}
	if r.cfg.Outbound != nil {
		if b.out, err = newOutbound(r.paths.outSocket(), r.cfg.Outbound); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 30 * time.Second}
	go func() { b.serveErr <- b.server.Serve(nonblock.Listener{Listener: l}) }()
	return b, nil
}

func (b *backend) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.server.Shutdown(ctx) != nil {
		_ = b.server.Close()
	}
	<-b.serveErr
	if b.out != nil {
		b.out.close()
	}
	b.pools.close()
	return b.analytics.close()
}

// secret is a random password for one thing, the same for as long as the runtime lives.
func (b *backend) secret(kind, id string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := kind + "/" + id
	if b.secrets[key] == "" {
		var raw [24]byte
		_, _ = rand.Read(raw[:]) // never fails
		b.secrets[key] = hex.EncodeToString(raw[:])
	}
	return b.secrets[key]
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, id, _ := strings.Cut(r.Header.Get(targetHeader), "/")
	r.Header.Del(targetHeader)
	switch kind {
	case "kv":
		b.serveKV(w, r, id)
	case "queue":
		b.serveQueue(w, r, id)
	case "r2":
		b.serveR2(w, r, id)
	case "ai":
		b.ai.ServeHTTP(w, r)
	case "ratelimit":
		b.limits.serve(w, r, id)
	case "analytics":
		b.analytics.serve(w, r, id)
	default:
		http.Error(w, "unknown binding", http.StatusNotFound)
	}
}

// refuse answers an error of the store; workerd makes an exception of the status and its text.
func refuse(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), fault.HTTPStatus(err))
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // workerd went away: nobody is left to tell
}

// readBody reads a body of at most limit bytes.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the request: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fault.New(fault.TooLarge, "the body is over %d bytes", limit)
	}
	return b, nil
}

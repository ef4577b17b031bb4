package localcloud

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/doubles"
	"github.com/cognomega/edge/internal/localcloud/edge"
	"github.com/cognomega/edge/internal/localcloud/egress"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
	"github.com/cognomega/edge/internal/localcloud/runtime"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// Cloud is a running account. It owns its folder until Close.
type Cloud struct {
	cfg       Config
	store     *store.Store
	runtime   *runtime.Runtime
	edge      *edge.Edge
	doubles   *doubles.Set
	egress    *egress.Egress
	endpoints Endpoints
	calls     callCounter
	servers   []*http.Server
	serveErr  chan error
	stop      chan struct{} // closed when somebody asked over the control port to stop
}

// Start opens the account's folder, boots its Workers and listens. A second Start on the same folder is refused.
func Start(ctx context.Context, cfg Config) (_ *Cloud, err error) {
	cfg = cfg.withDefaults()
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "local cloud folder %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "create the local cloud's folder: %w", err)
	}
	c := &Cloud{cfg: cfg, serveErr: make(chan error, 8), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.store, err = store.Open(dir, store.Options{Now: cfg.Now, KVVisibility: cfg.KVDelay}); err != nil {
		return nil, err
	}
	token, tokenFile, err := loadOrCreateToken(dir)
	if err != nil {
		return nil, err
	}
	if err = seed(c.store, cfg, token); err != nil {
		return nil, err
	}
	if err = c.boot(ctx); err != nil {
		return nil, err
	}
	return c, c.listen(ctx, token, tokenFile)
}

func (cfg Config) withDefaults() Config {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// boot starts what the store says is deployed.
func (c *Cloud) boot(ctx context.Context) (err error) {
	c.doubles = doubles.New(c.cfg.Now)
	c.egress = egress.New(c.doubles.Hosts(), c.cfg.Log.With("part", "egress"))
	c.runtime, err = runtime.New(runtime.Config{
		Dir: c.cfg.Dir, RunDir: filepath.Join(c.cfg.Dir, "run"), Workerd: c.cfg.Workerd, Store: c.store, Log: c.cfg.Log.With("part", "runtime"),
		AI: c.doubles.Of("cfai"), Outbound: c.egress,
	})
	if err != nil {
		return err
	}
	return c.runtime.Start(ctx)
}

// listen opens every port, and only then says in endpoints.json where they are.
func (c *Cloud) listen(ctx context.Context, token, tokenFile string) error {
	ca, err := edge.LoadOrCreateCA(c.cfg.Dir)
	if err != nil {
		return err
	}
	c.edge = edge.New(edge.Config{Store: c.store, Runtime: lender{c.runtime}, CA: ca, Log: c.cfg.Log.With("part", "edge"), Metrics: c.store.Metrics()})
	v4 := c.calls.count(api.New(api.Config{Store: c.store, Runtime: api.Workerd(c.runtime), Log: c.cfg.Log.With("part", "api"), AccountID: c.AccountID(), AccountName: c.cfg.AccountName}))
	e := Endpoints{
		Schema: EndpointsSchema, PID: os.Getpid(), AccountID: c.AccountID(), AccountName: c.cfg.AccountName, Zones: c.zones(),
		CAFile: filepath.Join(c.cfg.Dir, "ca.pem"), TokenFile: tokenFile, StartedAt: c.cfg.Now().UTC(),
	}
	for _, l := range []struct {
		port    int
		handler http.Handler
		tls     *tls.Config
		say     func(addr string)
	}{
		{c.cfg.Ports.APIHTTP, v4, nil, func(a string) { e.APIHTTP = "http://" + a + "/client/v4" }},
		{c.cfg.Ports.APIHTTPS, v4, c.edge.TLSConfig(), func(a string) { e.APIHTTPS = "https://" + a + "/client/v4" }},
		{c.cfg.Ports.EdgeHTTP, c.edge.Handler(), nil, func(a string) { e.EdgeHTTP = a }},
		{c.cfg.Ports.EdgeHTTPS, c.edge.Handler(), c.edge.TLSConfig(), func(a string) { e.EdgeHTTPS = a }},
		{0, c.control(token), nil, func(a string) { e.Control = "http://" + a }},
	} {
		addr, err := c.serve(ctx, l.port, l.handler, l.tls)
		if err != nil {
			return err
		}
		l.say(addr)
	}
	c.endpoints = e
	return e.write(c.cfg.Dir)
}

// serve listens on the wanted loopback port, or on a free one when it is taken.
func (c *Cloud) serve(ctx context.Context, port int, h http.Handler, tlsConfig *tls.Config) (addr string, err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		c.cfg.Log.Info("port is taken, choosing a free one", "port", port)
		l, err = listen.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", fault.New(fault.Unavailable, "listen on the loopback interface: %w", err)
	}
	s := &http.Server{
		Handler: h, TLSConfig: tlsConfig, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(c.cfg.Log.Handler(), slog.LevelDebug),
	}
	c.servers = append(c.servers, s)
	go func() {
		if tlsConfig != nil {
			c.serveErr <- s.ServeTLS(nonblock.Listener{Listener: l}, "", "")
			return
		}
		c.serveErr <- s.Serve(nonblock.Listener{Listener: l})
	}()
	return l.Addr().String(), nil
}

// AccountID is the account's 32-digit id.
func (c *Cloud) AccountID() string { return identifier("account", c.cfg.AccountName) }

// Endpoints says how to reach the account.
func (c *Cloud) Endpoints() Endpoints { return c.endpoints }

func (c *Cloud) zones() []Zone {
	zones := make([]Zone, 0, len(c.cfg.Zones))
	for _, name := range c.cfg.Zones {
		zones = append(zones, Zone{ID: identifier("zone", name), Name: name})
	}
	return zones
}

// Wait returns when ctx ends, somebody asked over the control port to stop, or a listener broke.
func (c *Cloud) Wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go giveBack(ctx, c.store)
	select {
	case <-ctx.Done():
		return nil
	case <-c.stop:
		return nil
	case err := <-c.serveErr:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fault.New(fault.Unavailable, "serve: %w", err)
	}
}

// Close stops taking requests, lets those in flight finish, stops every workerd and gives the folder back.
func (c *Cloud) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if c.store == nil {
		return nil // the folder is another process's: nothing in it is ours to tidy
	}
	_ = os.Remove(endpointsPath(c.cfg.Dir))
	var errs []error
	for _, s := range c.servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	if c.edge != nil {
		errs = append(errs, c.edge.Close())
	}
	if c.runtime != nil {
		errs = append(errs, c.runtime.Close())
	}
	if c.egress != nil {
		c.egress.Close()
	}
	errs = append(errs, c.store.Close(), os.RemoveAll(filepath.Join(c.cfg.Dir, "run")))
	return errors.Join(errs...)
}

package runtime

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
	"github.com/cognomega/edge/internal/localcloud/runtime/pgpool"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// poolSpec is a database pooler that scripts reach through a hyperdrive binding.
type poolSpec struct {
	path, user, password string
	config               store.Hyperdrive
}

// pools are the poolers that run, one for each database configuration that some process has been configured with.
type pools struct {
	log *slog.Logger

	mu      sync.Mutex
	running map[string]*pgpool.Pool
}

func newPools(log *slog.Logger) *pools { return &pools{log: log, running: map[string]*pgpool.Pool{}} }

// ensure starts the poolers that do not run yet.
func (p *pools) ensure(specs []poolSpec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range specs {
		if p.running[s.path] != nil {
			continue
		}
		l, err := net.Listen("unix", s.path)
		if err != nil {
			return fault.New(fault.Internal, "listen for Hyperdrive %s: %w", s.config.Name, err)
		}
		if err := os.Chmod(s.path, 0o600); err != nil {
			return fault.New(fault.Internal, "listen for Hyperdrive: %w", errors.Join(err, l.Close()))
		}
		origin := s.config.Origin
		port := origin.Port
		if port == 0 {
			port = 5432
		}
		p.running[s.path] = pgpool.Serve(nonblock.Listener{Listener: l}, pgpool.Config{
			Address: net.JoinHostPort(origin.Host, strconv.Itoa(port)), Database: origin.Database, User: origin.User, Password: origin.Password,
			ClientUser: s.user, ClientPassword: s.password, MaxServers: s.config.ConnectionLimit,
			Log: p.log.With("hyperdrive", s.config.Name),
		})
	}
	return nil
}

func (p *pools) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pool := range p.running {
		pool.Close()
	}
	p.running = map[string]*pgpool.Pool{}
}

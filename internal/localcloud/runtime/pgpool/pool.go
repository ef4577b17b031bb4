// Package pgpool is a session pooler for PostgreSQL: clients authenticate to it, and share server connections that stay open.
package pgpool

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Config says where the server is and who may use the pool.
type Config struct {
	Address, Database, User, Password string

	ClientUser, ClientPassword string // what clients authenticate with
	MaxServers                 int    // 20 when zero
	Wait                       time.Duration
	Log                        *slog.Logger
}

// Pool accepts clients and lends each a server connection for its session.
type Pool struct {
	cfg      Config
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	slots    chan struct{} // one for each server connection that may be lent

	mu      sync.Mutex
	idle    []*server // the most recently used last
	clients map[net.Conn]struct{}
	keys    map[clientKey]*server // who a cancel request is for
	opened  int
}

type clientKey struct{ pid, secret uint32 }

// Stats count what the pool holds.
type Stats struct {
	Opened  int // server connections ever opened
	Idle    int
	Clients int
}

// Serve accepts clients on l until Close.
func Serve(l net.Listener, cfg Config) *Pool {
	if cfg.MaxServers == 0 {
		cfg.MaxServers = 20
	}
	if cfg.Wait == 0 {
		cfg.Wait = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	p := &Pool{
		cfg: cfg, listener: l, slots: make(chan struct{}, cfg.MaxServers), clients: map[net.Conn]struct{}{}, keys: map[clientKey]*server{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Add(1)
	go p.accept()
	return p
}

// Close ends every session and connection, and waits for them.
func (p *Pool) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.clients {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	for _, s := range p.idle {
		s.close()
	}
}

// Stats are the pool's counts now.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Opened: p.opened, Idle: len(p.idle), Clients: len(p.clients)}
}

func (p *Pool) accept() {
	defer p.running.Done()
	for {
		c, err := p.listener.Accept()
		if err != nil {
			if p.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors: they come back
			continue
		}
		p.mu.Lock()
		p.clients[c] = struct{}{}
		p.mu.Unlock()
		p.running.Add(1)
		go func() {
			defer p.running.Done()
			defer p.forget(c)
			if err := p.serve(c); err != nil && p.ctx.Err() == nil {
				p.cfg.Log.Debug("client session ended", "err", err)
			}
		}()
	}
}

func (p *Pool) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
}

// borrow lends an open server connection, or opens one, waiting when all are lent.
func (p *Pool) borrow() (*server, error) {
	t := time.NewTimer(p.cfg.Wait)
	defer t.Stop()
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
		return nil, fault.New(fault.Unavailable, "the pool is closing")
	case <-t.C:
		return nil, fault.New(fault.Unavailable, "all %d server connections were in use for %s", p.cfg.MaxServers, p.cfg.Wait)
	}
	for {
		s := p.pop()
		if s == nil {
			break
		}
		if s.alive() {
			return s, nil
		}
		s.close()
	}
	s, err := p.open()
	if err != nil {
		<-p.slots
	}
	return s, err
}

func (p *Pool) pop() *server {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	s := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return s
}

// giveBack keeps a connection whose session could be cleared, and closes any other.
func (p *Pool) giveBack(s *server, clean bool) {
	if clean && p.ctx.Err() == nil && s.reset() == nil {
		p.mu.Lock()
		s.since = time.Now()
		p.idle = append(p.idle, s)
		p.mu.Unlock()
	} else {
		s.close()
	}
	<-p.slots
}

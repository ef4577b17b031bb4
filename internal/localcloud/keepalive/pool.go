// Package keepalive keeps HTTP/1.1 connections that are idle, and lends one only while the other side has neither ended it nor spoken out of turn.
package keepalive

import (
	"bufio"
	"context"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/localcloud/nonblock"
)

const (
	maxIdlePerAddress = 128
	bufferSize        = 4 << 10
)

// Address is where the other side listens.
type Address struct{ Network, Addr string }

// Pool keeps idle connections. It is safe for concurrent use.
type Pool struct {
	dialer net.Dialer
	life   time.Duration

	mu     sync.Mutex
	idle   map[Address][]*Conn // oldest first
	reaper *time.Timer
	closed bool
}

// Conn is one HTTP/1.1 connection, with the buffers through which it is read and written.
type Conn struct {
	net.Conn
	R *bufio.Reader
	W *bufio.Writer
	// Reused is true when a request has used it before.
	Reused bool

	at    Address
	raw   syscall.RawConn
	since time.Time // idle since
	head  head
	// probe and quiet are what stillQuiet hands to the descriptor, made once for all uses of the connection.
	probe func(fd uintptr) bool
	quiet bool
}

// New makes a pool that dials with dialer and lets go of what has been idle for life. Where life is shorter than
// what the other side grants, a request is never written into a connection that is just ending.
func New(dialer net.Dialer, life time.Duration) *Pool {
	p := &Pool{dialer: dialer, life: life, idle: map[Address][]*Conn{}}
	p.reaper = time.AfterFunc(life, p.reap)
	return p
}

// Get is a connection that is free; fresh asks for one that no request has used.
func (p *Pool) Get(ctx context.Context, at Address, fresh bool) (*Conn, error) {
	for !fresh {
		c := p.take(at)
		if c == nil {
			break
		}
		if time.Since(c.since) < p.life && c.stillQuiet() {
			c.Reused = true
			return c, nil
		}
		_ = c.Close()
	}
	nc, err := p.dialer.DialContext(ctx, at.Network, at.Addr)
	if err != nil {
		return nil, err
	}
	return newConn(nonblock.Wrap(nc), at), nil
}

func newConn(nc net.Conn, at Address) *Conn {
	c := &Conn{Conn: nc, at: at, W: bufio.NewWriterSize(nc, bufferSize), head: head{Conn: nc}}
	c.R = bufio.NewReaderSize(&c.head, bufferSize)
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // without it every connection counts as used up
	}
	c.probe = func(fd uintptr) bool {
		c.quiet = nonblock.Quiet(fd)
		return true
	}
	return c
}

// stillQuiet says whether the other side has neither ended the connection nor sent what nobody asked for.
func (c *Conn) stillQuiet() bool {
	c.quiet = false
	return c.raw != nil && c.raw.Read(c.probe) == nil && c.quiet
}

func (p *Pool) take(at Address) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[at]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	p.idle[at] = list[:len(list)-1]
	return c
}

// Put gives back a connection whose last answer was read to its end.
func (p *Pool) Put(c *Conn) {
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle[c.at]) >= maxIdlePerAddress {
		_ = c.Close()
		return
	}
	p.idle[c.at] = append(p.idle[c.at], c)
}

// reap closes what has been idle for too long, so that a drained process can end and its address is forgotten.
func (p *Pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	limit := time.Now().Add(-p.life)
	for at, list := range p.idle {
		old := 0
		for old < len(list) && list[old].since.Before(limit) {
			_ = list[old].Close()
			old++
		}
		if old == len(list) {
			delete(p.idle, at)
			continue
		}
		p.idle[at] = append(list[:0:0], list[old:]...)
	}
	p.reaper.Reset(p.life / 4)
}

// Close closes every idle connection, and from now on what is put back.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.reaper.Stop()
	for _, list := range p.idle {
		for _, c := range list {
			_ = c.Close()
		}
	}
	clear(p.idle)
}

package edge

import (
	"bufio"
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	maxIdlePerAddr = 128
	// workerd ends a connection after 5 s without a request; leaving earlier means never to write into one that ends.
	idleLife = 4 * time.Second
	connBuf  = 4 << 10
)

// address is where a process listens.
type address struct{ network, addr string }

// pool keeps idle connections to the Workers' processes.
type pool struct {
	dialer net.Dialer

	mu     sync.Mutex
	idle   map[address][]*conn // oldest first
	reaper *time.Timer
	closed bool
}

// conn is one HTTP/1.1 connection to a process.
type conn struct {
	net.Conn
	at    address
	br    *bufio.Reader
	bw    *bufio.Writer
	raw   syscall.RawConn
	since time.Time // idle since
	// probe and quiet are what stillQuiet hands to the descriptor, made once for all uses of the connection.
	probe func(fd uintptr) bool
	quiet bool
}

func newPool() *pool {
	p := &pool{idle: map[address][]*conn{}}
	p.reaper = time.AfterFunc(idleLife, p.reap)
	return p
}

// get is a connection that is free; fresh asks for one that no request has used.
func (p *pool) get(ctx context.Context, at address, fresh bool) (*conn, error) {
	for !fresh {
		c := p.take(at)
		if c == nil {
			break
		}
		if time.Since(c.since) < idleLife && c.stillQuiet() {
			return c, nil
		}
		_ = c.Close()
	}
	nc, err := p.dialer.DialContext(ctx, at.network, at.addr)
	if err != nil {
		return nil, err
	}
	return newConn(nc, at), nil
}

func newConn(nc net.Conn, at address) *conn {
	c := &conn{Conn: nc, at: at, br: bufio.NewReaderSize(nc, connBuf), bw: bufio.NewWriterSize(nc, connBuf)}
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // without it every connection counts as used up
	}
	c.probe = func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		c.quiet = n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
		return true
	}
	return c
}

// stillQuiet says whether the other side has neither ended the connection nor sent what nobody asked for.
func (c *conn) stillQuiet() bool {
	c.quiet = false
	return c.raw != nil && c.raw.Read(c.probe) == nil && c.quiet
}

func (p *pool) take(at address) *conn {
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

// put gives back a connection whose last answer was read to its end.
func (p *pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle[c.at]) >= maxIdlePerAddr {
		_ = c.Close()
		return
	}
	p.idle[c.at] = append(p.idle[c.at], c)
}

// reap closes what has been idle for too long, so that a drained process can end and its address is forgotten.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	limit := time.Now().Add(-idleLife)
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
	p.reaper.Reset(idleLife / 4)
}

func (p *pool) close() {
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

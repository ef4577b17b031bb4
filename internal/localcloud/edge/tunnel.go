package edge

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// tunnels are the WebSockets under way; http.Server forgets a connection that was taken over.
type tunnels struct {
	mu     sync.Mutex
	closed bool
	open   map[*tunnel]bool
}

type tunnel struct{ client, worker net.Conn }

func (t *tunnel) close() {
	_ = t.client.Close()
	_ = t.worker.Close()
}

// add is false once the edge is closing.
func (ts *tunnels) add(t *tunnel) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.open == nil {
		ts.open = map[*tunnel]bool{}
	}
	ts.open[t] = true
	return !ts.closed
}

func (ts *tunnels) remove(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.open, t)
}

func (ts *tunnels) closeAll() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.closed = true
	for t := range ts.open {
		t.close()
	}
}

// tunnel passes bytes both ways after the Worker accepted a WebSocket, until both sides have ended.
func (x *exchange) tunnel(c *keepalive.Conn, resp *http.Response) error {
	hijacker, ok := x.w.(http.Hijacker)
	if !ok || !isWebSocket(x.r) {
		_ = c.Close()
		return errUnanswered{errors.New("the Worker switched protocols unasked")}
	}
	client, buffered, err := hijacker.Hijack()
	if err != nil {
		_ = c.Close()
		return errUnanswered{err}
	}
	t := &tunnel{client, c.Conn}
	defer t.close()
	defer x.edge.tunnels.remove(t)
	x.status = resp.StatusCode
	if !x.edge.tunnels.add(t) || x.acceptUpgrade(buffered.Writer, resp) != nil {
		return nil
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		pass(client, c.Conn, c.R)
	}()
	pass(c.Conn, client, buffered.Reader)
	<-answered
	return nil
}

// acceptUpgrade writes the 101, whose fields net/http cannot write once the connection was taken over.
func (x *exchange) acceptUpgrade(bw *bufio.Writer, resp *http.Response) error {
	h := x.w.Header()
	copyFields(h, resp.Header)
	delete(h, "Content-Type")
	put(bw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	for k, vv := range h {
		for _, v := range vv {
			put(bw, k, ": ", v, "\r\n")
		}
	}
	put(bw, "\r\n")
	return bw.Flush()
}

// pass copies until src ends, and hands the end on to dst as a half-close. A broken connection ends both directions.
func pass(dst, src net.Conn, early *bufio.Reader) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if err := drain(dst, early); err != nil {
		_ = src.Close()
		return
	}
	for {
		n, err := src.Read(*buf)
		if n > 0 {
			if _, werr := dst.Write((*buf)[:n]); werr != nil {
				_ = src.Close()
				return
			}
		}
		if err == nil {
			continue
		}
		half, ok := dst.(interface{ CloseWrite() error })
		if !errors.Is(err, io.EOF) || !ok || half.CloseWrite() != nil {
			_ = dst.Close()
		}
		return
	}
}

// drain passes on what arrived together with the request or the answer.
func drain(dst net.Conn, early *bufio.Reader) error {
	n := early.Buffered()
	if n == 0 {
		return nil
	}
	first, err := early.Peek(n)
	if err == nil {
		_, err = dst.Write(first)
	}
	return err
}

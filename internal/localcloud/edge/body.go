package edge

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// smallBody rides with the head: one write, and the Worker cannot answer before the client's connection is free again.
const smallBody = 4 << 10

// bodyCopy is a request body on its way from the client to the Worker.
type bodyCopy struct {
	started bool
	read    atomic.Bool               // the client's side was read to its end
	fail    atomic.Pointer[edgeError] // what is wrong with the client's side
	done    chan struct{}             // closed when the copying goroutine ends; nil without one
	sent    bool                      // all of it went out; valid once done is closed
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// startBody flushes the head and sends the body; a larger one beside the answer, which may begin before the body ends.
func (x *exchange) startBody(c *keepalive.Conn) error {
	b := &x.body
	length := x.r.ContentLength
	if length == 0 {
		b.read.Store(true)
		b.sent = true
		return c.W.Flush()
	}
	b.started = true
	if length > 0 && length <= smallBody {
		err := x.sendBody(c.W)
		b.sent = err == nil
		return err
	}
	if err := c.W.Flush(); err != nil {
		return err
	}
	// Otherwise net/http reads the body to its end before it lets an answer begin. HTTP/2 needs no such leave.
	_ = http.NewResponseController(x.w).EnableFullDuplex()
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		b.sent = x.sendBody(c.W) == nil
		if b.fail.Load() != nil {
			_ = c.Close() // the Worker must not take half a body for a whole one
		}
	}()
	return nil
}

// finished says whether the whole body went out, without waiting for it.
func (b *bodyCopy) finished() bool {
	if b.done == nil {
		return b.sent
	}
	select {
	case <-b.done:
		return b.sent
	default:
		return false
	}
}

// A client that is still sending when it is answered is listened to for so long and so much more, as nginx's lingering_close does:
// a connection that is closed on unread bytes is reset, and the reset overtakes the answer.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

// settle waits for the copying goroutine, and hears out a client that was answered before it had sent all of its body.
func (x *exchange) settle() {
	b := &x.body
	if b.done == nil {
		return
	}
	unread := func() bool { return !b.read.Load() && b.fail.Load() == nil }
	select {
	case <-b.done:
	default:
		// Where nobody reads the body any more, the deadline would hit net/http's own watch for the client's end, and cancel
		// the request. A writer without deadlines ends the read when the handler returns.
		if unread() && !x.readOn() {
			return
		}
		<-b.done
	}
	if x.lingers() && unread() && x.readOn() {
		_, _ = io.CopyN(io.Discard, x.r.Body, lingerBytes)
	}
}

// lingers is false for HTTP/2, which ends the one stream after its answer.
func (x *exchange) lingers() bool { return x.status != 0 && x.r.ProtoMajor == 1 }

// readOn lets the client's body be read for a while longer, or ends a read that nobody needs; false where it cannot.
func (x *exchange) readOn() bool {
	c, until := http.NewResponseController(x.w), time.Unix(1, 0)
	if x.lingers() {
		_ = c.Flush() // so that the client sees that it need send no more
		until = time.Now().Add(lingerTime)
	}
	return c.SetReadDeadline(until) == nil
}

// closeIfUnread asks net/http to end a connection on which the rest of a body is still to come: left open, that rest
// would be read as the next request.
func (x *exchange) closeIfUnread() {
	if x.body.started && !x.body.read.Load() && x.r.ProtoMajor == 1 {
		x.w.Header().Set("Connection", "close")
	}
}

// sendBody passes every piece on as it comes.
func (x *exchange) sendBody(bw *bufio.Writer) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	chunked := x.r.ContentLength < 0
	for left := int64(maxBody); ; {
		n, err := x.r.Body.Read(*buf)
		if errors.Is(err, io.EOF) {
			x.body.read.Store(true) // before the last byte goes out, so that an answer to the whole body finds it set
		}
		if left -= int64(n); left < 0 {
			x.body.fail.Store(errTooLarge)
			return io.ErrShortWrite
		}
		if n > 0 {
			writePiece(bw, (*buf)[:n], chunked)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			x.body.fail.Store(errBadRequest.with("The request body broke off or is malformed."))
			return err
		}
		if err != nil {
			x.endBody(bw, chunked)
		}
		if ferr := bw.Flush(); ferr != nil || err != nil {
			return ferr
		}
	}
}

func writePiece(bw *bufio.Writer, p []byte, chunked bool) {
	if chunked {
		put(bw, strconv.FormatInt(int64(len(p)), 16), "\r\n")
	}
	_, _ = bw.Write(p) // sticky, as in put
	if chunked {
		put(bw, "\r\n")
	}
}

func (x *exchange) endBody(bw *bufio.Writer, chunked bool) {
	if !chunked {
		return
	}
	put(bw, "0\r\n")
	for k, vv := range x.r.Trailer {
		if hopByHop[k] || strings.HasPrefix(k, "Cf-") {
			continue
		}
		for _, v := range vv {
			put(bw, k, ": ", v, "\r\n")
		}
	}
	put(bw, "\r\n")
}

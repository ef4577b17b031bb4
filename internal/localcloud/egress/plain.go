package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// smallBody is the longest request that plain carries: it is read before the answer is looked for.
const smallBody = 64 << 10

var errSwitched = errors.New("the server switched protocols unasked")

// plain asks over HTTP without TLS in the goroutine of its caller. http.Transport has two goroutines a connection, and each hand-over to one
// of them from a machine at rest costs more than all that is done with the bytes.
type plain struct {
	pool *keepalive.Pool
	// other takes what is not plain: TLS, what switches protocols, and bodies that are long or of unknown length.
	other http.RoundTripper
}

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" || r.Header["Upgrade"] != nil || r.ContentLength < 0 || r.ContentLength > smallBody {
		return p.other.RoundTrip(r)
	}
	again := r.ContentLength == 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	resp, reused, err := p.exchange(r, false)
	if err != nil && reused && again && r.Context().Err() == nil { // the connection may have ended on its way out
		resp, _, err = p.exchange(r, true)
	}
	return resp, err
}

func (p plain) exchange(r *http.Request, fresh bool) (resp *http.Response, reused bool, err error) {
	ctx := r.Context()
	c, err := p.pool.Get(ctx, keepalive.Address{Network: "tcp", Addr: authority(r)}, fresh)
	if err != nil {
		return nil, false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	resp, err = ask(c, r)
	if err != nil {
		stop()
		_ = c.Close()
		return nil, c.Reused, errors.Join(ctx.Err(), err)
	}
	resp.Body = &answerBody{ReadCloser: resp.Body, conn: c, pool: p.pool, stop: stop, keep: !resp.Close}
	return resp, c.Reused, nil
}

// authority is where a plain request goes.
func authority(r *http.Request) string {
	if r.URL.Port() == "" {
		return net.JoinHostPort(r.URL.Hostname(), "80")
	}
	return r.URL.Host
}

// ask sends the request and reads the head of its answer.
func ask(c *keepalive.Conn, r *http.Request) (*http.Response, error) {
	if err := r.Write(c.W); err != nil {
		return nil, err
	}
	if err := c.W.Flush(); err != nil {
		return nil, err
	}
	resp, err := c.Answer(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, errSwitched
	}
	return resp, err
}

// answerBody gives its connection back once it was read to its end, and ends it otherwise.
type answerBody struct {
	io.ReadCloser

	conn *keepalive.Conn
	pool *keepalive.Pool
	stop func() bool
	keep bool // the server keeps the connection
	read bool
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read = b.read || err == io.EOF
	return n, err
}

func (b *answerBody) Close() error {
	if b.conn == nil {
		return nil
	}
	c := b.conn
	b.conn = nil
	if b.ReadCloser == http.NoBody {
		b.read = true
	}
	if b.stop() && b.read && b.keep && c.R.Buffered() == 0 {
		b.pool.Put(c)
		return nil
	}
	return c.Close()
}

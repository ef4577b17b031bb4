package keepalive

import (
	"errors"
	"net"
	"net/http"
)

// MaxHead is how long the head of an answer may be, with its interim ones: what Cloudflare takes of response headers in all
// (Workers, platform limits).
const MaxHead = 128 << 10

// ErrHeadTooLong is of an answer whose head has no end within MaxHead.
var ErrHeadTooLong = errors.New("the head of the answer is too long")

// Answer reads the head of a request's answer; interim ones carry nothing that anyone here waits for, but for a switch of protocols, which
// is the last.
func (c *Conn) Answer(r *http.Request) (*http.Response, error) {
	c.head.bound, c.head.left = true, MaxHead
	defer func() { c.head.bound = false }()
	for {
		resp, err := http.ReadResponse(c.R, r)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// head is a connection of which only so much can be read while it is bound.
type head struct {
	net.Conn
	bound bool
	left  int
}

func (h *head) Read(p []byte) (int, error) {
	if !h.bound {
		return h.Conn.Read(p)
	}
	if h.left <= 0 {
		return 0, ErrHeadTooLong
	}
	n, err := h.Conn.Read(p)
	h.left -= n
	return n, err
}

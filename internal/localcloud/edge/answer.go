package edge

import (
	"io"
	"net/http"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// uncaught is how workerd answers for a script that threw: this body, and no Content-Type, which no Response of a script lacks.
const uncaught = "Internal Server Error"

// copyAnswer passes status, header fields, body and trailers on.
func (x *exchange) copyAnswer(c *keepalive.Conn, resp *http.Response) error {
	defer resp.Body.Close()
	if x.threw(c, resp) {
		_, err := io.Copy(io.Discard, resp.Body)
		x.outcome = outcomeThrew
		x.fail(errThrew)
		return err
	}
	h := x.w.Header()
	copyFields(h, resp.Header)
	for k := range resp.Trailer {
		h.Add("Trailer", k)
	}
	x.closeIfUnread()
	x.status = resp.StatusCode
	x.w.WriteHeader(resp.StatusCode)
	if err := x.copyBody(c, resp); err != nil {
		return err
	}
	for k, vv := range resp.Trailer {
		h[k] = vv
	}
	return nil
}

func (x *exchange) threw(c *keepalive.Conn, resp *http.Response) bool {
	if resp.StatusCode != http.StatusInternalServerError || resp.ContentLength != int64(len(uncaught)) || resp.Header["Content-Type"] != nil {
		return false
	}
	if x.r.Method == http.MethodHead {
		return true // the body is not sent, so the header fields must do
	}
	said, err := c.R.Peek(len(uncaught))
	return err == nil && string(said) == uncaught
}

// copyFields takes over the Worker's fields. What the edge says of itself stays, and so does a missing Content-Type.
func copyFields(to, from http.Header) {
	named := connectionTokens(from)
	for k, vv := range from {
		switch {
		case k == "Content-Length", !hopByHop[k] && !named[k] && k != "Server" && k != "Cf-Ray":
			to[k] = vv
		}
	}
	if _, ok := from["Content-Type"]; !ok {
		to["Content-Type"] = nil // otherwise net/http would guess one
	}
}

// copyBody flushes whenever the next read would wait for the Worker, so that a stream is never held back and a short
// answer costs one write.
func (x *exchange) copyBody(c *keepalive.Conn, resp *http.Response) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	flusher, _ := x.w.(http.Flusher)
	left := resp.ContentLength
	for {
		if left != 0 && c.R.Buffered() == 0 && flusher != nil {
			flusher.Flush()
		}
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			left -= int64(n)
			if _, err := x.w.Write((*buf)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isWebSocket(r *http.Request) bool {
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.Header["Upgrade"] == nil || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	for _, v := range r.Header["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

package edge

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// hopByHop are the header fields that end here (RFC 9110, section 7.6.1), and those that the edge writes itself.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Proxy-Authenticate": true, "Proxy-Authorization": true, "Expect": true, "Host": true, "Content-Length": true, "Http2-Settings": true,
	"X-Forwarded-For": true, "X-Forwarded-Proto": true, "X-Real-Ip": true, "True-Client-Ip": true,
}

// writeHead writes request line and header fields. A field that only Cloudflare may set never comes from the client.
func (x *exchange) writeHead(bw *bufio.Writer) {
	r := x.r
	put(bw, r.Method, " ", x.target, " HTTP/1.1\r\nHost: ", r.Host, "\r\n")
	named := connectionTokens(r.Header)
	for k, vv := range r.Header {
		if hopByHop[k] || strings.HasPrefix(k, "Cf-") || named[k] {
			continue
		}
		for _, v := range vv {
			put(bw, k, ": ", v, "\r\n")
		}
	}
	ip, scheme := clientIP(r.RemoteAddr), "http"
	if r.TLS != nil {
		scheme = "https"
	}
	put(bw, "CF-Connecting-IP: ", ip, "\r\nX-Real-IP: ", ip, "\r\nCF-Ray: ", x.ray, "\r\nCF-IPCountry: XX\r\nCF-Visitor: {\"scheme\":\"", scheme,
		"\"}\r\nX-Forwarded-Proto: ", scheme, "\r\nX-Forwarded-For: ")
	for _, v := range r.Header["X-Forwarded-For"] {
		put(bw, v, ", ")
	}
	put(bw, ip, "\r\n")
	if isWebSocket(r) {
		put(bw, "Connection: Upgrade\r\nUpgrade: websocket\r\n")
	}
	x.writeFraming(bw)
	put(bw, "\r\n")
}

// writeFraming says how long the body is: of length and chunking exactly one is ever said, whatever the client said.
func (x *exchange) writeFraming(bw *bufio.Writer) {
	switch n := x.r.ContentLength; {
	case n > 0:
		put(bw, "Content-Length: ", strconv.FormatInt(n, 10), "\r\n")
	case n < 0:
		put(bw, "Transfer-Encoding: chunked\r\n")
	case x.r.Method == http.MethodPost || x.r.Method == http.MethodPut || x.r.Method == http.MethodPatch:
		put(bw, "Content-Length: 0\r\n")
	}
}

// put writes to a buffer whose error is sticky and shows when it is flushed.
func put(bw *bufio.Writer, parts ...string) {
	for _, s := range parts {
		_, _ = bw.WriteString(s)
	}
}

// connectionTokens are the fields that the sender declared as meant for the next hop only.
func connectionTokens(h http.Header) map[string]bool {
	var named map[string]bool
	for _, v := range h["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			token = http.CanonicalHeaderKey(strings.TrimSpace(token))
			if token == "" || hopByHop[token] || token == "Close" {
				continue
			}
			if named == nil {
				named = map[string]bool{}
			}
			named[token] = true
		}
	}
	return named
}

func clientIP(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

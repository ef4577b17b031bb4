package edge

import (
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// edgeError is an answer of the edge itself, in Cloudflare's numbers.
type edgeError struct {
	status int
	code   int // Cloudflare's 1xxx number, or the status
	name   string
	title  string
	detail string
}

// The answers, with the status that Cloudflare gives each.
var (
	errBadRequest  = &edgeError{400, 400, "bad_request", "Bad request", "The request cannot be understood."}
	errMethod      = &edgeError{405, 405, "method_not_allowed", "Method not allowed", "The edge does not serve this method."}
	errTooLarge    = &edgeError{413, 413, "payload_too_large", "Payload too large", "The request body is over 100 MB."}
	errURITooLong  = &edgeError{414, 414, "uri_too_long", "URI too long", "The URL is over 16 KB."}
	errNothingHere = &edgeError{404, 1042, "nothing_here", "There is nothing here yet", "No Worker of this account is published at this workers.dev hostname."}
	errNoZone      = &edgeError{409, 1001, "dns_resolution_error", "DNS resolution error", ""}
	errDirectIP    = &edgeError{403, 1003, "direct_ip_access", "Direct IP access not allowed", "Use a hostname of one of the account's zones."}
	errNoRecord    = &edgeError{530, 1016, "origin_dns_error", "Origin DNS error", ""}
	errThrew       = &edgeError{500, 1101, "worker_threw_exception", "Worker threw exception", "The Worker threw a JavaScript exception that nothing caught."}
	errEmptyReply  = &edgeError{520, 520, "unknown_error", "Web server is returning an unknown error", "The Worker's process ended before it answered, and the request may have been acted on."}
	errDown        = &edgeError{521, 521, "web_server_down", "Web server is down", "The Worker's process does not accept connections."}
	errNoOrigin    = &edgeError{522, 522, "connection_timed_out", "Connection timed out", ""}
	errUnproxied   = &edgeError{523, 523, "origin_unreachable", "Origin is unreachable", ""}
)

func (e *edgeError) with(detail string) *edgeError {
	detailed := *e
	detailed.detail = detail
	return &detailed
}

// problem is the page as a program reads it (RFC 9457, with Cloudflare's extension members).
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail"`
	Cloudflare bool   `json:"cloudflare_error"`
	Code       int    `json:"error_code"`
	Name       string `json:"error_name"`
	RayID      string `json:"ray_id"`
	Zone       string `json:"host"`
}

// write answers with a page, or with JSON for a client that prefers it.
func (e *edgeError) write(w http.ResponseWriter, r *http.Request, ray string) {
	h := w.Header()
	h.Set("Cache-Control", "private, max-age=0, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	var body []byte
	if wantsJSON(r) {
		h.Set("Content-Type", "application/problem+json; charset=utf-8")
		body, _ = json.Marshal(problem{ // a struct of strings and numbers always encodes
			Type: "about:blank", Title: e.title, Status: e.status, Detail: e.detail,
			Cloudflare: true, Code: e.code, Name: e.name, RayID: ray, Zone: r.Host,
		})
	} else {
		h.Set("Content-Type", "text/html; charset=UTF-8")
		body = e.page(r.Host, ray)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // page escapes what comes from the request; an error means that the client went away
	}
}

func (e *edgeError) page(host, ray string) []byte {
	return []byte(strings.NewReplacer(
		"{code}", strconv.Itoa(e.code), "{title}", html.EscapeString(e.title), "{detail}", html.EscapeString(e.detail),
		"{host}", html.EscapeString(host), "{ray}", ray,
	).Replace(errorPage))
}

const errorPage = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="robots" content="noindex, nofollow"><title>{title} | {host}</title></head>
<body style="font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:4em auto;padding:0 1em">
<h1>Error {code}</h1>
<p><strong>{title}</strong></p>
<p>{detail}</p>
<p><small>Host: {host} &bull; Ray ID: {ray}</small></p>
</body>
</html>
`

// wantsJSON says whether the client accepts JSON and does not ask for HTML first.
func wantsJSON(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header.Values("Accept"), ","))
	inJSON := strings.Index(accept, "json")
	inHTML := strings.Index(accept, "text/html")
	return inJSON >= 0 && (inHTML < 0 || inJSON < inHTML)
}

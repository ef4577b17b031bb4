package cors

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Request is one request of the check or of the matrix; what it does not say follows from its probe and the contract.
type Request struct {
	Probe      string `json:"probe,omitempty"` // of the matrix: what it is to provoke
	Method     string `json:"method"`
	Path       string `json:"path"`
	Origin     string `json:"origin"`
	Kind       string `json:"origin_kind,omitempty"`
	Allowed    bool   `json:"origin_allowed"`
	AskMethod  string `json:"request_method,omitempty"`  // Access-Control-Request-Method
	AskHeaders string `json:"request_headers,omitempty"` // which of the sets of requested names
}

// The probes of the matrix. All but the last two are safe by their method (RFC 9110, section 9.2.1; RFC 4918 for PROPFIND); those
// two carry a body that is over the path's limit and is not JSON, so that no service would take it for a request either.
const (
	probePreflight = "preflight"
	probeOptions   = "plain_options"
	probeRead      = "read"
	probeToken     = "bad_token"
	probeIdentity  = "foreign_identity"
	probePath      = "unknown_path"
	probeMethod    = "wrong_method"
	probeURL       = "long_url"
	probeBody      = "oversized_body"
	probeChunked   = "oversized_chunked_body"
)

// The sets of names that a preflight asks for, in Access-Control-Request-Headers.
const (
	askNone       = "none"
	askEmpty      = "empty"
	askAllowed    = "allowed"
	askAll        = "all_allowed"
	askUnknown    = "unknown"
	askMixed      = "mixed"
	askMany       = "many"
	askDuplicated = "duplicated"
)

var askSets = []string{askNone, askEmpty, askAllowed, askAll, askUnknown, askMixed, askMany, askDuplicated}

// manyNames is more than any page asks for, and well under what an edge takes as one header.
const manyNames = 64

// badToken is refused by its shape alone: no key is looked up for it.
const badToken = "Bearer cogctl.not-a.token"

// asked is the value of Access-Control-Request-Headers, one a line; browsers send names in lower case and sorted.
func (r Request) asked(c contract.CORS) []string {
	bad := strings.ToLower(probed)
	switch r.AskHeaders {
	case askEmpty:
		return []string{""}
	case askAllowed:
		return []string{"authorization,content-type"}
	case askAll:
		return []string{strings.ToLower(strings.Join(slices.Sorted(slices.Values(c.AllowHeaders)), ","))}
	case askUnknown:
		return []string{bad}
	case askMixed:
		return []string{"Authorization , " + probed + ",content-type,"}
	case askMany:
		names := make([]string, manyNames)
		for i := range names {
			names[i] = fmt.Sprintf("%s-%02d", bad, i)
		}
		return []string{strings.Join(names, ",")}
	case askDuplicated:
		return []string{"content-type,content-type", bad}
	default:
		return nil
	}
}

// target is the path with the query that the probe needs.
func (r Request) target(c *contract.Contract) string {
	switch r.Probe {
	case probeIdentity:
		return r.Path + "?email=cogctl-probe%40evil.example"
	case probeURL:
		return r.Path + "?cogctl=" + strings.Repeat("x", c.HTTP.Limits.MaxURLBytes)
	default:
		return r.Path
	}
}

// header is every header that is sent, but what the client adds.
func (r Request) header(c *contract.Contract) http.Header {
	h := http.Header{}
	if r.Origin != "" {
		h.Set("Origin", r.Origin)
	}
	switch r.Probe {
	case "": // of the check: what a browser that adds one header too many would ask
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Request-Method", methodOf(c, r.Path))
			h.Set("Access-Control-Request-Headers", strings.ToLower("authorization,content-type,"+probed))
		}
	case probeToken:
		h.Set("Authorization", badToken)
	case probeBody, probeChunked:
		h.Set("Content-Type", "application/json")
	}
	if r.AskMethod != "" {
		h.Set("Access-Control-Request-Method", r.AskMethod)
	}
	for _, line := range r.asked(c.HTTP.CORS) {
		h.Add("Access-Control-Request-Headers", line)
	}
	return h
}

// body is over the path's limit; chunked, its length is not declared.
func (r Request) body(c *contract.Contract) io.Reader {
	if r.Probe != probeBody && r.Probe != probeChunked {
		return nil
	}
	text := strings.NewReader(strings.Repeat("x", limitOf(c, r.Path)+1))
	if r.Probe == probeChunked {
		return struct{ io.Reader }{text}
	}
	return text
}

func limitOf(c *contract.Contract, path string) int {
	if p, ok := pathOf(c, path); ok && p.MaxBodyBytes > 0 {
		return p.MaxBodyBytes
	}
	return c.HTTP.Limits.MaxBodyBytes
}

func pathOf(c *contract.Contract, path string) (contract.Path, bool) {
	for own, p := range c.HTTP.Paths {
		if slices.Contains(p.All(own), path) {
			return p, true
		}
	}
	return contract.Path{}, false
}

func (x *Exchange) send(ctx context.Context, t *audit.Target) error {
	url := t.URL(x.target(t.Contract))
	req, err := http.NewRequestWithContext(ctx, x.Method, url, x.body(t.Contract))
	if err != nil {
		return fault.New(fault.Internal, "make a request for %s: %w", x.Path, err)
	}
	req.Header = x.header(t.Contract)
	res, err := t.HTTP.Do(req)
	if err != nil {
		return audit.Unreachable(x.Method, t.URL(x.Path), err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return audit.Unreachable(x.Method, t.URL(x.Path), err)
	}
	x.Status, x.Body, x.Headers = res.StatusCode, int(n), map[string][]string{}
	for name, values := range res.Header {
		if name == "Vary" || strings.HasPrefix(name, corsPrefix) || x.repeats(values) {
			x.Headers[name] = values
		}
	}
	return nil
}

// repeats says that a header holds what only the request can have put there.
func (r Request) repeats(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		v = strings.ToLower(v)
		return strings.Contains(v, strings.ToLower(probed)) || strings.Contains(r.Origin, "evil") && strings.Contains(v, r.Origin)
	})
}

// Curl is the request as a line for a shell. Of a body only the size matters.
func (r Request) Curl(t *audit.Target) string {
	c := t.Contract
	words := []string{"curl -sS -D - -o /dev/null"}
	switch r.Method {
	case http.MethodGet:
	case http.MethodHead:
		words = append(words, "-I")
	default:
		words = append(words, "-X "+r.Method)
	}
	words = append(words, r.curlHeaders(c)...)
	if r.body(c) != nil {
		words[0] = fmt.Sprintf("head -c %d /dev/zero | %s", limitOf(c, r.Path)+1, words[0])
		words = append(words, "--data-binary @-")
	}
	if r.Probe == probeURL {
		return strings.Join(append(words, quoted(t.PublicURL(r.Path)+"?cogctl=")+fmt.Sprintf(`"$(printf %%0%dd 0)"`, c.HTTP.Limits.MaxURLBytes)), " ")
	}
	return strings.Join(append(words, quoted(t.PublicURL(r.target(c)))), " ")
}

func (r Request) curlHeaders(c *contract.Contract) (words []string) {
	h := r.header(c)
	if r.Probe == probeChunked {
		h.Set("Transfer-Encoding", "chunked")
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if value == "" {
				words = append(words, "-H "+quoted(name+";")) // curl's way of sending a header without a value
				continue
			}
			words = append(words, "-H "+quoted(name+": "+value))
		}
	}
	return words
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

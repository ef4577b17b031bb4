package api

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// Body limits, as Cloudflare's; the default is generous for JSON.
const (
	defaultBodyLimit = 4 << 20
	scriptBodyLimit  = 100 << 20
	kvValueLimit     = 25 << 20
	kvValueBodyLimit = kvValueLimit + 64<<10 // a multipart body has its own overhead
	bulkBodyLimit    = 100 << 20
)

// call is one authorised request.
type call struct {
	r      *http.Request
	params map[string]string
	token  store.Token
	hash   string // of the token's secret
}

func (c *call) param(name string) string { return c.params[name] }

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

func (c *call) flag(name string) bool {
	v, err := strconv.ParseBool(c.query(name))
	return err == nil && v
}

func (c *call) number(name string, fallback int) int {
	n, err := strconv.Atoi(c.query(name))
	if err != nil {
		return fallback
	}
	return n
}

// source is what deploys, told by the client's own name as on Cloudflare.
func (c *call) source() string {
	if strings.HasPrefix(c.r.UserAgent(), "wrangler/") {
		return "wrangler"
	}
	return "api"
}

func (c *call) body() ([]byte, error) { return io.ReadAll(c.r.Body) }

// decode reads a JSON body whatever its content type says: wrangler sends text/plain and merge-patch+json.
func (c *call) decode(v any) error { return c.decodeAs(10026, v) }

// decodeAs is decode with the product's own number for a body that cannot be read.
func (c *call) decodeAs(code int, v any) error {
	data, err := c.body()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return bad(code, "Could not parse request body: it is empty")
	}
	return decodeJSON(code, data, v)
}

func decodeJSON(code int, data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return bad(code, "Could not parse request body: %s", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad(code, "Could not parse request body: data after the JSON value")
	}
	return nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.limitHeaders(w)
	if err := s.Faults.next(w); err != nil {
		s.respond(w, r, nil, err)
		return
	}
	result, err := s.answer(w, r)
	s.respond(w, r, result, err)
}

// answer authenticates before it routes, so that a stranger learns nothing about which paths exist.
func (s *server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	token, hash, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	e, params, err := s.match(r)
	if err != nil {
		return nil, err
	}
	if err := s.authorise(token, e, params); err != nil {
		return nil, err
	}
	limit := e.limit
	if limit == 0 {
		limit = defaultBodyLimit
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return e.handle(&call{r: r, params: params, token: token, hash: hash})
}

// newID is a fresh identifier in Cloudflare's form: 32 hex digits.
func newID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return hex.EncodeToString(random[:])
}

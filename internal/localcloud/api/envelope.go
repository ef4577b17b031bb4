package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/cognomega/edge/internal/fault"
)

// codeNotEmulated is this cloud's own: Cloudflare uses no number this low for anything else.
const codeNotEmulated = 501

type message struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type envelope struct {
	Success    bool      `json:"success"`
	Errors     []message `json:"errors"`
	Messages   []message `json:"messages"`
	Result     any       `json:"result"`
	ResultInfo any       `json:"result_info,omitempty"`
}

// apiError is a refusal in Cloudflare's words and numbers.
type apiError struct {
	Status  int
	Code    int
	Message string
	More    []message // further entries of errors[]
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

func fail(status, code int, format string, args ...any) *apiError {
	return &apiError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func bad(code int, format string, args ...any) *apiError {
	return fail(http.StatusBadRequest, code, format, args...)
}

func missing(code int, format string, args ...any) *apiError {
	return fail(http.StatusNotFound, code, format, args...)
}

func noRoute(path string) *apiError {
	e := missing(7003, "Could not route to %s, perhaps your object identifier is invalid?", path)
	e.More = []message{{7000, "No route for that URI"}}
	return e
}

// orMissing turns the store's not-found into the product's own error and leaves others alone.
func orMissing(err error, replacement *apiError) error {
	if errors.Is(err, fault.NotFound) {
		return replacement
	}
	return err
}

// list is a result with result_info beside it.
type list struct {
	items any
	info  any
}

// raw is an answer without an envelope.
type raw struct {
	header http.Header
	body   []byte
}

func (s *server) respond(w http.ResponseWriter, r *http.Request, result any, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	switch v := result.(type) {
	case raw:
		for name, values := range v.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(v.body)))
		w.WriteHeader(http.StatusOK)
		if r.Method != http.MethodHead {
			_, _ = w.Write(v.body)
		}
	case list:
		writeJSON(w, http.StatusOK, envelope{Success: true, Result: v.items, ResultInfo: v.info})
	default:
		writeJSON(w, http.StatusOK, envelope{Success: true, Result: v})
	}
}

func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var page htmlFailure
	if errors.As(err, &page) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(int(page))
		_, _ = fmt.Fprintf(w, "<html><body>%d %s</body></html>", int(page), page)
		return
	}
	var e *apiError
	if !errors.As(err, &e) {
		e = s.translate(r, err)
	}
	if e.Status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, e.Status, envelope{Errors: append([]message{{e.Code, e.Message}}, e.More...)})
}

// translate answers an error of a lower layer without leaking its insides; a defect is logged and numbered 10013, Cloudflare's "unknown error".
func (s *server) translate(r *http.Request, err error) *apiError {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fail(http.StatusRequestEntityTooLarge, 10027, "Request body is larger than the limit of %d bytes", tooLarge.Limit)
	case fault.KindOf(err) == fault.Internal, fault.KindOf(err) == fault.Unavailable:
		s.Log.Error("api call failed", "method", r.Method, "path", r.URL.Path, "error", err)
		return fail(fault.HTTPStatus(err), 10013, "An unknown error has occurred. If this error persists, please report it.")
	default:
		return fail(fault.HTTPStatus(err), 10001, "%s", err)
	}
}

func writeJSON(w http.ResponseWriter, status int, e envelope) {
	if e.Errors == nil {
		e.Errors = []message{}
	}
	e.Messages = []message{}
	body, err := json.Marshal(e)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"success":false,"errors":[{"code":10013,"message":"An unknown error has occurred."}],"messages":[],"result":null}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

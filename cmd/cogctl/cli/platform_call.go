package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// answerLimit bounds what is read of an answer.
const answerLimit = 8 << 20

// adminCall asks the platform with the admin key, and decodes its answer. What the platform refuses keeps the platform's own code.
func (d *Deps) adminCall(ctx context.Context, t *audit.Target, keyFile string, r adminRequest, into any) error {
	key, err := d.adminKey(keyFile)
	if err != nil {
		return err
	}
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return fault.New(fault.Internal, "%s: %w", r.doing, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, t.URL(r.path), body)
	if err != nil {
		return fault.New(fault.Internal, "%s: %w", r.doing, err)
	}
	req.Header = r.header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("X-Admin-Key", key)
	req.Header.Set("X-Admin-Actor", d.actor(""))
	req.Header.Set("Content-Type", "application/json")
	res, err := t.HTTP.Do(req)
	if err != nil {
		return audit.Unreachable(r.method, t.PublicURL(r.path), err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return audit.Unreachable(r.method, t.PublicURL(r.path), err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return platformRefusal(r.doing, res.StatusCode, raw)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fault.New(fault.Unavailable, "%s: the answer is not of the documented shape: %w", r.doing, err)
	}
	return nil
}

// adminRequest is one call of the platform.
type adminRequest struct {
	doing, method, path string
	header              http.Header
	body                any
}

// platformRefusal is an answer {error, detail} as an error of ours.
func platformRefusal(doing string, status int, body []byte) error {
	var doc struct{ Error, Detail string }
	_ = json.Unmarshal(body, &doc) // an answer that is not ours has no code; its status says enough
	kind, hint := refusalOf(status)
	if known, ok := refusalHints[doc.Error]; ok {
		hint = known
	}
	words := strings.TrimSpace(doc.Error + " " + doc.Detail)
	if words == "" {
		words = http.StatusText(status)
	}
	return fault.New(kind, "%s: the platform answers %d %s", doing, status, words).WithHint("%s", hint)
}

// refusalHints say what to do about codes of the platform whose status alone would mislead.
var refusalHints = map[string]string{
	"signing_unconfigured": "give FILES_SIGNING_KEY in the secrets file (openssl rand -base64 32) and deploy: OPS.md, Files of an account",
	"quota_exceeded":       "delete files, or give up uploads that are under way: they hold room for a day",
	"rate_limited":         "cogctl limits show",
	"unknown_tenant":       "cogctl tenants list; a new one is added with cogctl tenants add",
	"budget_exhausted":     "cogctl limits show",
}

// refusalOf is what a status means to whoever asked. What the platform could not do may be the database's; what it would not do never is.
func refusalOf(status int) (kind fault.Kind, hint string) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Denied, "is this environment's admin key right? COGCTL_ADMIN_KEY, or --admin-key-file"
	case http.StatusNotFound:
		return fault.NotFound, "cogctl up deploys what this needs"
	case http.StatusConflict, http.StatusPreconditionFailed:
		return fault.Conflict, ""
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge, ""
	case http.StatusTooManyRequests:
		return fault.Unavailable, "wait, and run it again"
	case http.StatusNotImplemented:
		return fault.Unavailable, "the platform is not set up for this: cogctl env diff"
	}
	if status < http.StatusInternalServerError {
		return fault.Invalid, ""
	}
	return fault.Unavailable, "cogctl status, then cogctl db status: is the database up?"
}

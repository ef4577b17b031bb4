package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

// What the platform refuses is never blamed on the database, unless it is what the platform could not do.
func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		status int
		body   string
		kind   fault.Kind
		hint   string
	}{
		"no key to sign with": {501, `{"error":"signing_unconfigured","detail":"FILES_SIGNING_KEY is not set."}`, fault.Unavailable, "FILES_SIGNING_KEY in the secrets file"},
		"no provider":         {501, `{"error":"cartesia_unconfigured"}`, fault.Unavailable, "not set up"},
		"a full account":      {413, `{"error":"quota_exceeded"}`, fault.TooLarge, "hold room for a day"},
		"another type":        {415, `{"error":"content_type_mismatch"}`, fault.Invalid, ""},
		"too often":           {429, `{"error":"rate_limited"}`, fault.Unavailable, "cogctl limits show"},
		"a wrong key":         {403, `{"error":"forbidden"}`, fault.Denied, "admin key"},
		"no ledger":           {503, `{"error":"balance_unavailable"}`, fault.Unavailable, "is the database up"},
		"not ours":            {502, "<html>", fault.Unavailable, "is the database up"},
	} {
		err := platformRefusal("sign a URL", is.status, []byte(is.body))
		if hint := fault.HintOf(err); !errors.Is(err, is.kind) || !strings.Contains(hint, is.hint) || is.hint == "" && hint != "" {
			t.Errorf("%s: %v, hint %q; want %s and %q", name, err, hint, is.kind, is.hint)
		}
	}
}

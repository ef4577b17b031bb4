package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// insidePath is where the platform tells of itself.
const insidePath = "/api/admin/env-snapshot"

// insideLimit bounds what is read of that.
const insideLimit = 1 << 20

// Inside is what the Workers say of their own environment. When they could not be asked, Why says so, and nothing is concluded.
type Inside struct {
	Asked   bool                    `json:"asked"`
	Why     string                  `json:"why,omitempty"` // of not having asked, or of no answer
	Workers map[string]InsideWorker `json:"workers"`
	Silent  []string                `json:"silent"` // Workers that did not answer
}

// InsideWorker is what one Worker sees: the text of its variables, and of secrets and bindings whether they are there.
type InsideWorker struct {
	Vars     map[string]string `json:"vars"`
	Secrets  map[string]bool   `json:"secrets"`
	Bindings map[string]bool   `json:"bindings"`
}

// Disagreement is where a Worker sees something else than the API says it has.
type Disagreement struct {
	Side    string `json:"side"` // a or b of the diff
	Path    string `json:"path"`
	Outside any    `json:"outside"`
	Inside  any    `json:"inside"`
}

// askInside never fails: a platform that cannot be asked still has an outside.
func askInside(ctx context.Context, t *audit.Target) *Inside {
	none := &Inside{Workers: map[string]InsideWorker{}, Silent: []string{}}
	if t.AdminKey == nil || t.HTTP == nil {
		none.Why = "no admin key for environment " + t.Env
		return none
	}
	key, err := t.AdminKey()
	if err == nil && key == "" {
		err = fault.New(fault.Unauthenticated, "no admin key for environment %s", t.Env)
	}
	if err != nil {
		none.Why = audit.ScrubText(err.Error())
		return none
	}
	in, err := readInside(ctx, t, key)
	if err != nil {
		none.Why = audit.ScrubText(err.Error())
		return none
	}
	return in
}

func readInside(ctx context.Context, t *audit.Target, key string) (*Inside, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL(insidePath), nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "ask the Workers: %w", err)
	}
	req.Header.Set("X-Admin-Key", key)
	res, err := t.HTTP.Do(req)
	if err != nil {
		return nil, errors.New("the platform does not answer on " + t.PublicURL(insidePath)) // the reason may name this machine, and would change the digest
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, insideLimit))
	if err != nil {
		return nil, errors.New("the platform's answer broke off")
	}
	if res.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "the platform answers %d on %s", res.StatusCode, insidePath)
	}
	return parseInside(raw)
}

func parseInside(raw []byte) (*Inside, error) {
	var in Inside
	if err := json.Unmarshal(raw, &in); err != nil || in.Workers == nil {
		return nil, fault.New(fault.Unavailable, "the answer on %s is not of the documented shape", insidePath)
	}
	in.Asked, in.Why, in.Silent = true, "", sorted(in.Silent)
	if len(in.Silent) == 0 {
		in.Silent = []string{}
	}
	for worker, w := range in.Workers {
		vars := map[string]string{}
		for name, text := range w.Vars {
			vars[name] = plain(name, text)
		}
		in.Workers[worker] = InsideWorker{Vars: vars, Secrets: orEmpty(w.Secrets), Bindings: orEmpty(w.Bindings)}
	}
	return &in, nil
}

func orEmpty(m map[string]bool) map[string]bool {
	if m == nil {
		return map[string]bool{}
	}
	return m
}

// disagreements are all places where what the Workers see is not what the API says they have.
func (s *Snapshot) disagreements(side string) []Disagreement {
	if s.Inside == nil || !s.Inside.Asked {
		return nil
	}
	var out []Disagreement
	differ := func(outside, inside any, keys ...string) {
		path := "inside"
		for _, key := range keys {
			path = under(path, key)
		}
		if outside != inside {
			out = append(out, Disagreement{side, path, outside, inside})
		}
	}
	for _, worker := range s.Inside.Silent {
		if _, deployed := s.Content.Workers[worker]; deployed {
			differ("deployed", "silent", worker)
		}
	}
	for worker, in := range s.Inside.Workers {
		has, deployed := s.Content.Workers[worker]
		if !deployed {
			differ("missing", "answers", worker)
			continue
		}
		in.against(has, func(outside, inside any, kind, name string) { differ(outside, inside, worker, kind, name) })
	}
	slices.SortFunc(out, func(a, b Disagreement) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// against compares what a Worker sees with what it was given. It names only what is declared for it: what else there is, is drift of another kind.
func (in InsideWorker) against(has Worker, differ func(outside, inside any, kind, name string)) {
	for name, sees := range in.Vars {
		given := has.Bindings[name]
		if kind := given.Text("type"); kind == "" || kind == "plain_text" {
			differ(given.Text("text"), sees, "vars", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Secrets)) {
		differ(slices.Contains(has.Secrets, name), in.Secrets[name], "secrets", name)
	}
	for name, sees := range in.Bindings {
		_, given := has.Bindings[name]
		differ(given, sees, "bindings", name)
	}
}

// String is how much was said, or why nothing was.
func (in *Inside) String() string {
	switch {
	case in == nil:
		return "not asked"
	case !in.Asked:
		return "not asked: " + in.Why
	default:
		return strconv.Itoa(len(in.Workers)) + " Workers told what they see, " + strconv.Itoa(len(in.Silent)) + " did not answer"
	}
}

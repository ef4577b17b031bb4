package rotation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// TestRotation goes through without trouble, with KV as fast and as slow as the contract allows.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, visible := range []time.Duration{0, 60 * time.Second, 120 * time.Second} {
		t.Run(visible.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newHost(t), visible)
			k := &killer{w: w}
			out, err := w.operator("ada", k).Rotate(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.finished(out); err != nil {
				t.Error(err)
			}
			if got := strings.Join(out.Steps, " "); got != "begin store publish sign leave" {
				t.Errorf("steps %s", got)
			}
			t.Logf("%d calls", k.seen)
		})
	}
}

// TestKilledAtEveryCall kills the process at each of its calls, before it is sent and after it had its effect, and has another
// process resume. No reader ever refuses a valid token meanwhile: the world looks all the time.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, visible := range []time.Duration{0, 60 * time.Second, 120 * time.Second} {
		t.Run(visible.String(), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			dry := &killer{w: newWorld(t, h, visible)}
			if _, err := dry.w.operator("ada", dry).Rotate(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			killed := 0
			for at := 1; at <= dry.seen; at++ {
				for _, after := range []bool{false, true} {
					if after && !writes(dry.calls[at-1]) || boring(dry.calls, at) {
						continue
					}
					t.Run(fmt.Sprintf("%d %s after=%t", at, strings.TrimPrefix(dry.calls[at-1], "/client/v4"), after), func(t *testing.T) {
						w := newWorld(t, h, visible)
						killAndResume(t, w, &killer{w: w, at: at, after: after})
					})
					killed++
				}
			}
			t.Logf("killed %d times in %d calls", killed, dry.seen)
		})
	}
}

func writes(call string) bool {
	return !strings.HasPrefix(call, "GET ") && !strings.HasPrefix(call, "EDGE ")
}

// boring is true for looks at the edge during a wait but the first: they are all alike.
func boring(calls []string, at int) bool {
	return at > 2 && calls[at-1] == "EDGE jwks" && calls[at-2] == "EDGE jwks" && calls[at-3] == "EDGE jwks"
}

func killAndResume(t *testing.T, w *world, k *killer) {
	t.Helper()
	_, err := w.operator("ada", k).Rotate(t.Context(), false)
	if !errors.Is(err, errKilled) && !strings.Contains(fmt.Sprint(err), errKilled.Error()) {
		t.Fatalf("not killed: %v", err)
	}
	fmt.Fprintln(&w.told, err)
	w.tick()
	out, err := w.operator("bob", nil).Resume(t.Context(), false)
	if errors.Is(err, fault.NotFound) || err == nil && out.Document.Rotation == 0 {
		out, err = w.operator("bob", nil).Rotate(t.Context(), false) // it died before it had said that it began
	}
	if err != nil {
		t.Fatalf("resume: %v (%s)", err, fault.HintOf(err))
	}
	if err := w.finished(out); err != nil {
		t.Error(err)
	}
}

// TestTheWorldCatchesHaste rotates with each wait too short, and sees the world notice: it would notice it in the other tests too.
func TestTheWorldCatchesHaste(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(a *contract.Auth)
		want string
	}{
		"signs before readers have the key": {func(a *contract.Auth) { a.JWKS.MaxAgeS = 1; a.JWKS.KVVisibilityMaxS = 100 }, "refuses a valid token"},
		"leaves while tokens live":          {func(a *contract.Auth) { a.Token.LifeS = 1800 }, "refuses a valid token"},
		"leaves too late":                   {func(a *contract.Auth) { a.Token.LifeS = 4 * 3600 }, "is still published"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, newHost(t), 100*time.Second)
			hasty := *w.c
			tt.edit(&hasty.Auth)
			r := w.operatorOf("ada", nil, func(c *rotation.Config) { c.Contract, c.Edge = &hasty, blind{edge{w, nil}} })
			if _, err := r.Rotate(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			_ = w.afterwards()
			if w.broken == nil || !strings.Contains(w.broken.Error(), tt.want) {
				t.Errorf("the world saw %v, want %q", w.broken, tt.want)
			}
		})
	}
}

// blind is an edge that says nothing of ages: what a rotation would refuse at once must be able to go wrong here.
type blind struct{ edge }

func (b blind) Served(ctx context.Context) (rotation.Served, error) {
	s, err := b.edge.Served(ctx)
	s.MaxAge = 0
	return s, err
}

func (b blind) Mint(ctx context.Context) (rotation.Token, error) {
	token, err := b.edge.Mint(ctx)
	token.Life = 0
	return token, err
}

// TestInterruptedInTheMiddleOfAStep presses Ctrl-C as each step writes: the step is finished, so that nobody has to wait for it later.
func TestInterruptedInTheMiddleOfAStep(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, at := range []string{"rotation.1", "rotation.2", "rotation.3", "rotation.4", "rotation.5"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t, h, 120*time.Second)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := w.operatorOf("ada", nil, func(c *rotation.Config) { c.Account = impatient{c.Account, "cognomega-keys." + at, cancel} })
			out, err := r.Rotate(ctx, false)
			if !errors.Is(err, context.Canceled) || fault.HintOf(err) != "cogctl jwks resume" || len(out.Steps) == 0 {
				t.Fatalf("%v (%s) after %v", err, fault.HintOf(err), out.Steps)
			}
			if next, err := r.Resume(t.Context(), true); err != nil || next.Document.Version < out.Document.Version {
				t.Errorf("%+v %v", next.Document, err)
			}
			last, err := w.operator("bob", nil).Resume(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.finished(last); err != nil {
				t.Error(err)
			}
		})
	}
}

// impatient presses Ctrl-C as soon as a ticket is got.
type impatient struct {
	rotation.Account
	title  string
	cancel func()
}

func (i impatient) CreateNamespace(ctx context.Context, title string) (cfapi.Namespace, error) {
	n, err := i.Account.CreateNamespace(ctx, title)
	if title == i.title {
		i.cancel()
	}
	return n, err
}

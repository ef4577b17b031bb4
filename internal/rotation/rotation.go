// Package rotation replaces the key that signs tokens, so that no valid token is ever refused and no machine has to stay up for it.
package rotation

import (
	"context"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// Account is what a rotation needs of Cloudflare's API.
type Account interface {
	NamespacesAt(ctx context.Context) ([]cfapi.Namespace, time.Time, error)
	CreateNamespace(ctx context.Context, title string) (cfapi.Namespace, error)
	DeleteNamespace(ctx context.Context, id string) error
	KVGet(ctx context.Context, namespace, key string) ([]byte, error)
	KVPut(ctx context.Context, namespace, key string, value []byte) error
	SecretNames(ctx context.Context, script string) ([]string, error)
	PatchSecrets(ctx context.Context, script string, values map[string]string) error
}

// Edge is the platform as its callers see it.
type Edge interface {
	// Served is the key set that callers are given.
	Served(ctx context.Context) (Served, error)
	// Mint asks for a token made now.
	Mint(ctx context.Context) (Token, error)
	// Accepts says whether the gateway lets a token in.
	Accepts(ctx context.Context, token string) (bool, error)
}

// Served is a key set as it was given.
type Served struct {
	KIDs   []string
	MaxAge time.Duration
}

// Token is a token of ours. It is a credential: it is sent to the gateway and nowhere else.
type Token struct {
	Text string
	KID  string
	Life time.Duration
}

// Config is what a rotation works with.
type Config struct {
	Contract *contract.Contract
	Account  Account
	Edge     Edge
	Owner    string // who does it, for people
	Local    bool   // the environment of this machine, whose KV is as fast as it is set to be
	// Sleep waits, and ends early with the context. NewKey makes keys; Now is the clock of this machine, which only bounds a step.
	Sleep  func(context.Context, time.Duration) error
	NewKey func() (Key, error)
	Now    func() time.Time
	Say    func(Progress) // told what is being waited for; may be nil
	// SignAfter and LeaveAfter make waits longer than the contract's; they cannot make them shorter.
	SignAfter, LeaveAfter time.Duration
}

// Progress is what a rotation waits for.
type Progress struct {
	What   string
	Step   bool          // it was done: nothing is waited for
	Until  time.Time     // by the API's clock; zero when it is not known
	Left   time.Duration // 0 when it is not known
	Probes int           // how often the key set was looked at
	Seen   int           // how often it held every key that it should
}

// Rotator takes the steps of rotations of one environment. It is not safe for concurrent use; any number of Rotators on any number
// of machines are.
type Rotator struct {
	Config
	waits   Waits
	signing contract.Signing
	own     *Document // the last one written here
	probes  int
	seen    int

	confirmed string // the key that tokens were seen to be signed with
}

// New makes a Rotator, or refuses waits that are not safe.
func New(c Config) (*Rotator, error) {
	r := &Rotator{Config: c, waits: WaitsOf(c.Contract.Auth), signing: c.Contract.Auth.Signing}
	if r.Say == nil {
		r.Say = func(Progress) {}
	}
	return r, r.waits.Check(c.Contract.Auth, c.Local, c.SignAfter, c.LeaveAfter)
}

// Waits are the environment's waits.
func (r *Rotator) Waits() Waits { return r.waits }

func (r *Rotator) signWait() time.Duration  { return max(r.SignAfter, r.waits.Sign.Total()) }
func (r *Rotator) leaveWait() time.Duration { return max(r.LeaveAfter, r.waits.Leave.Total()) }

// title is the namespace of the published keys; jwksKey and documentKey are the keys in it.
func (r *Rotator) title() string {
	return r.Contract.Stores[r.Contract.Keys["jwks"].Store].Name
}
func (r *Rotator) jwksKey() string     { return r.Contract.Keys["jwks"].Format }
func (r *Rotator) documentKey() string { return r.Contract.Keys["rotation"].Format }

func (r *Rotator) slot(name string) contract.Slot { return r.signing.Slots[name] }

// otherSlot is the slot that does not sign.
func (r *Rotator) otherSlot(than string) string {
	for _, name := range []string{"a", "b"} {
		if _, known := r.signing.Slots[name]; known && name != than {
			return name
		}
	}
	return ""
}

// Outcome is where a run ended.
type Outcome struct {
	Document *Document
	At       time.Time // by the API's clock
	Done     bool      // nothing is left to do
	WaitFor  time.Time // when there will be something to do again
	Joined   bool      // somebody else's rotation was gone on with
	Steps    []string  // taken by this run
}

// Rotate replaces the signing key. A rotation that is under way already is gone on with, whoever began it: two operators at once
// end in one rotation. With once it ends at the first wait.
func (r *Rotator) Rotate(ctx context.Context, once bool) (Outcome, error) {
	v, err := r.known(ctx, r.settledOrDead)
	if err != nil {
		return Outcome{}, err
	}
	if v.doc.Phase() == Stable {
		if err := r.ready(ctx, &v); err != nil {
			return Outcome{}, err
		}
	}
	started := v.doc.Phase() == Stable
	return r.run(ctx, plan{begin: started, from: v.doc.Signs.KID, adopted: v.doc, once: once}, Outcome{Joined: !started})
}

// Resume goes on with the rotation that is under way.
func (r *Rotator) Resume(ctx context.Context, once bool) (Outcome, error) {
	v, err := r.settled(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if v.doc == nil {
		return Outcome{}, fault.New(fault.NotFound, "no rotation was ever begun here").WithHint("cogctl jwks rotate --plan")
	}
	return r.run(ctx, plan{once: once}, Outcome{})
}

// plan is what a run is to do.
type plan struct {
	begin   bool      // a rotation, unless another than from signs by then
	from    string    // the key that signed when the run began
	adopted *Document // stands for the document until the first is written
	once    bool
	until   func(*Document) bool // ends the run; may be nil
}

// run takes one step after another until there is none, or none that is due.
func (r *Rotator) run(ctx context.Context, p plan, out Outcome) (Outcome, error) {
	for asked := 0; ; {
		if err := ctx.Err(); err != nil {
			return out, interrupted(err)
		}
		ended, err := r.turn(ctx, &p, &out)
		if wait, busy := throttled(err); busy && asked < patience {
			asked++
			r.Say(Progress{What: "Cloudflare asks to wait (429 Retry-After)", Left: wait})
			if err := r.Sleep(ctx, wait); err != nil {
				return out, interrupted(err)
			}
			continue
		}
		if ended || err != nil {
			return out, err
		}
		asked = 0
	}
}

// turn looks, and takes the step that is due or waits for it.
func (r *Rotator) turn(ctx context.Context, p *plan, out *Outcome) (ended bool, err error) {
	v, err := r.settled(ctx)
	if err != nil {
		return true, err
	}
	if v.doc == nil {
		v.doc = p.adopted
	}
	out.Document, out.At = v.doc, v.now
	if p.until != nil && p.until(v.doc) {
		return true, nil
	}
	a := r.next(v, *p)
	if a.step == nil {
		out.Done, out.WaitFor = a.until.IsZero(), a.until
		if out.Done || p.once {
			return true, nil
		}
		return false, r.wait(ctx, v, a)
	}
	doc, err := r.take(ctx, v, a)
	if err != nil || doc == nil { // nil: somebody else took the step
		return err != nil, err
	}
	out.Document, out.Steps = doc, append(out.Steps, a.name)
	p.begin = p.begin && a.name != stepBegin
	r.Say(Progress{What: doc.Describe(a.name), Step: true})
	return p.until != nil && p.until(doc), nil
}

func interrupted(err error) error {
	return fault.New(fault.Unavailable, "the rotation goes on when somebody resumes it: %w", err).WithHint("cogctl jwks resume")
}

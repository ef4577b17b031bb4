package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// bed is the platform whose providers are doubles, and the tier whose models are asked.
type bed struct {
	t         *audit.Target
	admin     string
	tier      string
	providers []string
	models    map[string]string // of the tier, by provider
	origin    int64             // names this run's accounts
}

func newBed(ctx context.Context, t *audit.Target) (*bed, error) {
	if t.Doubles == nil {
		return nil, fault.New(fault.Unsupported, "the model providers of this environment are no doubles, and real ones do not fail on demand").WithHint("only on this machine: --env local")
	}
	if t.Ledger == nil || t.AdminKey == nil {
		return nil, fault.New(fault.Unavailable, "this environment's ledger or its admin key is not known here")
	}
	admin, err := t.AdminKey()
	if err != nil {
		return nil, err
	}
	b := &bed{t: t, admin: admin, tier: t.Contract.Models.DefaultTier, models: map[string]string{}, origin: t.Now().UnixNano()}
	for _, m := range t.Contract.Models.Tiers[b.tier].Models {
		b.providers, b.models[m.Provider] = append(b.providers, m.Provider), m.Model
	}
	if len(b.providers) < 3 || len(b.providers) != len(b.models) {
		return nil, fault.New(fault.Unsupported, "tier %s has %v, want three providers with a model each", b.tier, b.providers)
	}
	return b, b.reset(ctx)
}

// How many questions go to each of the failing providers first, of each kind: enough to open a breaker, and then to see that it is.
const (
	untilOpen = 3
	whileOpen = 2
)

// round has two providers fail, asks until they are left alone, and then asks again.
func (b *bed) round(ctx context.Context, two couple, turn, n int) (Round, error) {
	r := Round{Faults: map[string]string{}, Account: fmt.Sprintf("proof-%x-%d@faults.invalid", b.origin, n), Open: []string{}}
	if err := b.mend(ctx); err != nil {
		return r, err
	}
	for i, p := range two {
		provider := b.providers[(turn+i)%len(b.providers)]
		r.Faults[provider] = p.name
		if err := b.t.Doubles.Fail(ctx, provider, p.fault); err != nil {
			return r, err
		}
	}
	token, err := jwks.Mint(ctx, b.t, b.admin, jwks.Claim{Email: r.Account})
	if err != nil {
		return r, err
	}
	c := caller{bed: b, token: token, name: r.Account}
	if r.Tried, err = b.counting(ctx, func() error { return c.wave(ctx, &r, untilOpen, false) }); err != nil {
		return r, err
	}
	before, err := b.open(ctx)
	if err != nil {
		return r, err
	}
	if r.Spared, err = b.counting(ctx, func() error { return c.wave(ctx, &r, whileOpen, true) }); err != nil {
		return r, err
	}
	after, err := b.open(ctx)
	for _, provider := range before {
		if slices.Contains(after, provider) {
			r.Open = append(r.Open, provider)
		}
	}
	return r, err
}

// counting says how many requests the doubles got meanwhile for each model of the tier.
func (b *bed) counting(ctx context.Context, do func() error) (map[string]int, error) {
	before, err := b.t.Doubles.Requests(ctx)
	if err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	after, err := b.t.Doubles.Requests(ctx)
	got := map[string]int{}
	for _, p := range b.providers {
		got[p] = after[p][b.models[p]] - before[p][b.models[p]]
	}
	return got, err
}

// wave asks everything at once: each failing provider first, as a stream and whole.
func (c caller) wave(ctx context.Context, r *Round, each int, open bool) error {
	var (
		mu  sync.Mutex
		all sync.WaitGroup
	)
	take := func(a Asked) { mu.Lock(); defer mu.Unlock(); r.Asked = append(r.Asked, a) }
	var failed error
	for provider := range r.Faults {
		for i := range 2 * each {
			all.Go(func() {
				q := question{first: provider, stream: i%2 == 0, open: open}
				if open && i < 2 {
					q.key = fmt.Sprintf("%s %s %d", c.name, provider, i)
				}
				if err := c.questions(ctx, q, take); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = err
				}
			})
		}
	}
	all.Wait()
	return failed
}

// questions asks, and once more when there is a key for it.
func (c caller) questions(ctx context.Context, q question, take func(Asked)) error {
	a, err := c.ask(ctx, q)
	if err != nil {
		return err
	}
	take(a)
	if q.key == "" || a.Status != http.StatusOK {
		return nil
	}
	q.again = true
	a, err = c.ask(ctx, q)
	if err == nil {
		take(a)
	}
	return err
}

// mend makes every provider well, and has every model be asked again.
func (b *bed) mend(ctx context.Context) error {
	for _, p := range b.providers {
		if err := b.t.Doubles.Fail(ctx, p, audit.ProviderFault{}); err != nil {
			return err
		}
	}
	return b.reset(ctx)
}

// drainWithin is how long the ledger may take to have what was asked; the contract says so of a queue.
func (b *bed) drainWithin() time.Duration {
	for _, f := range b.t.Contract.Flow {
		if f.Kind == contract.FlowDrain {
			return time.Duration(f.MaxS) * time.Second
		}
	}
	return time.Minute
}

// settle waits until every answer is charged and nothing waits any more, or the time that the contract gives is over, and keeps what the
// ledger then has.
func (b *bed) settle(ctx context.Context, rounds []Round) error {
	queue, err := b.queue(ctx)
	if err != nil {
		return err
	}
	for start := time.Now(); ; {
		backlog, err := b.t.API.QueueBacklog(ctx, queue)
		if err != nil {
			return err
		}
		missing := 0
		for i := range rounds {
			if rounds[i].Ledger, err = b.charged(ctx, rounds[i].Account); err != nil {
				return err
			}
			missing += max(0, rounds[i].answers().Charges-rounds[i].Ledger.Charges)
		}
		if missing == 0 && backlog.Messages == 0 || time.Since(start) > b.drainWithin() {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "wait for the ledger: %w", ctx.Err())
		}
	}
}

func (b *bed) charged(ctx context.Context, account string) (Charged, error) {
	posted, err := b.t.Ledger.Posted(ctx, account)
	c := Charged{Charges: len(posted)}
	for _, p := range posted {
		c.Micro += p.Micro
	}
	return c, err
}

func (b *bed) queue(ctx context.Context) (string, error) {
	queues, err := b.t.API.Queues(ctx)
	if err != nil {
		return "", err
	}
	for _, q := range queues {
		if q.Name == b.t.Contract.Stores[b.t.Contract.Pressure.Queue].Name {
			return q.ID, nil
		}
	}
	return "", fault.New(fault.NotFound, "the account has no queue for usage").WithHint("cogctl up")
}

package rotation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// A step is taken under a ticket: a KV namespace whose title ends in the version of the document that the step will write. A title
// is unique in an account, so of all programs that want to take a step one gets the ticket; and the list of titles is not KV, so it
// is never old. The newest ticket is never deleted: whoever was asleep for hours finds that it is late.

// ticketMark stands between the title of the key namespace and a ticket's number.
const ticketMark = ".rotation."

// IsTicket is true for the title of a namespace that is a ticket of a rotation.
func IsTicket(title string) bool {
	_, number, found := strings.Cut(title, ticketMark)
	_, err := strconv.Atoi(number)
	return found && err == nil
}

// view is the state of the account at one look.
type view struct {
	now       time.Time // by the API's clock
	namespace string    // of the keys
	tickets   map[int]cfapi.Namespace
	newest    int       // ticket, 0 when there is none
	doc       *Document // nil before the first rotation
	certain   bool      // doc was written under the newest ticket
}

// version is that of the document, 0 when there is none.
func (v view) version() int {
	if v.doc == nil {
		return 0
	}
	return v.doc.Version
}

// tickets reads the tickets and the time.
func (r *Rotator) tickets(ctx context.Context) (view, error) {
	all, now, err := r.Account.NamespacesAt(ctx)
	v := view{now: now, tickets: map[int]cfapi.Namespace{}}
	if err != nil {
		return v, err
	}
	for _, n := range all {
		if n.Title == r.title() {
			v.namespace = n.ID
		}
		number, isTicket := strings.CutPrefix(n.Title, r.title()+ticketMark)
		if i, err := strconv.Atoi(number); isTicket && err == nil && i > 0 {
			v.tickets[i] = n
			v.newest = max(v.newest, i)
		}
	}
	if v.namespace == "" {
		return v, fault.New(fault.NotFound, "KV namespace %s does not exist on this account", r.title()).WithHint("cogctl up")
	}
	return v, nil
}

// look reads the tickets, then the document. What this program wrote itself it need not read: KV could answer with an older one.
func (r *Rotator) look(ctx context.Context) (view, error) {
	v, err := r.tickets(ctx)
	if err != nil {
		return v, err
	}
	if r.own != nil && r.own.Version == v.newest {
		v.doc, v.certain = r.own, true
		return v, nil
	}
	raw, err := r.Account.KVGet(ctx, v.namespace, r.documentKey())
	if err != nil && !errors.Is(err, fault.NotFound) {
		return v, err
	}
	if err == nil {
		if v.doc, err = Parse(raw, r.signing); err != nil {
			return v, err
		}
	}
	v.certain = v.version() >= v.newest
	return v, nil
}

// settled looks until the document is the newest. Behind a ticket without its document there is a program at work, one that died,
// or KV that answers with an old value; after the longest step and the longest delay of KV it can only be one that died.
func (r *Rotator) settled(ctx context.Context) (view, error) {
	var (
		ticket int
		since  time.Time
	)
	for {
		v, err := r.look(ctx)
		if err != nil || v.certain {
			return v, err
		}
		if v.newest != ticket {
			ticket, since = v.newest, v.now
		}
		left := r.waits.Settle.Total() - v.now.Sub(since)
		if left <= 0 {
			return v, nil
		}
		r.Say(Progress{What: fmt.Sprintf("waiting for the program that took step %d, or for KV to show what it wrote", v.newest), Until: v.now.Add(left), Left: left})
		if err := r.Sleep(ctx, min(left, pollEvery)); err != nil {
			return v, interrupted(err)
		}
	}
}

// settledOrDead is settled, and sure: a ticket whose program died before it wrote the first document is no document to wait for.
func (r *Rotator) settledOrDead(ctx context.Context) (view, error) {
	v, err := r.settled(ctx)
	v.certain = err == nil
	return v, err
}

// pollEvery is how often the API is asked while another program is waited for.
const pollEvery = 5 * time.Second

// take takes a step: ticket, effects, document. Nil and no error: somebody else was faster.
func (r *Rotator) take(ctx context.Context, v view, a action) (*Document, error) {
	number := max(v.newest, v.version()) + 1
	ticket, err := r.Account.CreateNamespace(ctx, r.title()+ticketMark+strconv.Itoa(number))
	if errors.Is(err, fault.Conflict) {
		return nil, nil //nolint:nilnil // the caller looks again
	}
	if err != nil {
		return nil, err
	}
	// From here on a Ctrl-C waits for the end of the step, which is bounded.
	began := r.Now()
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepLimit)
	defer cancel()
	tx := &transaction{r: r, view: v, began: began}
	late, doc, err := r.underTicket(step, tx, number, a)
	if late || err != nil && (!tx.wrote || refusedOutright(err)) {
		_ = r.Account.DeleteNamespace(step, ticket.ID) // nothing of ours is on its way; a ticket that stays only costs the next one a wait
	}
	if late || err != nil {
		return nil, err
	}
	r.own = doc
	for old, ns := range v.tickets {
		if old < number {
			_ = r.Account.DeleteNamespace(step, ns.ID) // the next step tries again
		}
	}
	return doc, nil
}

// underTicket does the work of a step.
func (r *Rotator) underTicket(ctx context.Context, tx *transaction, number int, a action) (late bool, _ *Document, err error) {
	now, err := r.tickets(ctx)
	if err != nil {
		return false, nil, err
	}
	if now.newest > number {
		return true, nil, nil
	}
	tx.now = now.now
	var doc *Document
	if tx.view.doc != nil {
		doc = tx.view.doc.clone()
	}
	if err := a.step(ctx, tx, doc); err != nil {
		return false, nil, err
	}
	doc.Schema, doc.Version, doc.Owner, doc.Written = DocumentSchema, number, r.Owner, tx.now
	raw, err := doc.encode()
	if err != nil {
		return false, nil, err
	}
	return false, doc, tx.put(ctx, r.documentKey(), raw)
}

// transaction is the part of a step between its ticket and its document.
type transaction struct {
	r     *Rotator
	view  view
	began time.Time
	now   time.Time // by the API's clock, last known
	wrote bool      // something may be on its way
}

// alive refuses to write anything once the step has taken so long that another program may have taken over. The wall clock is asked
// too: on a machine that slept, the other one stood still.
func (tx *transaction) alive(ctx context.Context) error {
	if took := tx.r.Now().Round(0).Sub(tx.began.Round(0)); took > stepLimit || took < 0 {
		return fault.New(fault.Unavailable, "the step took %s, the limit is %s: another program may have taken over", took, stepLimit).WithHint("cogctl jwks resume")
	}
	return ctx.Err()
}

func (tx *transaction) put(ctx context.Context, key string, value []byte) error {
	if err := tx.alive(ctx); err != nil {
		return err
	}
	tx.wrote = true
	return tx.r.Account.KVPut(ctx, tx.view.namespace, key, value)
}

func (tx *transaction) secrets(ctx context.Context, values map[string]string) error {
	if err := tx.alive(ctx); err != nil {
		return err
	}
	tx.wrote = true
	return tx.r.Account.PatchSecrets(ctx, tx.r.signing.Worker, values)
}

// clock is a time not before now: the API's own is cut to the second.
func (tx *transaction) clock(ctx context.Context) (time.Time, error) {
	v, err := tx.r.tickets(ctx)
	if err != nil {
		return time.Time{}, err
	}
	tx.now = v.now
	return v.now.Add(time.Second), nil
}

// refusedOutright is true for an answer that says no: what was refused is not on its way any more.
func refusedOutright(err error) bool {
	var refusal *cfapi.Refusal
	return errors.As(err, &refusal) && refusal.Status < http.StatusInternalServerError
}

// patience is how often in a row the API may have no time.
const patience = 5

// throttled is how long the API asks to wait, when that is what an error says.
func throttled(err error) (time.Duration, bool) {
	var refusal *cfapi.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusTooManyRequests {
		return 0, false
	}
	return max(refusal.RetryAfter, time.Second), true
}

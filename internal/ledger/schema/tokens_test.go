package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// tokens is a migrated database as auth-svc uses it.
type tokens struct {
	t    *testing.T
	pool *pgxpool.Pool
	m    *Migrator
}

func newTokens(t *testing.T) tokens {
	t.Helper()
	target, err := pgurl.Parse(bed.Database(t, ""), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(target.Direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if _, err := m.Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	target.Pool.MaxConns = 12
	pool, err := pgxpool.NewWithConfig(t.Context(), target.Pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return tokens{t, pool, m}
}

func (k tokens) exec(sql string, args ...any) {
	k.t.Helper()
	if _, err := k.pool.Exec(k.t.Context(), sql, args...); err != nil {
		k.t.Fatalf("%s: %v", sql, err)
	}
}

// sign begins a sign-in whose first refresh token has a digest.
func (k tokens) sign(account, digest string) string {
	k.t.Helper()
	id := uuid.NewString()
	k.exec("SELECT auth.open_family($1, $2, 'user', NULL, $3, 3600)", id, account, digest)
	return id
}

func (k tokens) turn(digest, next string) string {
	k.t.Helper()
	var turned []byte
	if err := k.pool.QueryRow(k.t.Context(), "SELECT auth.turn($1, $2)", digest, next).Scan(&turned); err != nil {
		k.t.Errorf("turn %s: %v", digest, err)
	}
	var doc struct{ Outcome string }
	_ = json.Unmarshal(turned, &doc) // what is no JSON has no outcome
	return doc.Outcome
}

type revokedList struct {
	JTI, Family []string
	Subject     [][2]any
	Fresh       int
}

func (k tokens) list(now, until int) (l revokedList) {
	k.t.Helper()
	var raw []byte
	if err := k.pool.QueryRow(k.t.Context(), "SELECT auth.list($1, $2)", now, until).Scan(&raw); err != nil {
		k.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		k.t.Fatal(err)
	}
	return l
}

func (k tokens) revoked(jti, subject string, issued int, family string) (is bool) {
	k.t.Helper()
	if err := k.pool.QueryRow(k.t.Context(), "SELECT auth.is_revoked(nullif($1, ''), $2, $3, nullif($4, ''))", jti, subject, issued, family).Scan(&is); err != nil {
		k.t.Fatal(err)
	}
	return is
}

// Tenants that tokens named before are there when tenants are kept; a suspended one is in the list, and its sign-ins stand still.
func TestTenantsAreKept(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	k.exec("SELECT auth.open_family($1, 'ada@a.test', 'user', 'acme', 'd0', 3600)", uuid.NewString())
	k.exec(`SELECT auth.note('{"phase":"asked","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f11","request_id":"r","action":"POST /auth/token","detail":{"tenant":"minted"}}')`)
	k.exec(`SELECT auth.note('{"phase":"asked","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f12","request_id":"r","action":"POST /auth/token","detail":{"tenant":null}}')`)
	k.exec(`SELECT auth.note('{"phase":"asked","call":"0b0e0f6e-8c9d-4d8e-9a55-0c4c4a0d6f13","request_id":"r","action":"POST /auth/revoke","detail":{"tenant":"other"}}')`)
	if _, err := k.m.Down(t.Context(), 29); err != nil {
		t.Fatal(err)
	}
	if _, err := k.m.Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got := k.text("SELECT string_agg(id || ' ' || state, ', ' ORDER BY id) FROM auth.tenant"); got != "acme active, minted active" {
		t.Fatalf("tenants that tokens named: %s", got)
	}
	const list, still = "SELECT (auth.list_with_tenants(1000, 4660) -> 'tenant')::text", "SELECT auth.is_suspended('d0')::text || auth.is_suspended('none')::text"
	if got := k.text(list) + k.text(still); got != "[]falsefalse" {
		t.Errorf("before: %s", got)
	}
	k.exec("UPDATE auth.tenant SET state = 'suspended' WHERE id IN ('acme', 'minted')")
	if got := k.text(list) + k.text(still); got != `["acme", "minted"]truefalse` {
		t.Errorf("suspended: %s", got)
	}
	if _, err := k.pool.Exec(t.Context(), "INSERT INTO auth.tenant (id, why) VALUES ('a/b', 'x')"); err == nil {
		t.Error("a tenant of any name is kept")
	}
}

func (k tokens) text(sql string) (text string) {
	k.t.Helper()
	if err := k.pool.QueryRow(k.t.Context(), sql).Scan(&text); err != nil {
		k.t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func TestARefreshTokenIsUsedOnce(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	family := k.sign("ada@a.test", "d0")
	if got := []string{k.turn("none", "x"), k.turn("d0", "d1"), k.turn("d1", "d2")}; !slices.Equal(got, []string{"unknown", "turned", "turned"}) {
		t.Fatalf("turns are %v", got)
	}
	if k.revoked("", "ada@a.test", 1, family) {
		t.Error("a sign-in that was gone on with is revoked")
	}
	// The thief's copy and the owner's: whichever comes second ends both.
	if got := []string{k.turn("d0", "d9"), k.turn("d2", "d3"), k.turn("d9", "d10")}; !slices.Equal(got, []string{"reused", "closed", "unknown"}) {
		t.Fatalf("after a reuse turns are %v", got)
	}
	if !k.revoked("", "ada@a.test", 1, family) {
		t.Error("the tokens of a stolen sign-in are good, ahead of the list")
	}
	if l := k.list(1000, 4660); !slices.Equal(l.Family, []string{family}) || l.Fresh != 1 {
		t.Errorf("the list is %+v", l)
	}
	k.exec("UPDATE auth.family SET closed_at = NULL, expires_at = now()")
	if got := k.turn("d2", "d3"); got != "expired" {
		t.Errorf("a sign-in past its end is %s", got)
	}
}

// TestOneOfManyTurnsWins lets twelve callers use one refresh token at once: one gets the next, and the sign-in is ended all the same.
func TestOneOfManyTurnsWins(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	for round := range 20 {
		digest := fmt.Sprintf("d%d", round)
		family := k.sign("ada@a.test", digest)
		outcomes := make([]string, 12)
		var wg sync.WaitGroup
		for i := range outcomes {
			wg.Go(func() { outcomes[i] = k.turn(digest, fmt.Sprintf("%s-%d", digest, i)) })
		}
		wg.Wait()
		slices.Sort(outcomes)
		if got := strings.Join(slices.Compact(outcomes), " "); got != "closed reused turned" {
			t.Fatalf("outcomes are %s", got)
		}
		if !k.revoked("", "x", 1, family) {
			t.Fatal("the sign-in is not ended")
		}
	}
}

func TestWhatIsRevokedIsListedUntilNobodyNeedsIt(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	jti, family, other := uuid.NewString(), k.sign("ada@a.test", "d0"), k.sign("bob@b.test", "d1")
	k.exec("SELECT auth.revoke('jti', $1, 100, 500, 'test')", jti)
	k.exec("SELECT auth.revoke('subject', 'ada@a.test', 100, 900, 'test')")
	for name, c := range map[string]struct{ is, want bool }{
		"the token":                        {k.revoked(jti, "x", 1, ""), true},
		"a token of the subject":           {k.revoked("", "ada@a.test", 100, ""), true},
		"a younger token of the subject":   {k.revoked("", "ada@a.test", 101, ""), false},
		"a younger token of its sign-in":   {k.revoked("", "ada@a.test", 101, family), true},
		"another's token, of no sign-in":   {k.revoked("", "bob@b.test", 1, ""), false},
		"another's sign-in":                {k.revoked(uuid.NewString(), "bob@b.test", 1, other), false},
		"a token named as the subject is":  {k.revoked("", jti, 1, ""), false},
		"a refresh token of the subject's": {k.turn("d0", "d2") == "closed", true},
	} {
		if c.is != c.want {
			t.Errorf("%s: revoked is %t, want %t", name, c.is, c.want)
		}
	}
	if l := k.list(200, 900); l.Fresh != 3 || !slices.Equal(l.JTI, []string{jti}) || !slices.Equal(l.Family, []string{family}) || len(l.Subject) != 1 {
		t.Fatalf("the list is %+v", l)
	}
	if l := k.list(200, 900); l.Fresh != 0 {
		t.Errorf("what was published is %d times fresh", l.Fresh)
	}
	k.exec("SELECT auth.revoke('subject', 'ada@a.test', 50, 800, 'again, and less')")
	if l := k.list(200, 900); l.Fresh != 0 || l.Subject[0][1] != float64(100) {
		t.Errorf("a lesser revocation changed %+v", l)
	}
	k.exec("SELECT auth.revoke('subject', 'ada@a.test', 300, 1000, 'again, and more')")
	if l := k.list(501, 1000); l.Fresh != 1 || len(l.JTI) != 0 || l.Subject[0][1] != float64(300) {
		t.Errorf("after its time the list is %+v", l)
	}
}

// TestAListThatCouldNotBePublishedIsFreshAgain is a write to KV that fails: the transaction of the list is rolled back.
func TestAListThatCouldNotBePublishedIsFreshAgain(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	k.exec("SELECT auth.revoke('jti', $1, 100, 500, 'test')", uuid.NewString())
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	if err := tx.QueryRow(t.Context(), "SELECT auth.list(1, 2)").Scan(&raw); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := k.list(1, 2); l.Fresh != 1 {
		t.Errorf("%d are fresh", l.Fresh)
	}
}

// TestARevocationWaitsForTheListUnderWay sees that no revocation slips between a list and its note of what was published.
func TestARevocationWaitsForTheListUnderWay(t *testing.T) {
	t.Parallel()
	k := newTokens(t)
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT auth.list(1, 2)"); err != nil {
		t.Fatal(err)
	}
	conn, err := k.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), "SET lock_timeout = '50ms'"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT auth.revoke('jti', $1, 100, 500, 'test')", uuid.NewString()); err == nil || !strings.Contains(err.Error(), "55P03") {
		t.Errorf("a revocation beside a list: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

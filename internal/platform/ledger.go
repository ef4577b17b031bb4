package platform

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/ledger/schema"
)

// Ledger is the local environment's database, up and with its schema.
type Ledger struct {
	Database *Database   `json:"-"`
	Shown    string      `json:"database"` // where it is, without a password
	Embedded bool        `json:"embedded"` // on this machine, and not DATABASE_URL's
	Started  bool        `json:"started"`
	Facts    pgurl.Facts `json:"server"`
	Version  int64       `json:"version"`
	Target   int64       `json:"target"`
	Applied  int         `json:"applied"`
}

// BringLedger starts this machine's database unless DATABASE_URL names another, applies the migrations that it lacks, and keeps
// its connection string where the stack looks for secrets: the Hyperdrive configuration follows a database that has moved.
func BringLedger(ctx context.Context, c *contract.Contract, l Layout, getenv func(string) string) (*Ledger, error) {
	db, started, err := StartDatabase(ctx, l, Local, getenv)
	if err != nil {
		return nil, err
	}
	led := &Ledger{Database: db, Shown: db.Target.Shown, Embedded: db.Embedded != nil, Started: started}
	if err := led.migrate(ctx); err != nil {
		return nil, err
	}
	return led, rememberDatabase(c, l, db.Address())
}

// migrate looks at the server first: one that is too old, or may not be written to, says so better than a migration does.
func (led *Ledger) migrate(ctx context.Context) (err error) {
	if led.Facts, err = led.Database.Target.Probe(ctx); err != nil {
		return err
	}
	m, err := schema.New(led.Database.Target.Direct)
	if err != nil {
		return err
	}
	defer m.Close()
	done, err := m.Up(ctx, 0)
	if err != nil {
		return err
	}
	led.Applied, led.Target = len(done), m.Target()
	led.Version, _, err = m.Version(ctx)
	return err
}

// KnowsDatabase says whether an `up` has come so far on this machine as to write down where every Hyperdrive configuration's database is.
func KnowsDatabase(c *contract.Contract, l Layout) (bool, error) {
	secrets, err := readLocalSecrets(l)
	if err != nil {
		return false, err
	}
	for _, s := range c.Stores {
		if s.Kind == contract.StoreHyperdrive && secrets[s.DatabaseSecret] == "" {
			return false, nil
		}
	}
	return true, nil
}

// rememberDatabase writes a connection string into the owner-only file of secrets, for every Hyperdrive configuration of the contract.
func rememberDatabase(c *contract.Contract, l Layout, address string) error {
	secrets, err := readLocalSecrets(l)
	if err != nil {
		return err
	}
	before := maps.Clone(secrets)
	for _, name := range slices.Sorted(maps.Keys(c.Stores)) {
		if s := c.Stores[name]; s.Kind == contract.StoreHyperdrive {
			secrets[s.DatabaseSecret] = address
		}
	}
	if maps.Equal(before, secrets) {
		return nil
	}
	return writeSecrets(l, secrets)
}

// LedgerStatus is how an environment's database is found, whether or not it answers.
type LedgerStatus struct {
	Database string `json:"database"`
	Answers  bool   `json:"answers"`
	Stopped  bool   `json:"stopped"` // this machine's server, when it does not run
	PID      int    `json:"pid,omitempty"`
	Server   string `json:"server,omitempty"`
	Vector   string `json:"pgvector,omitempty"` // the version that the server offers
	Version  int64  `json:"version"`
	Target   int64  `json:"target"`
	Trouble  string `json:"trouble,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// LookAtLedger looks without starting or changing anything; what is wrong is a part of the answer.
func LookAtLedger(ctx context.Context, l Layout, env string, getenv func(string) string) LedgerStatus {
	s := LedgerStatus{Database: "this machine's"}
	if err := s.look(ctx, l, env, getenv); err != nil {
		s.Stopped = errors.Is(err, fault.NotFound)
		s.Trouble, s.Hint = err.Error(), fault.HintOf(err)
	}
	return s
}

func (s *LedgerStatus) look(ctx context.Context, l Layout, env string, getenv func(string) string) error {
	db, err := OpenDatabase(ctx, l, env, getenv)
	if err != nil {
		return err
	}
	s.Database = db.Target.Shown
	if db.Embedded != nil {
		s.PID = db.Embedded.PID
	}
	facts, err := db.Target.Probe(ctx)
	if err != nil {
		return err
	}
	s.Answers, s.Server, s.Vector = true, facts.Version, facts.Vector
	m, err := schema.New(db.Target.Direct)
	if err != nil {
		return err
	}
	defer m.Close()
	s.Target = m.Target()
	s.Version, _, err = m.Version(ctx)
	return err
}

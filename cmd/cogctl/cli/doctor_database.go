package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localpg"
	"github.com/cognomega/edge/internal/platform"
)

// postgres is run, not only found, as workerd is. With DATABASE_URL nobody needs it here.
func (x examiner) postgres() symptom {
	if x.d.Getenv("DATABASE_URL") != "" {
		return fine("postgres", "not needed: DATABASE_URL names a database")
	}
	binaries, err := localpg.FindBinaries(filepath.Join(x.layout.Root, "workers", "node_modules"))
	if err != nil {
		return sick("postgres", err.Error(), fault.HintOf(err))
	}
	version, err := x.run(binaries.Program("postgres"), "--version")
	if err != nil {
		return sick("postgres", "does not run: "+err.Error(), "it needs glibc on Linux; or set DATABASE_URL to a server of your own")
	}
	return fine("postgres", strings.TrimPrefix(version, "postgres (PostgreSQL) "))
}

// database is stopped, or serves with this program's schema.
func (x examiner) database() symptom {
	if x.layoutErr != nil {
		return unclear("database", "no checkout to look in", "")
	}
	s := platform.LookAtLedger(x.ctx, x.layout, platform.Local, x.d.Getenv)
	_, cloud := platform.RunningLocal(x.ctx, x.layout)
	switch {
	case s.Stopped && x.d.neverUp(x.layout):
		return fine("database", "none yet: cogctl up makes it")
	case s.Stopped && cloud == nil:
		return sick("database", "stopped, and the platform serves without its ledger", "cogctl up")
	case s.Stopped:
		return fine("database", "stopped")
	case !s.Answers:
		return sick("database", s.Trouble, s.Hint)
	case s.Trouble != "":
		return sick("database", s.Trouble, s.Hint)
	case s.Version != s.Target:
		return sick("database", fmt.Sprintf("schema %d of %d at %s", s.Version, s.Target, s.Database), "cogctl db up")
	}
	return fine("database", fmt.Sprintf("serving at %s, schema %d of %d", s.Database, s.Version, s.Target))
}

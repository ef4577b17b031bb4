package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// neverUp says that this machine has no platform that a plan could be made against: no account, or no database of one, or none that
// an `up` killed on its way has come to write down.
func (d *Deps) neverUp(l platform.Layout) bool {
	if d.Env != platform.Local {
		return false
	}
	missing := func(name string) bool {
		_, err := os.Stat(filepath.Join(l.Local, name))
		return errors.Is(err, fs.ErrNotExist)
	}
	if missing("cloud.db") || d.Getenv("DATABASE_URL") == "" && missing("pg") {
		return true
	}
	c, err := d.Contract()
	if err != nil {
		return false // whoever plans says why
	}
	known, err := platform.KnowsDatabase(c, l)
	return err == nil && !known
}

// planFirstUp says what the first `up` would do. There is no account yet to make a plan against, and a dry run makes none.
func planFirstUp(d *Deps) error {
	c, err := d.Contract()
	if err != nil {
		return err
	}
	result := &previewResult{Env: d.Env, Changes: map[string]int{}, Plan: []plannedChange{}, Drift: []platformDrift{}, First: []string{"start the local cloud, with an account of its own"}}
	if d.Getenv("DATABASE_URL") == "" {
		result.First = append(result.First, "make the database on this machine and start it")
	}
	result.First = append(result.First, "apply the migrations that the database lacks", "make the secrets that are missing",
		fmt.Sprintf("create all that the contract declares, %d Workers with their stores and routes, once the policies allow it", len(c.Workers)), "prove Phase 0 and Phase 1")
	blocks := []term.Block{term.Headline(term.Skipped, "there is no platform on this machine yet, and nothing was written. The first cogctl up would")}
	for _, step := range result.First {
		blocks = append(blocks, term.Line{term.T("  " + step)})
	}
	return d.Term.Print(term.Report{Schema: "cogctl/preview/v1", Data: result, Blocks: blocks})
}

package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/term"
)

func newEnv(d *Deps) *cobra.Command {
	return newGroup("env", "What an environment consists of: keep it, compare it, check it",
		"  cogctl env diff                              # does what is live agree with the contract?\n"+
			"  cogctl env snapshot --env production\n  cogctl env diff before.json live --env production",
		newEnvSnapshot(d), newEnvDiff(d), newEnvVerify(d), newEnvList(d))
}

// snapshots is where COGCTL_SNAPSHOTS_DIR says, else the checkout's snapshots folder, or one here when this is no checkout.
func (d *Deps) snapshots() string {
	if dir := d.Getenv("COGCTL_SNAPSHOTS_DIR"); dir != "" {
		return dir
	}
	if l, err := d.layout(); err == nil {
		return filepath.Join(l.Root, "snapshots")
	}
	return filepath.Join(d.WorkDir, "snapshots")
}

// unseenLines say what the token may not read, and which permission would let it.
func unseenLines(unseen []snapshot.Unseen) []term.Block {
	var blocks []term.Block
	for _, u := range unseen {
		blocks = append(blocks, term.Headline(term.Inconclusive, "not seen: "+u.Section+": "+u.Why))
		if u.Hint != "" {
			blocks = append(blocks, term.Hint(u.Hint))
		}
	}
	return blocks
}

// holds says how much of what a snapshot holds, leaving out what there is none of.
func holds(sections map[string]int) string {
	var parts []string
	for _, name := range sortedKeys(sections) {
		if n := sections[name]; n > 0 {
			parts = append(parts, counted(n, noun(name)))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// noun is what one thing of a section is called.
func noun(section string) string {
	if section == "dns" {
		return "DNS record"
	}
	one := strings.TrimSuffix(strings.ReplaceAll(section, "_", " "), "s")
	return strings.NewReplacer("kv ", "KV ", "r2 ", "R2 ").Replace(one)
}

package cli

import (
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newKeys(d *Deps) *cobra.Command {
	return newGroup("keys", "The keys that sign proofs, and those whose proofs are believed",
		"  cogctl keys list\n  cogctl keys show > me.pem        # for whoever shall believe your proofs\n  cogctl keys trust ci.pem --name ci",
		newKeysList(d), newKeysCreate(d), newKeysShow(d), newKeysTrust(d))
}

type keyRow struct {
	evidence.Key
	Signs bool `json:"signs"` // this machine, or this environment, signs with it
}

type keysResult struct {
	Keys []keyRow `json:"keys"`
}

func newKeysList(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys whose proofs are believed here", Args: cobra.NoArgs, Example: "  cogctl keys list --output json",
		RunE: func(*cobra.Command, []string) error {
			result, err := runKeysList(d)
			if err != nil {
				return err
			}
			rows := term.Rows{Columns: []string{"key id", "name", "signs here"}, Empty: "no keys: cogctl keys create makes one, and so does the first proof"}
			for _, k := range result.Keys {
				signs := ""
				if k.Signs {
					signs = "yes"
				}
				rows.Rows = append(rows.Rows, term.Row(k.ID, k.Name, signs))
			}
			return d.Term.Print(term.Report{Schema: "cogctl/keys.list/v1", Data: result, Blocks: []term.Block{rows}})
		},
	}
}

func runKeysList(d *Deps) (*keysResult, error) {
	ring, err := d.ring()
	if err != nil {
		return nil, err
	}
	own, _, err := d.current()
	if err != nil {
		return nil, err
	}
	result := &keysResult{Keys: []keyRow{}}
	for _, k := range ring.Keys() {
		result.Keys = append(result.Keys, keyRow{k, k.ID == own.ID})
	}
	return result, nil
}

type keyChange struct {
	evidence.Key
	Changed bool `json:"changed"`
	DryRun  bool `json:"dry_run"`
}

func newKeysCreate(d *Deps) *cobra.Command {
	var replace, dryRun bool
	cmd := &cobra.Command{
		Use: "create", Short: "Make this machine's signing key, if it has none", Args: cobra.NoArgs,
		Long: "Make this machine's signing key, if it has none. The private half is kept in a file that only its owner may read, and is never printed; the first proof makes one as well.\n" +
			"With --replace the old private key is destroyed; what it signed can still be verified.",
		Example: "  cogctl keys create\n  cogctl keys create --replace     # when somebody else may have read it",
		RunE: func(*cobra.Command, []string) error {
			result, err := runKeysCreate(d, replace, dryRun)
			if err != nil {
				return err
			}
			words := "key " + result.ID + " signs here already"
			if result.Changed {
				words = "key " + result.ID + " signs here from now on"
			}
			if dryRun {
				words = "nothing was written; without --dry-run a key would be made unless there is one"
			}
			return d.Term.Print(term.Report{Schema: "cogctl/keys.create/v1", Data: result, Blocks: []term.Block{term.Headline(term.Pass, words)}})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "make a new key even if there is one, and destroy the old private half")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "make nothing")
	return cmd
}

func runKeysCreate(d *Deps, replace, dryRun bool) (*keyChange, error) {
	if d.Getenv(evidenceKeyEnv) != "" {
		return nil, fault.New(fault.Conflict, "%s is set, so a key made here would not be used", evidenceKeyEnv).WithHint("unset it first")
	}
	if dryRun {
		own, ok, err := d.current()
		return &keyChange{own.Key, !ok || replace, true}, err
	}
	if replace {
		s, err := d.vault().Replace()
		return &keyChange{s.Key, true, false}, err
	}
	s, made, err := d.vault().Ensure()
	return &keyChange{s.Key, made, false}, err
}

func newKeysShow(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "show [key-id]", Short: "Print a public key: the one that signs here, or a trusted one", Args: cobra.MaximumNArgs(1),
		Example: "  cogctl keys show > me.pem\n  cogctl keys show 3f7a", ValidArgsFunction: d.completeKey,
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := runKeysShow(d, args)
			if err != nil {
				return err
			}
			text, err := k.PEM()
			if err != nil {
				return err
			}
			if d.Term.Format() == term.Table {
				_, err = d.Term.Out().Write(text)
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/keys.show/v1", Data: struct {
				evidence.Key
				PEM string `json:"pem"`
			}{k, string(text)}, Blocks: []term.Block{term.Line{term.T(string(text))}}})
		},
	}
}

func runKeysShow(d *Deps, args []string) (evidence.Key, error) {
	if len(args) == 1 {
		ring, err := d.ring()
		if err != nil {
			return evidence.Key{}, err
		}
		return ring.Find(args[0])
	}
	own, ok, err := d.current()
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "this machine has no evidence key").WithHint("cogctl keys create")
	}
	return own.Key, err
}

func newKeysTrust(d *Deps) *cobra.Command {
	var name string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "trust <file>", Short: "Believe the proofs of a public key; - is stdin", Args: cobra.ExactArgs(1),
		Long:    "Believe the proofs of a public key. Compare its id with its owner by another way than the one the file came by.",
		Example: "  cogctl keys trust ci.pem --name ci",
		RunE: func(_ *cobra.Command, args []string) error {
			result, err := runKeysTrust(d, args[0], name, dryRun)
			if err != nil {
				return err
			}
			words := "key " + result.ID + " was trusted already"
			switch {
			case dryRun:
				words = "nothing was written: this is key " + result.ID
			case result.Changed:
				words = "proofs of key " + result.ID + " are believed from now on"
			}
			return d.Term.Print(term.Report{Schema: "cogctl/keys.trust/v1", Data: result, Blocks: []term.Block{term.Headline(term.Pass, words)}})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what to call it in lists")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say whose key it is, and trust nothing")
	return cmd
}

func runKeysTrust(d *Deps, file, name string, dryRun bool) (*keyChange, error) {
	text, err := d.read(file)
	if err != nil {
		return nil, err
	}
	k, err := evidence.ParseKey(text)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", file, err)
	}
	if name != "" {
		k.Name = name
	}
	if dryRun {
		return &keyChange{k, false, true}, nil
	}
	added, err := d.vault().Trust(k)
	return &keyChange{k, added, false}, err
}

// completeKey offers the ids of trusted keys.
func (d *Deps) completeKey(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ring, err := d.ring()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(ring), cobra.ShellCompDirectiveNoFileComp
}

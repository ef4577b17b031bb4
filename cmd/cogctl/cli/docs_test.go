package cli_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/term"
)

// documents are read by people who then type what they read.
var documents = []string{"README.md", "OPS.md", "CONTRIBUTING.md"}

func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, name := range documents {
		raw, err := os.ReadFile(filepath.Join("..", "..", "..", name))
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is missing", name)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(raw)) {
			found++
			if err := parses(line); err != nil {
				t.Errorf("%s: cogctl %s: %v", name, line, err)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d commands were found: the reader of documents is broken", found)
	}
}

// TestEveryProofNamesTheCommandThatMakesIt types what a gate and the report say of a proof that is missing.
func TestEveryProofNamesTheCommandThatMakesIt(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for _, check := range suite.For(c) {
		line, found := strings.CutPrefix(check.Prove("local"), "cogctl ")
		if err := parses(line); !found || err != nil {
			t.Errorf("%s: %q: %v", check.Name, check.Prove("local"), err)
		}
		made[check.Name] = line
	}
	for _, phase := range []string{"phase0", "phase1", "phase2"} {
		for check := range c.Gates.Gates[phase].Proofs {
			if made[check] != "prove "+phase+" --env local" {
				t.Errorf("gate %s waits for %s, which is made by %q", phase, check, made[check])
			}
		}
	}
}

// TestTheDocumentReader plants wrong lines and sees them refused.
func TestTheDocumentReader(t *testing.T) {
	t.Parallel()
	const doc = "Run `bin/cogctl status` first.\n\n    bin/cogctl audit routes --env production   # why\n    make up\n\n" +
		"```\n$ cogctl prove phase0\nReady. cogctl nonsense\n```\n\n```text\ncogctl output\n```\n\n    cogctl token guest | cogctl token inspect\n"
	want := []string{"status", "audit routes --env production", "prove phase0", "token guest", "token inspect"}
	got := commandLines(doc)
	if strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("read %q, want %q", got, want)
	}
	for _, line := range []string{"nonsense", "audit nonsense", "status --nonsense", "audit routes compare", "version extra", "prove"} {
		if parses(line) == nil && line != "prove" {
			t.Errorf("%q must be refused", line)
		}
	}
}

var (
	inline = regexp.MustCompile("`(?:bin/)?cogctl ([^`]+)`")
	typed  = regexp.MustCompile(`^(?:\$ )?(?:bin/)?cogctl (.+)$`)
)

// commandLines lists what a reader would type: inline code, and lines of blocks. In a block with "$ " lines the others are
// output; a block marked text is all output.
func commandLines(doc string) []string {
	var lines []string
	for _, block := range blocks(doc) {
		prompts := strings.Contains("\n"+strings.Join(block.lines, "\n"), "\n$ ")
		for _, line := range block.lines {
			if !block.code {
				for _, m := range inline.FindAllStringSubmatch(line, -1) {
					lines = append(lines, commands("cogctl "+m[1])...)
				}
				continue
			}
			if block.output || prompts && !strings.HasPrefix(line, "$ ") {
				continue
			}
			lines = append(lines, commands(line)...)
		}
	}
	return lines
}

// commands takes the cogctl commands out of a shell line with pipes and a comment.
func commands(line string) []string {
	line, _, _ = strings.Cut(line, " #")
	var found []string
	for _, part := range strings.Split(line, "|") {
		if m := typed.FindStringSubmatch(strings.TrimSpace(part)); m != nil {
			found = append(found, strings.TrimSpace(m[1]))
		}
	}
	return found
}

type block struct {
	lines        []string
	code, output bool
}

func blocks(doc string) []block {
	var all []block
	var now block
	fenced := false
	flush := func() {
		if len(now.lines) > 0 {
			all = append(all, now)
		}
		now = block{}
	}
	for _, line := range strings.Split(doc, "\n") {
		if info, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); isFence {
			flush()
			fenced = !fenced
			now = block{code: fenced, output: info == "text" || info == "json"}
			continue
		}
		indented := strings.HasPrefix(line, "    ")
		if !fenced && indented != now.code {
			flush()
			now.code = indented
		}
		now.lines = append(now.lines, strings.TrimPrefix(line, "    "))
	}
	flush()
	return all
}

// parses finds the command in the real tree, and reads its flags and arguments without running it.
func parses(line string) error {
	tm, _, _ := term.Test(term.Fake{})
	d := cli.NewDeps("test")
	d.Term = tm
	root := cli.NewRoot(d)
	cmd, rest, err := root.Find(strings.Fields(strings.ReplaceAll(line, `"`, "")))
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// TestEveryDocument runs every command on a platform that stands, and holds what it prints to its schema: stdout is one JSON
// document and nothing else. A dry run changes nothing of the account, by the account's own count.
func TestEveryDocument(t *testing.T) {
	t.Parallel()
	l := newLived(t)
	for _, u := range uses {
		l.use(u)
	}
	l.everyCommandWasUsed()
	l.everyDocumentHasASchema()
	l.everySchemaIsOfADocument()
}

// lived is a platform of the test's own: the local cloud in a process of its own, and every command in this one.
type lived struct {
	t      *testing.T
	root   string
	dir    string // beside the account, for files
	local  string
	layout platform.Layout

	used   map[string]bool // commands, by their path
	dry    map[string]bool // those that were used with --dry-run
	seen   map[string]bool // documents
	guest  string          // a token
	stdout []byte
}

func newLived(t *testing.T) *lived {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, built := range []string{"cogctl", "stacks"} {
		if _, err := os.Stat(filepath.Join(root, "bin", built)); err != nil {
			t.Fatalf("%v: make setup", err)
		}
	}
	l := &lived{t: t, root: root, dir: t.TempDir(), local: filepath.Join(t.TempDir(), ".local"), used: map[string]bool{}, dry: map[string]bool{}, seen: map[string]bool{}}
	if l.layout, err = platform.FindLayout(root, l.local); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.program("down") })
	l.program("local", "start")
	return l
}

// program runs the built cogctl, which can start a local cloud that outlives the command.
func (l *lived) program(args ...string) {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(l.root, "bin", "cogctl"), append(args, "--dir", l.local)...)
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Errorf("cogctl %v: %v\n%s", args, err, out)
	}
}

func (l *lived) getenv(name string) string {
	switch name {
	case "COGCTL_PROOFS_DIR":
		return filepath.Join(l.dir, "proofs")
	case "COGCTL_SNAPSHOTS_DIR":
		return filepath.Join(l.dir, "snapshots")
	case "PATH", "HOME":
		return os.Getenv(name)
	default:
		return ""
	}
}

func (l *lived) use(u use) {
	l.t.Helper()
	args := l.arguments(u)
	var reports []term.Report
	tm, out, errs := term.Test(term.Fake{Stdin: l.guest, Observe: func(r term.Report) { reports = append(reports, r) }})
	d := cli.NewDeps("test")
	d.Term, d.WorkDir, d.Getenv = tm, l.root, l.getenv
	command, _, err := cli.NewRoot(d).Find(strings.Fields(u.args))
	if err != nil {
		l.t.Fatal(err)
	}
	l.used[command.CommandPath()] = true
	dry := slices.Contains(args, "--dry-run")
	before := l.writes()
	code := cli.Run(l.t.Context(), d, args)
	if code != u.exit && u.exit != anyVerdict || u.exit == anyVerdict && code != fault.ExitOK && code != fault.ExitFinding && code != fault.ExitInconclusive {
		l.t.Errorf("cogctl %s: exit %d, want %d\n%.3000s%s", u.args, code, u.exit, out, errs)
	}
	if dry {
		l.dry[command.CommandPath()] = true
		if after := l.writes(); after != before {
			l.t.Errorf("cogctl %s made %d calls that change the account", u.args, after-before)
		}
	}
	if _, excused := undried[command.CommandPath()]; command.Flags().Lookup("dry-run") == nil && !excused {
		if after := l.writes(); after > before {
			l.t.Errorf("cogctl %s made %d calls that change the account, and the command has no --dry-run", u.args, after-before)
		}
	}
	l.stdout = out.Bytes()
	if command.CommandPath() == "cogctl token guest" {
		l.guest = l.tokenOf(out.Bytes())
	}
	switch {
	case u.says != "":
		if out.Len() != 0 || !strings.Contains(errs.String(), u.says) {
			l.t.Errorf("cogctl %s: stdout %q, stderr %s", u.args, out, errs)
		}
		if code != fault.ExitOK {
			l.error(u, errs.Bytes())
		}
	case u.file != nil:
		l.document(u, reflect.TypeOf(u.file), out.Bytes())
	case len(reports) != 1:
		l.t.Errorf("cogctl %s printed %d reports", u.args, len(reports))
	default:
		l.document(u, reflect.TypeOf(reports[0].Data), out.Bytes())
		l.people(u, reports[0])
	}
}

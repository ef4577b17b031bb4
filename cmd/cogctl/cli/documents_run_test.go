package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
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

// arguments puts the test's own things into a use.
func (l *lived) arguments(u use) []string {
	l.t.Helper()
	known := map[string]func() string{
		"$DIR":     func() string { return l.dir },
		"$PROOF":   func() string { return l.first("proofs/*.json") },
		"$KEY":     func() string { return l.key() },
		"$ADMIN":   func() string { return l.admin() },
		"$KID":     func() string { return l.kid() },
		"$ACCOUNT": func() string { return l.account() },
		"$QUEUE":   func() string { return l.queue() },
		"$FILE":    func() string { return l.uploaded() },
	}
	args := strings.Fields(u.args)
	for i, arg := range args {
		for name, value := range known {
			if strings.HasPrefix(arg, name) {
				args[i] = value() + strings.TrimPrefix(arg, name)
			}
		}
	}
	return append(args, "--dir", l.local, "--output", "json")
}

// uploaded is the key of ada's newest file.
func (l *lived) uploaded() string {
	l.t.Helper()
	tm, out, errs := term.Test(term.Fake{})
	d := cli.NewDeps("test")
	d.Term, d.WorkDir, d.Getenv = tm, l.root, l.getenv
	cli.Run(l.t.Context(), d, []string{"files", "list", "ada@example.com", "--dir", l.local, "--output", "json"})
	var list struct{ Files []struct{ Key string } }
	if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list.Files) == 0 {
		l.t.Fatalf("no file of ada's: %v %s", err, errs)
	}
	return list.Files[0].Key
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

// document holds a printed document to its kept schema, and the schema to the type that was printed: the one says what programs
// can rely on, the other that nobody forgot to say so.
func (l *lived) document(u use, data reflect.Type, printed []byte) {
	l.t.Helper()
	var head struct {
		Schema string `json:"schema"`
	}
	dec := json.NewDecoder(bytes.NewReader(printed))
	if err := dec.Decode(&head); err != nil || dec.More() || !strings.HasPrefix(head.Schema, "cogctl/") {
		l.t.Errorf("cogctl %s: stdout is not one JSON document with a schema: %v\n%s", u.args, err, printed)
		return
	}
	file := filepath.Join("schemas", strings.ReplaceAll(strings.TrimPrefix(head.Schema, "cogctl/"), "/", ".")+".json")
	l.seen[filepath.Base(file)] = true
	derived, err := json.MarshalIndent(document(head.Schema, data), "", "  ")
	if err != nil {
		l.t.Fatal(err)
	}
	derived = append(derived, '\n')
	if *update {
		if err := os.WriteFile(file, derived, 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.t.Errorf("cogctl %s prints a document without a schema: go test ./cmd/cogctl/cli -run TestEveryDocument -update writes %s", u.args, file)
		return
	case err != nil || !bytes.Equal(kept, derived):
		l.t.Errorf("cogctl %s prints what %s does not say: write it anew with -update, and read the difference: a key that changes its meaning wants a new version", u.args, file)
	}
	l.validate(u, kept, printed)
}

// error holds an error's document to the schema that is written by hand: it is no report.
func (l *lived) error(u use, said []byte) {
	l.t.Helper()
	const file = "error.v1.json"
	l.seen[file] = true
	schema, err := os.ReadFile(filepath.Join("schemas", file))
	if err != nil {
		l.t.Fatal(err)
	}
	l.validate(u, schema, said[max(bytes.Index(said, []byte("{")), 0):])
}

func (l *lived) validate(u use, schema, printed []byte) {
	l.t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		l.t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("document.json", parsed); err != nil {
		l.t.Fatal(err)
	}
	compiled, err := c.Compile("document.json")
	if err != nil {
		l.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(printed))
	if err != nil {
		l.t.Fatal(err)
	}
	if err := compiled.Validate(value); err != nil {
		l.t.Errorf("cogctl %s: %v\n%.2000s", u.args, err, printed)
	}
}

// people draws the same report as people see it: on terminals of several widths, off a terminal, and as Markdown.
func (l *lived) people(u use, r term.Report) {
	l.t.Helper()
	for name, fake := range map[string]term.Fake{"wide": {TTY: true, Width: 120}, "80": {TTY: true, Width: 80}, "55": {TTY: true, Width: 55}, "plain": {TTY: true, NoColor: true}, "no terminal": {}, "markdown": {}} {
		tm, out, _ := term.Test(fake)
		if name == "markdown" {
			if err := tm.SetFormat(name); err != nil {
				l.t.Fatal(err)
			}
		}
		if err := tm.Print(r); err != nil {
			l.t.Errorf("cogctl %s, %s: %v", u.args, name, err)
		}
		coloured := fake.TTY && !fake.NoColor
		if text := out.String(); !coloured && strings.Contains(text, "\x1b") || strings.Contains(text, "%!") || strings.Contains(text, "<nil>") || strings.Contains(text, "map[") {
			l.t.Errorf("cogctl %s, %s:\n%s", u.args, name, text)
		}
	}
}

// everyCommandWasUsed walks the real tree: a new command wants a use, and one that has --dry-run a dry one.
func (l *lived) everyCommandWasUsed() {
	l.t.Helper()
	for todo := cli.NewRoot(cli.NewDeps("test")).Commands(); len(todo) > 0; todo = todo[1:] {
		c := todo[0]
		todo = append(todo, c.Commands()...)
		_, without := documentless[c.CommandPath()]
		noun := c.HasSubCommands() && !l.used[c.CommandPath()] // alone it shows its verbs
		switch {
		case c.Hidden || noun || without:
		case !l.used[c.CommandPath()]:
			l.t.Errorf("%s has no line in uses: say how it is run on a platform that stands, and keep its schema", c.CommandPath())
		case c.Flags().Lookup("dry-run") != nil && !l.dry[c.CommandPath()]:
			l.t.Errorf("%s has no line in uses with --dry-run", c.CommandPath())
		}
	}
}

// documentName is how a document is named where it is printed.
var documentName = regexp.MustCompile(`"cogctl/([a-z.-]+)/(v\d+)"`)

// everyDocumentHasASchema reads the sources: a document that no use printed has no schema, and must have one.
func (l *lived) everyDocumentHasASchema() {
	l.t.Helper()
	sources, err := filepath.Glob("*.go")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(source)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, m := range documentName.FindAllSubmatch(raw, -1) {
			file := string(m[1]) + "." + string(m[2]) + ".json"
			if !l.seen[file] && string(m[1]) != "setup" {
				l.t.Errorf("%s prints cogctl/%s/%s, which no use printed", source, m[1], m[2])
			}
		}
	}
}

// everySchemaIsOfADocument finds schemas that nothing prints any more.
func (l *lived) everySchemaIsOfADocument() {
	l.t.Helper()
	files, err := filepath.Glob(filepath.Join("schemas", "*.json"))
	if err != nil || len(files) < 40 {
		l.t.Fatalf("%d schemas (%v)", len(files), err)
	}
	for _, file := range files {
		if !l.seen[filepath.Base(file)] {
			l.t.Errorf("%s: nothing printed this document", file)
		}
	}
}

// writes is the account's own count of calls that could change it; 0 when it does not serve.
func (l *lived) writes() int64 {
	s, err := platform.StatusLocal(l.t.Context(), l.layout)
	if err != nil {
		return 0
	}
	return s.APICalls.Writes
}

func (l *lived) first(pattern string) string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, pattern))
	if err != nil || len(found) == 0 {
		l.t.Fatalf("there is no %s", pattern)
	}
	return found[0]
}

func (l *lived) key() string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.local, "evidence", "keys", "*.pem"))
	if err != nil || len(found) == 0 {
		l.t.Fatal("this machine trusts no key")
	}
	return found[0]
}

func (l *lived) admin() string {
	l.t.Helper()
	raw, err := os.ReadFile(filepath.Join(l.local, "secrets.json"))
	var secrets map[string]string
	if err == nil {
		err = json.Unmarshal(raw, &secrets)
	}
	file := filepath.Join(l.dir, "admin-key")
	if err == nil {
		err = os.WriteFile(file, []byte(secrets["ADMIN_API_KEY"]), 0o600)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return file
}

// account is one of the ledger with some credits, and a use.
func (l *lived) account() string {
	l.t.Helper()
	const name = "ada@example.com"
	db, err := platform.OpenDatabase(l.t.Context(), l.layout, platform.Local, func(string) string { return "" })
	if err != nil {
		l.t.Fatal(err)
	}
	conn, err := pgx.Connect(l.t.Context(), db.Address())
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(l.t.Context())
	credits := int64(5_000_000)
	if _, err := ledger.New(conn).Adjust(l.t.Context(), ledger.Adjustment{ID: uuid.New(), Account: name, Set: &credits, Actor: "test", Reason: "a test"}); err != nil {
		l.t.Fatal(err)
	}
	used := ledger.Event{ID: uuid.New(), Kind: ledger.Usage, Account: name, Amount: 1, AtMS: time.Now().UnixMilli(), Meta: json.RawMessage(`{"route":"/api/si/ask"}`)}
	if _, err := ledger.New(conn).PostBatch(l.t.Context(), []ledger.Event{used}, false); err != nil {
		l.t.Fatal(err)
	}
	return name
}

// makeQueue makes a queue whose messages are pulled.
func makeQueue(ctx context.Context, api *cfapi.Client, name string) error {
	path := "/accounts/" + api.AccountID() + "/queues"
	if _, err := api.CF().Raw(ctx, http.MethodPost, path, map[string]string{"queue_name": name}, nil); err != nil {
		return err
	}
	all, err := api.Queues(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(q cfapi.Queue) bool { return q.Name == name })
	_, err = api.CF().Raw(ctx, http.MethodPost, path+"/"+all[at].ID+"/consumers", map[string]string{"type": "http_pull"}, nil)
	return err
}

// queue is one of the account.
func (l *lived) queue() string {
	l.t.Helper()
	const name = "test-queue"
	c, err := contract.Load()
	if err != nil {
		l.t.Fatal(err)
	}
	n, err := platform.Connect(l.t.Context(), c, l.layout, platform.Local)
	if err != nil {
		l.t.Fatal(err)
	}
	all, err := n.API.Queues(l.t.Context())
	if err == nil && !slices.ContainsFunc(all, func(q cfapi.Queue) bool { return q.Name == name }) {
		err = makeQueue(l.t.Context(), n.API, name)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return name
}

func (l *lived) kid() string {
	l.t.Helper()
	tm, out, errs := term.Test(term.Fake{})
	d := cli.NewDeps("test")
	d.Term, d.WorkDir, d.Getenv = tm, l.root, l.getenv
	var shown struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	if code := cli.Run(l.t.Context(), d, []string{"jwks", "show", "--dir", l.local, "-o", "json"}); code != 0 || json.Unmarshal(out.Bytes(), &shown) != nil || len(shown.Keys) == 0 {
		l.t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	return shown.Keys[0].KID
}

func (l *lived) tokenOf(raw []byte) string {
	l.t.Helper()
	var said struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		l.t.Fatal(err)
	}
	return said.Token
}

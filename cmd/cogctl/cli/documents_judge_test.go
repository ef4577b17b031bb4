package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

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

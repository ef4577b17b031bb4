package migrations

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Phase says what a migration does to programs of the release before it: an expansion leaves them working, a contraction takes
// away what only they used.
type Phase string

// The phases. One release holds migrations of one of them only: while it is rolled out, both it and the release before it run.
const (
	Expand   Phase = "expand"
	Contract Phase = "contract"
)

// File is one migration as its rules see it.
type File struct {
	Name     string
	Version  int64
	Release  int
	Phase    Phase
	Up, Down []string // statements, without comments
}

var (
	fileName    = regexp.MustCompile(`^(\d{5})_[a-z0-9_]+\.sql$`)
	header      = regexp.MustCompile(`(?m)^-- (release|phase): *(\S+)\s*$`)
	lineComment = regexp.MustCompile(`(?m)--.*$`)
	dollarBody  = regexp.MustCompile(`(?s)\$\$.*?\$\$`)
	taking      = regexp.MustCompile(`(?is)^\s*DROP\b|^\s*TRUNCATE\b|^\s*ALTER\b.*\b(DROP|RENAME|SET\s+NOT\s+NULL|TYPE)\b`)
	concurrent  = regexp.MustCompile(`(?is)\bINDEX\s+CONCURRENTLY\b`)
	indexing    = regexp.MustCompile(`(?is)^\s*(CREATE\s+(UNIQUE\s+)?|DROP\s+)INDEX\b`)
)

// Lint reads every migration and names each rule that a file breaks, in order.
func Lint(files fs.FS) ([]File, []string) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		return nil, []string{fmt.Sprintf("no migrations were found (%v)", err)}
	}
	slices.Sort(names)
	var all []File
	var broken []string
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, []string{err.Error()}
		}
		f, faults := parse(name, string(raw))
		all = append(all, f)
		for _, fault := range append(faults, f.faults()...) {
			broken = append(broken, name+": "+fault)
		}
	}
	return all, append(broken, inOrder(all)...)
}

func parse(name, text string) (f File, faults []string) {
	f.Name = name
	if m := fileName.FindStringSubmatch(path.Base(name)); m == nil {
		faults = append(faults, "its name is not NNNNN_what_it_does.sql")
	} else if f.Version, _ = strconv.ParseInt(m[1], 10, 64); f.Version == 0 {
		faults = append(faults, "versions start at 1")
	}
	if !strings.HasPrefix(text, "-- ") {
		faults = append(faults, "it does not start by saying what it is for")
	}
	for _, m := range header.FindAllStringSubmatch(text, -1) {
		if m[1] == "phase" {
			f.Phase = Phase(m[2])
		} else {
			f.Release, _ = strconv.Atoi(m[2])
		}
	}
	up, down, _ := strings.Cut(text, "-- +goose Down")
	_, up, _ = strings.Cut(up, "-- +goose Up")
	f.Up, f.Down = statements(up), statements(down)
	if strings.Contains(text, "-- +goose NO TRANSACTION") && (len(f.Up) != 1 || len(f.Down) != 1) {
		faults = append(faults, "outside a transaction it must be one statement alone: a second one could fail after the first")
	}
	if concurrent.MatchString(strings.Join(f.Up, ";")) && !strings.Contains(text, "-- +goose NO TRANSACTION") {
		faults = append(faults, "CREATE INDEX CONCURRENTLY needs NO TRANSACTION")
	}
	return f, faults
}

// statements splits SQL at its semicolons, after comments and function bodies are taken out.
func statements(sql string) []string {
	sql = dollarBody.ReplaceAllString(lineComment.ReplaceAllString(sql, ""), "$$$$")
	var all []string
	for _, s := range strings.Split(sql, ";") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

func (f File) faults() (faults []string) {
	if f.Release < 1 {
		faults = append(faults, "it does not say its release")
	}
	if f.Phase != Expand && f.Phase != Contract {
		faults = append(faults, fmt.Sprintf("its phase %q is neither %s nor %s", f.Phase, Expand, Contract))
	}
	if len(f.Up) == 0 || len(f.Down) == 0 {
		faults = append(faults, "it wants statements for up and for down")
	}
	for _, s := range f.Up {
		if f.Phase == Expand && taking.MatchString(s) && !indexing.MatchString(s) {
			faults = append(faults, "it takes away what the release before it may use, in an expanding migration: "+firstLine(s))
		}
		if indexing.MatchString(s) && !concurrent.MatchString(s) {
			faults = append(faults, "an index on a live table is made CONCURRENTLY: "+firstLine(s))
		}
	}
	return faults
}

// inOrder judges the files together: versions rise, releases do not fall, and a release is of one phase.
func inOrder(files []File) (faults []string) {
	phases := map[int]Phase{}
	for i, f := range files {
		if i > 0 && f.Version != files[i-1].Version+1 {
			faults = append(faults, fmt.Sprintf("%s: follows version %d", f.Name, files[i-1].Version))
		}
		if i > 0 && f.Release < files[i-1].Release {
			faults = append(faults, fmt.Sprintf("%s: belongs to release %d, after files of release %d", f.Name, f.Release, files[i-1].Release))
		}
		if phase, ok := phases[f.Release]; ok && phase != f.Phase {
			faults = append(faults, fmt.Sprintf("%s: release %d has both %s and %s", f.Name, f.Release, phase, f.Phase))
		}
		phases[f.Release] = f.Phase
	}
	return faults
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

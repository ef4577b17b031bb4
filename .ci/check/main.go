// Command check lists the files and functions that have grown past what the house aims for; with -strict it fails on those past the limit.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What to aim for, and what is too much, in lines.
const (
	aimFile, maxFile         = 200, 400
	aimFunction, maxFunction = 25, 70
)

type long struct {
	where, what string
	lines, max  int
}

func main() {
	strict := flag.Bool("strict", false, "fail when something is past its limit")
	top := flag.Int("top", 25, "how many to list of each kind")
	flag.Parse()
	files, functions, err := measure(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(2)
	}
	over := report("files", aimFile, files, *top) + report("functions", aimFunction, functions, *top)
	if *strict && over > 0 {
		os.Exit(1)
	}
}

// report prints the longest first and says how many are past their limit.
func report(kind string, aim int, all []long, top int) (over int) {
	all = slices.DeleteFunc(all, func(l long) bool { return l.lines <= aim })
	slices.SortFunc(all, func(a, b long) int { return b.lines - a.lines })
	for _, l := range all {
		if l.lines > l.max {
			over++
		}
	}
	fmt.Printf("%d %s over %d lines, %d past their limit\n", len(all), kind, aim, over)
	for _, l := range all[:min(top, len(all))] {
		mark := " "
		if l.lines > l.max {
			mark = "✗"
		}
		fmt.Printf("  %s %4d  %s %s\n", mark, l.lines, l.where, l.what)
	}
	return over
}

func measure(root string) (files, functions []long, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !written(path) {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files = append(files, long{where: path, lines: bytes.Count(src, []byte("\n")), max: maxFile})
		if strings.HasSuffix(path, ".go") {
			functions = append(functions, inGo(path, src)...)
		}
		return nil
	})
	return files, functions, err
}

// written tells the files people write from those a generator does.
func written(path string) bool {
	if strings.Contains(path, ".gen.") || strings.HasSuffix(path, ".d.ts") {
		return false
	}
	return slices.Contains([]string{".go", ".ts", ".rego", ".sql", ".sh"}, filepath.Ext(path))
}

func inGo(path string, src []byte) (found []long) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, 0)
	if err != nil {
		return nil // the compiler says it better
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		start, end := set.Position(f.Pos()), set.Position(f.End())
		found = append(found, long{
			where: fmt.Sprintf("%s:%d", path, start.Line), what: f.Name.Name, lines: end.Line - start.Line + 1, max: maxFunction,
		})
	}
	return found
}

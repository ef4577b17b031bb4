package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/cognomega/edge/internal/fault"
)

// describe shows each error as file:line:column, what is wrong, and the line with a mark under the place.
func describe(errs []api.Message) string {
	var lines []string
	for _, e := range errs {
		lines = append(lines, describeOne(e.Text, e.Location))
		for _, note := range e.Notes {
			lines = append(lines, "  note: "+describeOne(note.Text, note.Location))
		}
	}
	return strings.Join(lines, "\n")
}

func describeOne(text string, at *api.Location) string {
	if at == nil {
		return text
	}
	// esbuild counts columns in bytes from 0; editors count characters from 1.
	before := at.LineText[:min(at.Column, len(at.LineText))]
	column := utf8.RuneCountInString(before)
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	return fmt.Sprintf("%s:%d:%d: %s\n    %s\n    %s^", at.File, at.Line, column+1, text, at.LineText, indent)
}

// ownCodeOnly refuses a Worker that imports another Worker's code: they share workers/shared and nothing else.
func ownCodeOnly(worker, metafile string) error {
	var meta struct {
		Inputs map[string]struct{} `json:"inputs"`
	}
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		return fault.New(fault.Internal, "bundle %s: read esbuild's list of inputs: %w", worker, err)
	}
	for _, input := range slices.Sorted(maps.Keys(meta.Inputs)) {
		if !mayImport(worker, input) {
			return fault.New(fault.Invalid, "bundle %s: it imports %s", worker, input).
				WithHint("a Worker imports its own folder, workers/shared and packages; move what two need to workers/shared")
		}
	}
	return nil
}

func mayImport(worker, input string) bool {
	if strings.HasPrefix(input, nodeNamespace+":") {
		return true
	}
	for _, dir := range []string{worker, "shared", "node_modules"} {
		if strings.HasPrefix(input, "workers/"+dir+"/") {
			return true
		}
	}
	return false
}

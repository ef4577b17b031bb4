package provider

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sourcemap/sourcemap"

	"github.com/cognomega/edge/internal/cfapi"
)

// position is a place in a module as V8 names it in a stack trace, the line and column counted from 1.
var position = regexp.MustCompile(`([\w./-]+\.m?js):(\d+):(\d+)`)

// located adds where in the sources a script failed to start: a place in a bundle tells nobody anything. What the runtime said stays.
func located(err error, modules []cfapi.Module) error {
	if !cfapi.HasCode(err, 10021) {
		return err
	}
	var places []string
	for _, m := range position.FindAllStringSubmatch(err.Error(), -1) {
		if place := original(modules, m[1], m[2], m[3]); place != "" {
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return err
	}
	return fmt.Errorf("%w\n  from %s", err, strings.Join(places, "\n  from "))
}

// original is the place in the sources, "" when no source map of the upload knows it.
func original(modules []cfapi.Module, name, line, column string) string {
	content := mapOf(modules, name)
	if content == nil {
		return ""
	}
	consumer, err := sourcemap.Parse("", content)
	if err != nil {
		return ""
	}
	genLine, errLine := strconv.Atoi(line)
	genColumn, errColumn := strconv.Atoi(column)
	if errLine != nil || errColumn != nil || genColumn < 1 {
		return ""
	}
	source, _, l, c, ok := consumer.Source(genLine, genColumn-1) // source maps count columns from 0
	if !ok {
		return ""
	}
	for strings.HasPrefix(source, "../") { // relative to the bundle's own folder
		source = strings.TrimPrefix(source, "../")
	}
	return fmt.Sprintf("%s:%d:%d", source, l, c+1)
}

func mapOf(modules []cfapi.Module, name string) []byte {
	for _, m := range modules {
		if m.Name == name+".map" {
			return m.Content
		}
	}
	return nil
}

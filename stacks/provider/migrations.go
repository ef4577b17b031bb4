package provider

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// liveClasses is what Cloudflare has of a script's Durable Object classes.
type liveClasses struct {
	tag    string
	sqlite map[string]bool // by class

	secrets map[string]bool // by name; nil when there is no script
}

// migrate derives the migration from the live classes to the declared ones, nil when there is nothing to do.
// It only ever deletes classes that are named for deletion, because their objects go with them.
func migrate(w WorkerScriptArgs, live liveClasses) (*cfapi.Migrations, error) {
	var step cfapi.MigrationStep
	kept := map[string]bool{}
	for _, o := range w.DurableObjects {
		from := text(o.RenamedFrom)
		sqlite, exists := live.sqlite[o.Class]
		_, source := live.sqlite[from]
		switch {
		case exists && sqlite != o.SQLite:
			return nil, fault.New(fault.Conflict, "class %s of script %s is live with %s, and declared with %s", o.Class, w.Name, storage(sqlite), storage(o.SQLite)).
				WithHint("storage cannot change: set sqlite to %t, or declare a new class and move the data", sqlite)
		case exists:
		case source:
			step.RenamedClasses = append(step.RenamedClasses, cfapi.RenamedClass{From: from, To: o.Class})
			kept[from] = true
		case o.SQLite:
			step.NewSQLiteClasses = append(step.NewSQLiteClasses, o.Class)
		default:
			step.NewClasses = append(step.NewClasses, o.Class)
		}
		kept[o.Class] = true
	}
	for _, class := range sortedKeys(live.sqlite) {
		if kept[class] {
			continue
		}
		if !slices.Contains(w.DeletedClasses, class) {
			return nil, fault.New(fault.Refused, "class %s of script %s is live and not declared; removing it deletes its objects", class, w.Name).
				WithHint("declare it, set renamedFrom: %q on its successor, or name it in deletedClasses", class)
		}
		step.DeletedClasses = append(step.DeletedClasses, class)
	}
	if len(step.NewClasses)+len(step.NewSQLiteClasses)+len(step.RenamedClasses)+len(step.DeletedClasses) == 0 {
		return nil, nil
	}
	return &cfapi.Migrations{OldTag: live.tag, NewTag: nextTag(live.tag), Steps: []cfapi.MigrationStep{step}}, nil
}

func storage(sqlite bool) string {
	if sqlite {
		return "SQLite storage"
	}
	return "key-value storage"
}

var numberedTag = regexp.MustCompile(`^(.*?)(\d{1,9})$`)

// nextTag counts on from the live tag, whoever set it.
func nextTag(tag string) string {
	if tag == "" {
		return "v1"
	}
	if m := numberedTag.FindStringSubmatch(tag); m != nil {
		n, err := strconv.Atoi(m[2])
		if err == nil {
			return m[1] + strconv.Itoa(n+1)
		}
	}
	return tag + "-2"
}

// Package migrations holds the database's schema as numbered SQL files, and the rules that those files keep.
package migrations

import "embed"

// FS holds the migrations: NNNNN_what_it_does.sql, in goose's format.
//
//go:embed *.sql
var FS embed.FS

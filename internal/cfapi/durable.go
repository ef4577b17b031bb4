package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// Migrations change which Durable Object classes a script implements. They apply only when the live tag is OldTag, and leave NewTag.
type Migrations struct {
	OldTag string          `json:"old_tag,omitempty"`
	NewTag string          `json:"new_tag"`
	Steps  []MigrationStep `json:"steps"`
}

// MigrationStep is one atomic change of classes.
type MigrationStep struct {
	NewClasses       []string       `json:"new_classes,omitempty"` // key-value storage
	NewSQLiteClasses []string       `json:"new_sqlite_classes,omitempty"`
	RenamedClasses   []RenamedClass `json:"renamed_classes,omitempty"`
	DeletedClasses   []string       `json:"deleted_classes,omitempty"` // with every object of the class
}

// RenamedClass hands the objects of one class over to another.
type RenamedClass struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ObjectNamespace is a Durable Object class that a script implements.
type ObjectNamespace struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Class     string `json:"class"`
	Script    string `json:"script"`
	UseSQLite bool   `json:"use_sqlite"`
}

// ObjectNamespaces lists the account's Durable Object classes.
func (c *Client) ObjectNamespaces(ctx context.Context) ([]ObjectNamespace, error) {
	return all[ObjectNamespace](ctx, c, call{
		doing: "list Durable Object classes", method: http.MethodGet,
		path: "/accounts/" + url.PathEscape(c.account) + "/workers/durable_objects/namespaces",
	}, "1000")
}

// MigrationTag reads a script's tag from the list of scripts, which has it also where the script's settings leave it out; empty when it never migrated.
func (c *Client) MigrationTag(ctx context.Context, script string) (string, error) {
	var all []struct {
		ID  string `json:"id"`
		Tag string `json:"migration_tag"`
	}
	_, err := c.do(ctx, call{
		doing: "list scripts", method: http.MethodGet, path: "/accounts/" + url.PathEscape(c.account) + "/workers/scripts",
	}, &all)
	for _, s := range all {
		if s.ID == script {
			return s.Tag, err
		}
	}
	return "", err
}

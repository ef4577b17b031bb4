package platform

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// origin is where a database is, and as whom it is used.
type origin struct {
	scheme, host, database, user, password string
	port                                   int
}

// parseOrigin takes a connection string apart, as Hyperdrive wants it. What is wrong with one is said without quoting from it.
func parseOrigin(text string) (origin, error) {
	wrong := func(what string) error {
		return fault.New(fault.Invalid, "a database's connection string %s", what).WithHint("want postgres://user:password@host:5432/database")
	}
	u, err := url.Parse(text)
	if err != nil {
		return origin{}, wrong("is no URL")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return origin{}, wrong("is not of PostgreSQL")
	}
	password, ok := u.User.Password()
	o := origin{
		scheme: "postgres", host: u.Hostname(), database: strings.TrimPrefix(u.Path, "/"), user: u.User.Username(), password: password, port: 5432,
	}
	if !ok || o.host == "" || o.database == "" || o.user == "" || o.password == "" {
		return origin{}, wrong("lacks its host, database, user or password")
	}
	if u.Port() != "" {
		if o.port, err = strconv.Atoi(u.Port()); err != nil || o.port < 1 || o.port > 65535 {
			return origin{}, wrong("names no port")
		}
	}
	return o, nil
}

// Package pgurl turns a DATABASE_URL into connections that are safe on the network they cross and right for the pooler in front.
package pgurl

import (
	"crypto/tls"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cognomega/edge/internal/fault"
)

// Bounds of the pool, for a server that sleeps when idle and counts its connections.
const (
	connectTimeout  = 10 * time.Second
	maxConns        = 4
	maxConnIdleTime = 4 * time.Minute
	maxConnLifetime = 30 * time.Minute
)

// minVersion is the oldest server that the migrations run on.
const minVersion = 150000

// Target is how to reach one database.
type Target struct {
	Pool   *pgxpool.Config // for the program's own work; through the pooler when there is one
	Direct *pgx.ConnConfig // for migrations, which need a session of their own
	Shown  string          // host, port and database: what may be printed
	Pooled bool
	Notes  []string // what was decided, for the log
}

// Parse reads a connection string. direct is the one for migrations when the first goes through a pooler; without it, it is derived.
// No error holds any part of either string: they carry passwords.
func Parse(text, direct string) (*Target, error) {
	t := &Target{}
	secured, err := t.secure(text)
	if err != nil {
		return nil, err
	}
	if t.Pool, err = pgxpool.ParseConfig(secured); err != nil || !proven(t.Pool.ConnConfig) {
		return nil, unreadable("DATABASE_URL")
	}
	t.bounds(text)
	c := t.Pool.ConnConfig
	t.Shown = net.JoinHostPort(c.Host, portText(c.Port)) + "/" + c.Database
	if t.Pooled = isPooler(c.Host); t.Pooled {
		t.Pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		t.Notes = append(t.Notes, "the host is a pooler: statements are not prepared by name")
	}
	return t, t.direct(direct)
}

// direct finds the connection for migrations: a pooler lends another session to each transaction.
func (t *Target) direct(direct string) error {
	switch {
	case direct != "":
		secured, err := t.secure(direct)
		if err != nil {
			return err
		}
		if t.Direct, err = pgx.ParseConfig(secured); err != nil || !proven(t.Direct) {
			return unreadable("DIRECT_URL")
		}
		if isPooler(t.Direct.Host) {
			return fault.New(fault.Invalid, "DIRECT_URL names a pooler too").WithHint("migrations need the server itself: the host without -pooler")
		}
	case t.Pooled:
		t.Direct = unpooledConfig(t.Pool.ConnConfig)
		t.Notes = append(t.Notes, "migrations go to "+t.Direct.Host+", derived from the pooler's name; DIRECT_URL says another")
	default:
		t.Direct = t.Pool.ConnConfig.Copy()
	}
	if t.Direct.ConnectTimeout == 0 {
		t.Direct.ConnectTimeout = connectTimeout
	}
	return nil
}

func unpooledConfig(pooled *pgx.ConnConfig) *pgx.ConnConfig {
	c := pooled.Copy()
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	c.Host, c.TLSConfig = unpooledTLS(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		f.Host, f.TLSConfig = unpooledTLS(f.Host, f.TLSConfig)
	}
	return c
}

func unpooledTLS(host string, cfg *tls.Config) (string, *tls.Config) {
	host = unpooled(host)
	if cfg != nil {
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	return host, cfg
}

func (t *Target) bounds(text string) {
	if !strings.Contains(text, "pool_max_conns") {
		t.Pool.MaxConns = maxConns
	}
	t.Pool.MaxConnIdleTime, t.Pool.MaxConnLifetime = maxConnIdleTime, maxConnLifetime
	if t.Pool.ConnConfig.ConnectTimeout == 0 {
		t.Pool.ConnConfig.ConnectTimeout = connectTimeout
	}
}

// secure raises sslmode to verify-full wherever bytes leave this machine: pgx's own default falls back to plain text, and
// `require` encrypts to whoever answers.
func (t *Target) secure(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fault.New(fault.Invalid, "the database's connection string is empty").WithHint("postgres://user:password@host:5432/database")
	}
	c, err := pgx.ParseConfig(text)
	if err != nil || !isURL(text) && !keywords.MatchString(text) {
		return "", unreadable("the database's connection string")
	}
	if allLocal(c) {
		if !strings.Contains(text, "sslmode") {
			return withSSLMode(text, "disable")
		}
		return text, nil
	}
	if !strings.Contains(text, "sslmode=verify-full") {
		t.Notes = append(t.Notes, "sslmode is raised to verify-full: the server is not on this machine")
	}
	return withSSLMode(text, "verify-full")
}

// withSSLMode sets sslmode in either form of connection string; in the second, the last of two wins.
func withSSLMode(text, mode string) (string, error) {
	if !isURL(text) {
		return text + " sslmode=" + mode, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", unreadable("the database's connection string")
	}
	q := u.Query()
	q.Set("sslmode", mode)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func allLocal(c *pgx.ConnConfig) bool {
	local := isLocal(c.Host)
	for _, f := range c.Fallbacks {
		local = local && isLocal(f.Host)
	}
	return local
}

// proven looks at what pgx made of the string, which is what counts: nothing far away is reached without a certificate that verifies.
func proven(c *pgx.ConnConfig) bool {
	verifies := func(host string, cfg *tls.Config) bool { return isLocal(host) || cfg != nil && !cfg.InsecureSkipVerify }
	ok := verifies(c.Host, c.TLSConfig)
	for _, f := range c.Fallbacks {
		ok = ok && verifies(f.Host, f.TLSConfig)
	}
	return ok
}

// keywords is the other form of connection string. pgx takes almost anything before the first = for a name, a mistyped URL too.
var keywords = regexp.MustCompile(`^[a-z_]+\s*=`)

func isURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

func unreadable(what string) error {
	return fault.New(fault.Invalid, "%s cannot be read", what).WithHint("postgres://user:password@host:5432/database; percent-encode what is special in the password")
}

func isLocal(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// isPooler knows the hosts of poolers in transaction mode by their name, as in ep-x-pooler.region.
func isPooler(host string) bool { return unpooled(host) != host }

func unpooled(host string) string {
	labels := strings.Split(host, ".")
	for i, l := range labels {
		labels[i] = strings.TrimSuffix(l, "-pooler")
	}
	return strings.Join(labels, ".")
}

package pgurl_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/localpg/pgtest"
)

var bed pgtest.Bed

func TestMain(m *testing.M) {
	os.Exit(pgtest.Run(m, &bed, func(*pgtest.Bed) error { return nil }))
}

func TestParse(t *testing.T) {
	t.Parallel()
	const neon = "postgres://u:p@ep-x-pooler.eu.neon.test/db"
	tests := map[string]struct {
		url, direct, host string
		verified          bool // TLS with the server's name checked, and no plain text to fall back to
		mode              pgx.QueryExecMode
	}{
		"this machine":             {"postgres://u:p@127.0.0.1:5433/db", "", "127.0.0.1", false, pgx.QueryExecModeCacheStatement},
		"its socket":               {"postgres://u:p@/db?host=/run/pg", "", "/run/pg", false, pgx.QueryExecModeCacheStatement},
		"IPv6":                     {"postgres://u:p@[::1]/db", "", "::1", false, pgx.QueryExecModeCacheStatement},
		"another machine":          {"postgres://u:p@db.example.test/db", "", "db.example.test", true, pgx.QueryExecModeCacheStatement},
		"encrypted to anybody":     {"postgres://u:p@db.example.test/db?sslmode=require", "", "db.example.test", true, pgx.QueryExecModeCacheStatement},
		"plain text wanted":        {"postgres://u:p@db.example.test/db?sslmode=disable", "", "db.example.test", true, pgx.QueryExecModeCacheStatement},
		"keywords":                 {"host=db.example.test user=u password=p dbname=db sslmode=prefer", "", "db.example.test", true, pgx.QueryExecModeCacheStatement},
		"looks like this machine":  {"postgres://u:p@127.0.0.1.example.test/db", "", "127.0.0.1.example.test", true, pgx.QueryExecModeCacheStatement},
		"one of two is far":        {"postgres://u:p@localhost,db.example.test/db", "", "localhost", true, pgx.QueryExecModeCacheStatement},
		"pooler":                   {neon, "", "ep-x.eu.neon.test", true, pgx.QueryExecModeCacheDescribe},
		"pooler and its server":    {neon, "postgres://u:p@direct.neon.test/db", "direct.neon.test", true, pgx.QueryExecModeCacheDescribe},
		"pooler, user of its name": {"postgres://ep-x-pooler.eu.neon.test:p@ep-x-pooler.eu.neon.test/db", "", "ep-x.eu.neon.test", true, pgx.QueryExecModeCacheDescribe},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := pgurl.Parse(tt.url, tt.direct)
			if err != nil {
				t.Fatal(err)
			}
			d := target.Direct
			if d.Host != tt.host || target.Pool.ConnConfig.DefaultQueryExecMode != tt.mode {
				t.Errorf("migrations go to %s, the pool's mode is %v", d.Host, target.Pool.ConnConfig.DefaultQueryExecMode)
			}
			for _, c := range []*tls.Config{d.TLSConfig, target.Pool.ConnConfig.TLSConfig} {
				if got := c != nil && !c.InsecureSkipVerify && c.ServerName != ""; got != tt.verified {
					t.Errorf("verified: %v, TLS %+v", got, c)
				}
			}
			for _, f := range d.Fallbacks {
				if tt.verified && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
					t.Errorf("falls back to %s without proof", f.Host)
				}
			}
			if d.TLSConfig != nil && d.TLSConfig.ServerName != d.Host {
				t.Errorf("dials %s and checks the name %s", d.Host, d.TLSConfig.ServerName)
			}
			if d.ConnectTimeout != 10*time.Second || target.Pool.MaxConns != 4 {
				t.Errorf("timeout %s, %d connections", d.ConnectTimeout, target.Pool.MaxConns)
			}
			if strings.Contains(target.Shown+strings.Join(target.Notes, ""), ":p@") {
				t.Error("the password is shown")
			}
		})
	}
}

func TestWrongStringsAreRefusedWithoutTheirSecret(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for _, pair := range [][2]string{
		{"", ""}, {"   ", ""}, {"postgres://u:" + secret + "@host:notaport/db", ""}, {"postgres://u:" + secret + "%zz@h/db", ""},
		{"mysql://u:" + secret + "@h/db", ""}, {"postgres:x//u:" + secret + "@h/db?sslmode=disable", ""}, {"host=h password='" + secret, ""}, {"postgres://u:p@127.0.0.1/db", "postgres://u:" + secret + "@h:x/db"},
		{"postgres://u:p@a-pooler.x.test/db", "postgres://u:" + secret + "@b-pooler.x.test/db"}, {"postgres://u:" + secret + "@h/db?sslmode=maybe", ""},
		{"postgres://u:" + secret + "@h/db?sslrootcert=/nowhere", ""},
	} {
		_, err := pgurl.Parse(pair[0], pair[1])
		if !errors.Is(err, fault.Invalid) || fault.HintOf(err) == "" || strings.Contains(err.Error()+fault.HintOf(err), secret) {
			t.Errorf("%q: got %v", pair, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("postgres://u:p@host/db?sslmode=require", "")
	f.Add("host=a-pooler.b dbname=c password=d", "postgres://x")
	f.Add("postgres://u:p@localhost,far.test:1/db", "")
	f.Fuzz(func(t *testing.T, text, direct string) {
		if strings.Contains(text+direct, "/") && strings.Contains(text+direct, "ssl") {
			t.Skip() // names of files: not this parser's
		}
		target, err := pgurl.Parse(text, direct)
		if err != nil {
			return
		}
		for _, c := range []*pgx.ConnConfig{target.Direct, target.Pool.ConnConfig} {
			local := strings.HasPrefix(c.Host, "/") || c.Host == "localhost" || strings.HasSuffix(c.Host, ".localhost") || net.ParseIP(c.Host).IsLoopback()
			if !local && (c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify) {
				t.Errorf("%q reaches %s without proof", text, c.Host)
			}
		}
	})
}

func TestProbeAndItsFailures(t *testing.T) {
	t.Parallel()
	good := bed.URL("postgres")
	target, err := pgurl.Parse(good, "")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := target.Probe(t.Context())
	if err != nil || !strings.HasPrefix(facts.Version, "15.") || facts.ReadOnly {
		t.Errorf("%+v, %v", facts, err)
	}
	for name, tt := range map[string]struct {
		url  string
		kind fault.Kind
	}{
		"wrong password": {strings.Replace(good, "cognomega:", "cognomega:x", 1), fault.Unauthenticated},
		"no database":    {strings.Replace(good, "/postgres?", "/nothere?", 1), fault.NotFound},
		"nobody listens": {"postgres://u:hunter2@127.0.0.1:1/db", fault.Unavailable},
		"no socket":      {"postgres://u:hunter2@/db?host=" + t.TempDir(), fault.Unavailable},
		"not its name":   {"postgres://u:hunter2@" + tlsServer(t, time.Hour) + "/db", fault.Denied},
		"expired":        {"postgres://u:hunter2@" + tlsServer(t, -time.Hour) + "/db", fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := tt.url
			target, err := pgurl.Parse(url, "")
			if err != nil {
				t.Fatal(err)
			}
			if tt.kind == fault.Denied { // what another machine's string becomes, on an address that can be reached here
				target.Direct.TLSConfig = &tls.Config{ServerName: "db.example.test"}
			}
			_, err = target.Probe(t.Context())
			if !errors.Is(err, tt.kind) || fault.HintOf(err) == "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, hint %q", err, fault.HintOf(err))
			}
		})
	}
}

// tlsServer speaks PostgreSQL as far as TLS, with a certificate that no authority signed.
func tlsServer(t *testing.T, validFor time.Duration) (addr string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db.example.test"}, DNSNames: []string{"db.example.test"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(validFor),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 8)); err != nil { // SSLRequest
					return
				}
				_, _ = c.Write([]byte("S"))
				_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}).HandshakeContext(context.Background())
			}()
		}
	}()
	return l.Addr().String()
}

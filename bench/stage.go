package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
)

const apiHost = "api.cognomega.localhost"

// stage is the platform on an account of its own, brought up by the program that is measured.
type stage struct {
	root, dir string
	endpoints localcloud.Endpoints
	token     string
}

// newStage brings the platform up in a temporary folder, whose short name leaves room for the sockets in it.
func newStage(ctx context.Context, root string) (*stage, error) {
	dir, err := os.MkdirTemp("", "cogbench")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "make a folder: %w", err)
	}
	s := &stage{root: root, dir: dir}
	if _, err := s.cogctl(ctx, "up", "--skip-proof"); err != nil {
		s.close()
		return nil, err
	}
	if s.endpoints, err = localcloud.ReadEndpoints(dir); err == nil {
		s.token, err = s.endpoints.Token()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// cogctl runs the built program on the stage's account.
func (s *stage) cogctl(ctx context.Context, args ...string) (time.Duration, error) {
	return s.run(ctx, filepath.Join(s.root, "bin", "cogctl"), args...)
}

func (s *stage) run(ctx context.Context, program string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = s.root, append(os.Environ(), "COGCTL_LOCAL_DIR="+s.dir)
	// An interrupted program ends what it has started itself, which a killed one cannot.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 30*time.Second
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil {
		return took, fault.New(fault.Unavailable, "%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return took, nil
}

// close leaves no process and no file.
func (s *stage) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = s.cogctl(ctx, "down") // nothing may be running
	_ = os.RemoveAll(s.dir)
}

// call sends an API request and gives the answer, which must be a success.
func (s *stage) call(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.endpoints.APIHTTP+path, bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Internal, "make a request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "call the API: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "%s %s: %d %.300s", method, path, resp.StatusCode, answer)
	}
	return answer, nil
}

func (s *stage) callJSON(ctx context.Context, method, path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Internal, "encode a request: %w", err)
	}
	_, err = s.call(ctx, method, path, "application/json", body)
	return err
}

// deploy uploads a one-file Worker with these bindings, each as JSON, and gives it a hostname of the zone.
func (s *stage) deploy(ctx context.Context, name, code string, bindings ...string) (host string, err error) {
	if err := s.upload(ctx, name, code, `"bindings":[`+strings.Join(bindings, ",")+`]`); err != nil {
		return "", err
	}
	zone := s.endpoints.Zones[0]
	host = name + "." + zone.Name
	record := map[string]any{"type": "AAAA", "name": host, "content": "100::", "proxied": true, "ttl": 1}
	if err := s.callJSON(ctx, http.MethodPost, "/zones/"+zone.ID+"/dns_records", record); err != nil {
		return "", err
	}
	return host, s.callJSON(ctx, http.MethodPost, "/zones/"+zone.ID+"/workers/routes", map[string]any{"pattern": host + "/*", "script": name})
}

// compatibilityDate of the bench's own Workers.
const compatibilityDate = "2026-11-01"

// upload deploys a one-file Worker with this metadata, the members of a JSON object.
func (s *stage) upload(ctx context.Context, name, code, metadata string) error {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, part := range [][3]string{
		{"metadata", "application/json", `{"main_module":"worker.js","compatibility_date":"` + compatibilityDate + `",` + metadata + `}`},
		{"worker.js", "application/javascript+module", code},
	} {
		p, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + part[0] + `"; filename="` + part[0] + `"`}, "Content-Type": {part[1]},
		})
		if err == nil {
			_, err = io.WriteString(p, part[2])
		}
		if err != nil {
			return fault.New(fault.Internal, "write an upload: %w", err)
		}
	}
	_ = w.Close() // a buffer takes everything
	_, err := s.call(ctx, http.MethodPut, "/accounts/"+s.endpoints.AccountID+"/workers/scripts/"+name, w.FormDataContentType(), body.Bytes())
	return err
}

func (s *stage) edge(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", s.endpoints.EdgeHTTP)
}

// edgeTLS dials as a client that trusts the account's root does.
func (s *stage) edgeTLS(host string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		pem, err := os.ReadFile(s.endpoints.CAFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		d := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS13}}
		return d.DialContext(ctx, "tcp", s.endpoints.EdgeHTTPS)
	}
}

// socketOf finds the socket at which workerd itself serves a Worker, by what it answers.
func (s *stage) socketOf(ctx context.Context, answer string) (dialer, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "run", "*.sock"))
	if err != nil {
		return nil, fault.New(fault.Internal, "list sockets: %w", err)
	}
	// The newest first: a process that a deployment replaced may answer for a moment still.
	slices.SortFunc(paths, func(a, b string) int { return madeAt(b).Compare(madeAt(a)) })
	for _, path := range paths {
		dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
		if ask(ctx, dial, answer) {
			return dial, nil
		}
	}
	return nil, fault.New(fault.NotFound, "none of %d sockets in %s answers %q", len(paths), s.dir, answer)
}

// madeAt is when a socket was made; one that is gone by now is the oldest.
func madeAt(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func ask(ctx context.Context, dial dialer, answer string) bool {
	c, err := dial(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second)) // a socket of another kind may never answer
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	got, _ := io.ReadAll(c) // what came before an error is what counts
	return strings.HasSuffix(string(got), answer)
}

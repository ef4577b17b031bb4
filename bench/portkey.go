package main

import (
	"bytes"
	"context"
	"encoding/json"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
)

// startPortkey runs Portkey's gateway in a process of its own, installed on first use.
func (s *stage) startPortkey(ctx context.Context, upstream string) (way, func(), error) {
	dir := filepath.Join(s.root, "bench", "portkey")
	program := filepath.Join(dir, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js")
	if _, err := os.Stat(program); err != nil {
		install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--omit=dev")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			return way{}, nil, fault.New(fault.Unavailable, "install Portkey's gateway: %w\n%s", err, out)
		}
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return way{}, nil, err
	}
	_, port, _ := strings.Cut(address, ":")
	cmd := exec.CommandContext(ctx, "node", program, "--port="+port, "--headless")
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	if err := cmd.Start(); err != nil {
		return way{}, nil, fault.New(fault.Unavailable, "start Portkey's gateway: %w", err)
	}
	stop := func() { _, _ = cmd.Process.Signal(os.Interrupt), cmd.Wait() }
	if err := awaitHTTP(ctx, "http://"+address+"/"); err != nil {
		stop()
		return way{}, nil, err
	}
	return way{
		name: "portkey", dial: tcp(address), host: address, rest: nothingLeft,
		headers: []string{"Authorization: Bearer bench", "x-portkey-provider: openai", "x-portkey-custom-host: http://" + upstream + "/v1"},
		spent: func() (spent, error) {
			used, err := cpuTime(cmd.Process.Pid)
			return spent{goCPU: used}, err
		},
	}, stop, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fault.New(fault.Unavailable, "find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// platformWay asks through the platform, as a caller whose limits are there and wide enough.
func (s *stage) platformWay(ctx context.Context, db *pgx.Conn, upstream string) (way, error) {
	if err := s.rebind(ctx, "orchestrator-svc", "OPENAI_BASE", "http://"+upstream+"/v1"); err != nil {
		return way{}, err
	}
	_, bearer, err := s.reader(ctx, db)
	if err == nil {
		_, err = s.cogctl(ctx, "limits", "set", readerAccount, "--rate", "1000000/1s", "--burst", "1000000", "--credits-a-day", "1000000", "--reason", "bench")
	}
	ledger := &meter{db: db}
	if err == nil {
		err = ledger.read(ctx)
	}
	return way{
		name: "ours", dial: s.edge, host: apiHost, headers: []string{bearer},
		spent: s.spent,
		rest: func(ctx context.Context, asked int) error {
			if err := ledger.await(ctx, asked); err != nil {
				return err
			}
			return s.quiet(ctx)
		},
	}, err
}

func (s *stage) spent() (spent, error) { return measureCPU(s.endpoints.PID) }

// rebind gives a Worker another value of a plain text that it is bound to.
func (s *stage) rebind(ctx context.Context, script, name, value string) error {
	path := "/accounts/" + s.endpoints.AccountID + "/workers/scripts/" + script + "/settings"
	raw, err := s.call(ctx, http.MethodGet, path, "application/json", nil)
	if err != nil {
		return err
	}
	var now struct {
		Result struct{ Bindings []struct{ Name string } }
	}
	if err := json.Unmarshal(raw, &now); err != nil {
		return fault.New(fault.Unavailable, "read the settings of %s: %w", script, err)
	}
	bindings := []map[string]string{{"type": "plain_text", "name": name, "text": value}}
	for _, b := range now.Result.Bindings {
		if b.Name != name {
			bindings = append(bindings, map[string]string{"type": "inherit", "name": b.Name})
		}
	}
	settings, err := json.Marshal(map[string]any{"bindings": bindings})
	if err != nil {
		return fault.New(fault.Internal, "encode settings: %w", err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="settings"`}, "Content-Type": {"application/json"}})
	if err == nil {
		_, err = part.Write(settings)
	}
	if err != nil {
		return fault.New(fault.Internal, "write settings: %w", err)
	}
	_ = w.Close() // a buffer takes everything
	_, err = s.call(ctx, http.MethodPatch, path, w.FormDataContentType(), body.Bytes())
	return err
}

// meter counts what the ledger has of an account.
type meter struct {
	db      *pgx.Conn
	charged int
}

func (m *meter) read(ctx context.Context) error {
	const sql = `SELECT count(*) FROM ledger.transfer t JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id) WHERE a.ref = $1`
	if err := m.db.QueryRow(ctx, sql, readerAccount).Scan(&m.charged); err != nil {
		return fault.New(fault.Unavailable, "count what was charged: %w", err)
	}
	return nil
}

// await waits until the ledger has so many more.
func (m *meter) await(ctx context.Context, more int) error {
	want := m.charged + more
	for began := time.Now(); time.Since(began) < time.Minute; {
		if err := m.read(ctx); err != nil || m.charged == want {
			return err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fault.New(fault.Inconclusive, "the ledger has %d charges, want %d", m.charged, want)
}

// quiet waits until a second and a bit costs less than a hundredth of it: longer than the consumers of queues wait for a batch to fill.
func (s *stage) quiet(ctx context.Context) error {
	const moment = 1100 * time.Millisecond
	for range 4 { // then something else is going on, and is counted
		before, err := measureCPU(s.endpoints.PID)
		if err == nil {
			err = pause(ctx, moment)
		}
		if err != nil {
			return err
		}
		after, err := measureCPU(s.endpoints.PID)
		if err != nil {
			return err
		}
		if d := after.since(before); d.goCPU+d.workerd < moment/100 {
			return nil
		}
	}
	return nil
}

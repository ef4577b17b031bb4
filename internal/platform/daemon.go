package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/internal/localcloud/runtime"
	"github.com/cognomega/edge/internal/localpg"
)

// startTimeout is long enough for a loaded machine to boot every Worker.
const startTimeout = 60 * time.Second

// rivalTimeout is how long a start that ended waits for another one's cloud to serve.
const rivalTimeout = 3 * time.Second

// LocalConfig is the account that this project keeps on this machine.
func LocalConfig(l Layout, zones []string) (localcloud.Config, error) {
	workerd, err := l.Workerd()
	if err != nil {
		return localcloud.Config{}, err
	}
	return localcloud.Config{Dir: l.Local, AccountName: "cognomega-local", Zones: zones, Workerd: workerd, Ports: localcloud.DefaultPorts()}, nil
}

// ServeLocal runs the local cloud in this process until ctx ends or it is asked to stop.
func ServeLocal(ctx context.Context, cfg localcloud.Config, log io.Writer) error {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	cloud, err := localcloud.Start(ctx, cfg)
	if err != nil {
		return err
	}
	cfg.Log.Info("serving", "api", cloud.Endpoints().APIHTTPS, "edge", cloud.Endpoints().EdgeHTTPS)
	return errors.Join(cloud.Wait(ctx), cloud.Close())
}

// StartLocal starts the local cloud in the background, unless it serves already, and waits until it does.
func StartLocal(ctx context.Context, l Layout, logLimit int64) (e localcloud.Endpoints, started bool, err error) {
	if e, err := RunningLocal(ctx, l); err == nil {
		return e, false, nil
	}
	log, err := openLog(l, logLimit)
	if err != nil {
		return e, false, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return e, false, fault.New(fault.Unavailable, "open the local cloud's log: %w", err)
	}
	exited, err := spawnServe(l, log)
	if err != nil {
		return e, false, err
	}
	e, err = waitServing(ctx, l, exited)
	if err != nil {
		return e, false, withLogTail(err, log.Name(), from)
	}
	return e, true, nil
}

func openLog(l Layout, limit int64) (*os.File, error) {
	dir := filepath.Join(l.Local, "log")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "create the log folder: %w", err)
	}
	path := filepath.Join(dir, "cloud.log")
	if info, err := os.Stat(path); err == nil && info.Size() > limit {
		_ = os.Rename(path, path+".1") // the older half of the history is a convenience, never evidence
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "open the local cloud's log: %w", err)
	}
	return f, nil
}

// spawnServe runs this same program's serve command in a session of its own, so that closing the terminal does not end it.
func spawnServe(l Layout, log *os.File) (exited <-chan error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fault.New(fault.Internal, "find this program: %w", err)
	}
	cmd := exec.Command(self, "local", "serve", "--dir", l.Local) //nolint:noctx // it outlives this command on purpose
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.Root, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fault.New(fault.Unavailable, "start the local cloud: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return done, nil
}

func waitServing(ctx context.Context, l Layout, exited <-chan error) (localcloud.Endpoints, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var (
		ended error
		grace <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return localcloud.Endpoints{}, fault.New(fault.Unavailable, "the local cloud did not serve in time: %w", ctx.Err())
		case ended = <-exited: // perhaps because another start took the folder first: then that one's cloud will do
			grace = time.After(rivalTimeout)
		case <-grace:
			return localcloud.Endpoints{}, fault.New(fault.Unavailable, "the local cloud stopped while starting (%v)", ended)
		case <-tick.C:
			if e, err := RunningLocal(ctx, l); err == nil {
				return e, nil
			}
		}
	}
}

// withLogTail adds what the daemon said last, since its log is where its error went.
func withLogTail(err error, path string, from int64) error {
	raw, readErr := os.ReadFile(path)
	if readErr != nil || int64(len(raw)) <= from {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(raw[from:])), "\n")
	tail := strings.Join(lines[max(0, len(lines)-5):], "\n")
	return fault.New(fault.KindOf(err), "%w\n%s", err, tail).WithHint("the whole log is %s", path)
}

// RunningLocal says how to reach the local cloud that serves now; fault.NotFound when none does.
func RunningLocal(ctx context.Context, l Layout) (localcloud.Endpoints, error) {
	e, err := localcloud.ReadEndpoints(l.Local)
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := control(ctx, e, http.MethodGet, "/status", nil); err != nil {
		return e, fault.New(fault.NotFound, "the local cloud of %s does not answer: %w", l.Local, err).WithHint("cogctl local start")
	}
	return e, nil
}

// LocalStatus is what the local cloud says of its processes.
type LocalStatus struct {
	Endpoints localcloud.Endpoints    `json:"endpoints"`
	Processes []runtime.ProcessStatus `json:"processes"`
	APICalls  localcloud.Calls        `json:"api_calls"`
}

// StatusLocal asks the running local cloud how it is.
func StatusLocal(ctx context.Context, l Layout) (s LocalStatus, err error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return s, err
	}
	return s, control(ctx, e, http.MethodGet, "/status", &s)
}

// LogsLocal returns the last n lines that a Worker wrote.
func LogsLocal(ctx context.Context, l Layout, worker string, n int) (lines []runtime.Line, err error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return nil, err
	}
	return lines, control(ctx, e, http.MethodGet, fmt.Sprintf("/logs/%s?n=%d", url.PathEscape(worker), n), &lines)
}

// StopLocal stops the local cloud and waits until its process is gone; false when none was running.
func StopLocal(ctx context.Context, l Layout) (stopped bool, err error) {
	e, err := RunningLocal(ctx, l)
	if errors.Is(err, fault.NotFound) {
		return false, sweepLocal(l)
	}
	if err != nil {
		return false, err
	}
	if err := control(ctx, e, http.MethodPost, "/stop", nil); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for alive(e.PID) {
		select {
		case <-ctx.Done():
			return false, fault.New(fault.Unavailable, "the local cloud (pid %d) is still stopping", e.PID).WithHint("kill -9 %d is safe: everything acknowledged is on disk", e.PID)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true, nil
}

// evidenceFolder outlives a reset: proofs that were made before can only be verified with the keys in it.
const evidenceFolder = "evidence"

// sweepLocal removes what a killed local cloud could not take with it. One that lives and does not answer is left to its owner.
func sweepLocal(l Layout) error {
	e, err := localcloud.ReadEndpoints(l.Local)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && alive(e.PID) {
		return fault.New(fault.Unavailable, "the local cloud (pid %d) runs and does not answer", e.PID).
			WithHint("kill -9 %d is safe: everything acknowledged is on disk", e.PID)
	}
	return localcloud.Sweep(l.Local)
}

// ResetLocal forgets the account: every byte under its folder but the evidence keys. It refuses while the account serves.
func ResetLocal(ctx context.Context, l Layout) error {
	if _, err := RunningLocal(ctx, l); err == nil {
		return fault.New(fault.Conflict, "the local cloud is running").WithHint("cogctl local stop")
	}
	if _, err := localpg.Running(ctx, l.database()); !errors.Is(err, fault.NotFound) {
		return fault.New(fault.Conflict, "the database on this machine is running").WithHint("cogctl db down")
	}
	entries, err := os.ReadDir(l.Local)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != evidenceFolder {
			err = errors.Join(err, os.RemoveAll(filepath.Join(l.Local, e.Name())))
		}
	}
	if err != nil {
		return fault.New(fault.Unavailable, "remove the local account: %w", err)
	}
	return nil
}

// alive tells whether a process runs. One that has ended and that nobody has waited for does not.
func alive(pid int) bool {
	var ws syscall.WaitStatus
	if got, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil); err == nil && got == pid {
		return false
	}
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")) // Linux only; elsewhere init is trusted to wait
	_, state, found := strings.Cut(string(stat), ") ")
	return err != nil || !found || !strings.HasPrefix(state, "Z")
}

// control calls the running local cloud as its operator.
func control(ctx context.Context, e localcloud.Endpoints, method, path string, out any) error {
	return controlWith(ctx, e, method, path, nil, out)
}

func controlWith(ctx context.Context, e localcloud.Endpoints, method, path string, body []byte, out any) error {
	token, err := e.Token()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, e.Control+path, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Internal, "ask the local cloud: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "ask the local cloud: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return controlError(res, method, path)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fault.New(fault.Unavailable, "read the local cloud's answer: %w", err)
	}
	return nil
}

// controlError is the error that the local cloud answered with, or its status when it said no more.
func controlError(res *http.Response, method, path string) error {
	var said struct{ Error, Message, Hint string }
	if json.NewDecoder(res.Body).Decode(&said) == nil && said.Message != "" {
		return &fault.Error{Kind: fault.Kind(said.Error), Msg: said.Message, Hint: said.Hint}
	}
	return fault.New(fault.Unavailable, "the local cloud answers %s to %s %s", res.Status, method, path)
}

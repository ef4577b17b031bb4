package localpg

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// postmaster is what a running server says of itself in postmaster.pid.
type postmaster struct {
	pid, port int
	socket    string
}

// readPostmaster reads the file of a server whose process is alive; fault.NotFound otherwise.
func readPostmaster(dir string) (postmaster, error) {
	raw, err := os.ReadFile(filepath.Join(dataPath(dir), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return postmaster{}, fault.New(fault.NotFound, "no server runs on %s", dir)
	}
	if err != nil {
		return postmaster{}, fault.New(fault.Unavailable, "look for the server of %s: %w", dir, err)
	}
	p, ok := parsePostmaster(raw)
	if !ok || !isServerOf(p.pid, dir) {
		return postmaster{}, fault.New(fault.NotFound, "no server runs on %s", dir)
	}
	return p, nil
}

// parsePostmaster reads the lines pid, data folder, start time, port, socket folder; a server that is starting has written fewer.
func parsePostmaster(raw []byte) (p postmaster, ok bool) {
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	if len(lines) < 5 {
		return p, false
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || pid <= 1 {
		return p, false
	}
	port, err := strconv.Atoi(lines[3])
	if err != nil || port <= 0 || port > 65535 {
		return p, false
	}
	return postmaster{pid: pid, port: port, socket: lines[4]}, true
}

// isServerOf guards against a process id that another program has been given since: a server works in its data folder.
func isServerOf(pid int, dir string) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if err != nil {
		return false
	}
	want, err := filepath.EvalSymlinks(dataPath(dir))
	return err == nil && cwd == want
}

// start runs the server until it answers. The remains of a killed one may hold the folder for some seconds, and a port that was
// free may be taken a moment later: both are tried again.
func (l launch) start(ctx context.Context) (*Server, error) {
	socket, err := l.socketDir()
	if err != nil {
		return nil, err
	}
	for port := l.rememberedPort(); ; {
		if port == 0 {
			if port, err = freePort(ctx); err != nil {
				return nil, err
			}
		}
		s, said, err := l.attempt(ctx, port, socket)
		if err == nil {
			return s, os.WriteFile(l.portPath(), []byte(strconv.Itoa(port)), 0o600)
		}
		switch {
		case strings.Contains(said, "already exists"), strings.Contains(said, "still in use"):
		case strings.Contains(said, "could not create any TCP/IP sockets"):
			port = 0
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// attempt starts the server once; said is what it logged when it did not come up.
func (l launch) attempt(ctx context.Context, port int, socket string) (s *Server, said string, err error) {
	log, err := os.OpenFile(logPath(l.cfg.Dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", fault.New(fault.Unavailable, "open the database's log: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, "", fault.New(fault.Unavailable, "open the database's log: %w", err)
	}
	cmd := l.command("postgres", l.arguments(port, socket)...)
	cmd.Stdout, cmd.Stderr = log, log
	pid, exited, err := spawn(cmd, l.cfg.Bound)
	if err != nil {
		return nil, "", fault.New(fault.Unavailable, "start PostgreSQL: %w", err)
	}
	s = &Server{Dir: l.cfg.Dir, PID: pid, Port: port, Socket: socket, password: l.password, exited: exited, unlock: func() {}}
	if err := s.waitReady(ctx); err != nil {
		said := logTail(logPath(l.cfg.Dir), from)
		return nil, said, fault.New(fault.Unavailable, "%w\n%s", err, said).WithHint("the whole log is %s", logPath(l.cfg.Dir))
	}
	return s, "", nil
}

// spawn starts the server in a session of its own, so that a terminal's signals do not reach it.
func spawn(cmd *exec.Cmd, bound bool) (pid int, exited <-chan error, err error) {
	cmd.SysProcAttr.Setsid = true
	started, done := make(chan error, 1), make(chan error, 1)
	go func() {
		if bound {
			// The signal for a parent's death follows the thread that forked: it must live as long as the server.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			dieWithParent(cmd.SysProcAttr)
		}
		err := cmd.Start()
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, done, nil
}

// waitReady connects until the server answers: its log says so in another language elsewhere, and too early.
func (s *Server) waitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-s.exited:
			return fault.New(fault.Unavailable, "PostgreSQL stopped while starting (%v)", err)
		case <-ctx.Done():
			err := fault.New(fault.Unavailable, "PostgreSQL did not answer in time: %w", ctx.Err())
			return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		case <-tick.C:
			if s.ping(ctx) == nil {
				return nil
			}
		}
	}
}

// fastTimeout is how long a stop waits for sessions to end before it has them cut; nothing acknowledged is lost either way.
const fastTimeout = 20 * time.Second

func (s *Server) stop(ctx context.Context) error {
	if s.gone() {
		return nil
	}
	for _, step := range []struct {
		signal syscall.Signal
		within time.Duration
	}{{syscall.SIGINT, fastTimeout}, {syscall.SIGQUIT, fastTimeout}} {
		if err := syscall.Kill(s.PID, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fault.New(fault.Denied, "stop PostgreSQL (pid %d): %w", s.PID, err)
		}
		if s.waitGone(ctx, step.within) {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "PostgreSQL (pid %d) is still stopping", s.PID).WithHint("kill -9 %d is safe: everything acknowledged is on disk", s.PID)
}

func (s *Server) waitGone(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.gone() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// gone tells whether the process has ended. One that this process started is known by its exit: until then it may be a zombie.
func (s *Server) gone() bool {
	if s.exited != nil {
		select {
		case <-s.exited:
			s.exited = nil
			return true
		default:
			return false
		}
	}
	return !isServerOf(s.PID, s.Dir)
}

func (l launch) portPath() string { return filepath.Join(l.cfg.Dir, "port") }

// rememberedPort is the port of the last start, when it is free: what was told to other programs stays right.
func (l launch) rememberedPort() int {
	raw, err := os.ReadFile(l.portPath())
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || port < 1024 || port > 65535 {
		return 0
	}
	probe, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0
	}
	_ = probe.Close()
	return port
}

func freePort(ctx context.Context) (int, error) {
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fault.New(fault.Unavailable, "find a free port: %w", err)
	}
	defer probe.Close()
	return probe.Addr().(*net.TCPAddr).Port, nil
}

// logTail is the last of what the server wrote since from.
func logTail(path string, from int64) string {
	raw, err := os.ReadFile(path)
	if err != nil || int64(len(raw)) <= from {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(raw[from:])), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

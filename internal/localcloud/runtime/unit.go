package runtime

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// unit keeps one configuration running: it restarts its process when that dies, and counts who is using it.
type unit struct {
	rendered
	id     string
	binary string
	paths  paths
	log    *slog.Logger
	logs   *logBook
	memory func(pid int) int64

	files map[string]*os.File // listening sockets by name

	mu       sync.Mutex
	proc     *process
	up       chan struct{} // closed while the process serves; replaced when it dies
	serving  bool
	served   bool          // it has served before
	retired  bool          // gives no more leases
	held     chan struct{} // gives no leases until it is closed; nil when it is not held
	renewing bool          // its process is being ended to be started anew
	ending   bool          // somebody waits for the last lease, to stop the process
	leases   int
	asked    time.Time // when the last lease for a request or a message was released
	first    int64     // memory when it began to serve, in bytes; 0 when unknown
	renewals int
	unasked  int           // renewals in a row, up to this process, before which nobody had asked for anything
	idle     chan struct{} // closed when retired and the last lease is released
	restarts int
	grace    time.Duration // between SIGTERM and SIGKILL, when retired
	startup  time.Duration
	exports  map[string][]export // by script, as its modules told at start
	told     chan struct{}       // signalled by every such telling

	quit chan struct{}
	done chan struct{}
}

// errRetired tells an acquirer that another unit serves, or soon will.
var errRetired = errors.New("the process was replaced")

func (r *Runtime) newUnit(c rendered) *unit {
	r.mu.Lock()
	r.serial++
	id := "u" + strconv.Itoa(r.serial)
	r.mu.Unlock()
	return &unit{
		rendered: c, id: id, binary: r.cfg.Workerd, paths: r.paths, log: r.cfg.Log.With("unit", c.spec.name), logs: r.logs, memory: r.cfg.memory,
		files: map[string]*os.File{}, up: make(chan struct{}), idle: make(chan struct{}), exports: map[string][]export{},
		told: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

func (u *unit) socketPath(name string) string {
	for i, n := range u.sockets {
		if n == name {
			return filepath.Join(u.paths.run, u.id+"-"+strconv.Itoa(i)+".sock")
		}
	}
	return ""
}

// start writes the configuration, starts the process and waits until it serves. One that does not start leaves nothing behind.
func (u *unit) start(ctx context.Context) error {
	if err := u.prepareFiles(); err != nil {
		u.discard()
		return err
	}
	began := time.Now()
	p, said, err := u.launch()
	if err == nil {
		err = u.awaitFirst(ctx, p, said)
	}
	if err != nil {
		u.discard()
		return err
	}
	u.startup = time.Since(began)
	u.awaitExports(ctx)
	u.setServing(p)
	go u.supervise(p)
	return nil
}

// startLater is start for a unit that must exist whether it starts or not: the supervisor keeps trying.
func (u *unit) startLater() error {
	if err := u.prepareFiles(); err != nil {
		u.discard()
		return err
	}
	go u.supervise(nil)
	return nil
}

func (u *unit) prepareFiles() error {
	for _, name := range u.sockets {
		f, err := listenUnix(u.socketPath(name))
		if err != nil {
			return err
		}
		u.files[name] = f
	}
	if err := os.WriteFile(u.configPath(), []byte(u.text), 0o600); err != nil {
		return fault.New(fault.Internal, "write the configuration: %w", err)
	}
	return nil
}

func (u *unit) configPath() string { return filepath.Join(u.paths.run, u.id+".capnp") }

func (u *unit) launch() (*process, *spoken, error) {
	said := &spoken{}
	files := make([]*os.File, len(u.sockets))
	for i, name := range u.sockets {
		files[i] = u.files[name]
	}
	p, err := spawn(spawnSpec{
		binary: u.binary, config: filepath.Base(u.configPath()), dir: u.paths.run, names: u.sockets, sockets: files,
		lines: func(stream, line string) { u.hear(said, stream, line) },
	})
	return p, said, err
}

// awaitFirst waits for a new process to serve; when it ends or hangs instead, the error is what it said.
func (u *unit) awaitFirst(ctx context.Context, p *process, said *spoken) error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case <-p.ready:
		return nil
	case <-p.exited:
		return u.startError(said, p)
	case <-ctx.Done():
		p.stop(0)
		return fault.New(fault.Unavailable, "start workerd: %w", ctx.Err())
	case <-limit.C:
		p.stop(0)
		return fault.New(fault.Invalid, "Script startup exceeded CPU time limit.").
			WithHint("the modules' top level did not finish within %s", startLimit)
	}
}

// awaitExports waits for what the modules told of themselves at start: it is written before the sockets are served, but comes
// through another pipe. Scripts of the older syntax tell nothing.
func (u *unit) awaitExports(ctx context.Context) {
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for !u.allTold() {
		select {
		case <-u.told:
		case <-limit.C:
			u.log.Warn("a script did not tell its exports")
			return
		case <-ctx.Done():
			return
		}
	}
}

func (u *unit) allTold() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range u.spec.members {
		if _, ok := u.exports[m.Script.Name]; !ok && m.Version.MainModule != "" {
			return false
		}
	}
	return true
}

// startLimit is far above what an idle machine needs (0.4 s): it only ends what never would.
const startLimit = 20 * time.Second

func (u *unit) setServing(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.proc, u.serving, u.served, u.first = p, true, true, u.memory(p.pid)
	close(u.up)
}

// setDown takes note that a process has ended, whoever sees it first.
func (u *unit) setDown(ended *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.proc != ended {
		return
	}
	u.proc = nil
	if u.serving {
		u.serving, u.up = false, make(chan struct{})
	}
}

// discard removes a unit that never served.
func (u *unit) discard() {
	for _, f := range u.files {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	_ = os.Remove(u.configPath())
}

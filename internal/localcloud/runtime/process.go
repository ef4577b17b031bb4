package runtime

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// process is one run of workerd.
type process struct {
	pid     int
	started time.Time
	ready   chan struct{} // closed when every socket is served, which is after every module was evaluated
	exited  chan struct{}
	err     error // how it ended; set before exited is closed

	output sync.WaitGroup
	cmd    *exec.Cmd
	record string // file that names it for a later run's clean-up
}

// spawnSpec is what a run of workerd needs. Lines receives its output, one call at a time for each stream.
type spawnSpec struct {
	binary, config, dir string
	names               []string
	sockets             []*os.File
	lines               func(stream, line string)
}

// checkBinary refuses a path that is no program before anything depends on it.
func checkBinary(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 {
		return fault.New(fault.Invalid, "there is no workerd program at %s", path).WithHint("run make setup, which installs the Workers' npm packages")
	}
	return nil
}

// spawn starts workerd. A goroutine locked to its thread waits for it, because Linux ties "die with the parent" to the thread.
func spawn(s spawnSpec) (*process, error) {
	control, controlW, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Internal, "make a pipe: %w", err)
	}
	args := []string{"serve", "--experimental", "--control-fd=3"}
	for i, name := range s.names {
		args = append(args, "--socket-fd="+name+"="+strconv.Itoa(4+i))
	}
	cmd := exec.Command(s.binary, append(args, s.config)...) //nolint:noctx // it ends by being drained and told so, never by a context
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"} // a script must not read our environment
	cmd.ExtraFiles = append([]*os.File{controlW}, s.sockets...)
	cmd.SysProcAttr = processAttributes()
	p := &process{cmd: cmd, ready: make(chan struct{}), exited: make(chan struct{}), started: time.Now()}
	if err := p.pipeOutput(s.lines); err != nil {
		return nil, errors.Join(err, control.Close(), controlW.Close())
	}
	launched := make(chan error, 1)
	go p.run(launched, controlW)
	if err := <-launched; err != nil {
		_ = control.Close()
		return nil, fault.New(fault.Internal, "start workerd: %w", err)
	}
	p.remember(s.dir)
	go p.awaitReady(control, len(s.names))
	return p, nil
}

func (p *process) run(launched chan<- error, controlW *os.File) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	err := p.cmd.Start()
	_ = controlW.Close()
	if err == nil {
		p.pid = p.cmd.Process.Pid
	}
	launched <- err
	if err != nil {
		return
	}
	p.output.Wait() // Wait closes the pipes: everything must have been read
	p.err = p.cmd.Wait()
	if p.record != "" {
		_ = os.Remove(p.record)
	}
	close(p.exited)
}

// pipeOutput reads standard output and error line by line, so that even a crash's last words are kept.
func (p *process) pipeOutput(lines func(stream, line string)) error {
	for _, stream := range []struct {
		name string
		open func() (io.ReadCloser, error)
	}{{"stdout", p.cmd.StdoutPipe}, {"stderr", p.cmd.StderrPipe}} {
		r, err := stream.open()
		if err != nil {
			return fault.New(fault.Internal, "make a pipe: %w", err)
		}
		p.output.Add(1)
		go func() {
			defer p.output.Done()
			br := bufio.NewReaderSize(r, 64<<10)
			for {
				line, err := readLine(br)
				if line != "" {
					lines(stream.name, line)
				}
				if err != nil {
					return
				}
			}
		}()
	}
	return nil
}

// maxLine bounds what one line of output may hold in memory.
const maxLine = 256 << 10

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, more, err := r.ReadLine()
		if room := maxLine - len(line); len(part) > room {
			part = part[:room]
		}
		line = append(line, part...)
		if err != nil || !more {
			return string(line), err
		}
	}
}

// awaitReady reads the control messages: one for each socket that is being served.
func (p *process) awaitReady(control *os.File, sockets int) {
	defer control.Close()
	d := json.NewDecoder(control)
	for sockets > 0 {
		var event struct{ Event string }
		if err := d.Decode(&event); err != nil {
			return // it ended first
		}
		if event.Event == "listen" {
			sockets--
		}
	}
	close(p.ready)
}

// remember writes which process this is, so that the next run can end it should this one be killed.
func (p *process) remember(dir string) {
	start, ok := processStart(p.pid)
	if !ok {
		return
	}
	record := filepath.Join(dir, strconv.Itoa(p.pid)+".pid")
	if os.WriteFile(record, fmt.Appendf(nil, "%d %s\n", p.pid, start), 0o600) == nil {
		p.record = record
	}
}

// stop lets it finish the requests it has, for at most grace, and then kills it.
func (p *process) stop(grace time.Duration) {
	if grace > 0 {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-p.exited:
			return
		case <-t.C:
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

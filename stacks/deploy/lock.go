package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cognomega/edge/internal/fault"
)

// lockPoll is how often a run looks whether the one before it has ended.
const lockPoll = 200 * time.Millisecond

// exclusive makes this the only driver of a stack on this machine; the kernel gives the lock back also after kill -9.
func (r *run) exclusive(ctx context.Context, dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "driver.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "lock stack %s: %w", r.Stack, err)
	}
	err = r.waitFor(ctx, "another deployment of stack "+r.Stack, func() (bool, error) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == unix.EWOULDBLOCK || err == unix.EINTR {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// waitFor polls until ready, saying once what it waits for.
func (r *run) waitFor(ctx context.Context, what string, ready func() (bool, error)) error {
	for said := false; ; said = true {
		ok, err := ready()
		if fault.KindOf(err) == fault.Conflict {
			return err
		}
		if err != nil {
			return fault.New(fault.Unavailable, "wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		if !said {
			r.out.step("login", "waiting for "+what+" to end")
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Conflict, "%s is still running: %w", what, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// engineLock is the file that a running engine keeps in a file backend.
type engineLock struct {
	path     string
	PID      int    `json:"pid"`
	Hostname string `json:"hostname"`
}

// clearLocks removes locks whose process is dead, and waits for one that lives: a killed deployment must not need a person.
func (r *run) clearLocks(ctx context.Context, dir string) error {
	host, err := os.Hostname()
	if err != nil {
		return fault.New(fault.Internal, "find this machine's name: %w", err)
	}
	return r.waitFor(ctx, "the engine of an earlier deployment", func() (bool, error) {
		held, err := locksIn(dir)
		if err != nil {
			return false, err
		}
		for _, l := range held {
			if l.Hostname != host {
				return false, fault.New(fault.Conflict, "stack %s is locked by process %d on %s", r.Stack, l.PID, l.Hostname).
					WithHint("wait for it; if that machine is gone, delete %s", l.path)
			}
			if engineAlive(l.PID) {
				return false, nil
			}
			r.out.step("login", fmt.Sprintf("removing the lock of process %d, which is dead", l.PID))
			if err := os.Remove(l.path); err != nil && !os.IsNotExist(err) {
				return false, err
			}
		}
		return true, nil
	})
}

func locksIn(dir string) ([]engineLock, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	var held []engineLock
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		l := engineLock{path: path}
		if json.Unmarshal(raw, &l) != nil {
			l = engineLock{path: path, Hostname: host} // cut short by the death of its writer
		}
		held = append(held, l)
	}
	return held, nil
}

// engineAlive says whether pid is a running Pulumi; the number may have passed to another program since.
func engineAlive(pid int) bool {
	if pid <= 0 || unix.Kill(pid, 0) == unix.ESRCH {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // no /proc here: believe the number
	}
	_, rest, ok := strings.Cut(string(stat), "(")
	name, fields, ok2 := strings.Cut(rest, ") ")
	if !ok || !ok2 {
		return true
	}
	return strings.HasPrefix(name, "pulumi") && !strings.HasPrefix(fields, "Z")
}

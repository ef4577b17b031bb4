package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cognomega/edge/internal/fault"
)

// lockFolder takes the folder or says at once who has it. The kernel drops the lock with the process, so a crash leaves none.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "cloud.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "open lock of the store: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = inUse(dir, f)
	} else if err == nil {
		err = writePID(f)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlockFolder gives the folder back. Closing alone would not: a child process that is just being started holds a copy of the file
// until it executes its program, and with it the lock.
func unlockFolder(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

func inUse(dir string, f *os.File) error {
	raw := make([]byte, 20)
	n, _ := f.ReadAt(raw, 0) // short or empty while the holder is just starting
	holder := "another process"
	if pid, err := strconv.Atoi(strings.TrimSpace(string(raw[:n]))); err == nil {
		holder = fmt.Sprintf("process %d", pid)
	}
	return fault.New(fault.Conflict, "%s is in use by %s", dir, holder).WithHint("stop that local cloud, or give this one another folder")
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fault.New(fault.Unavailable, "write lock of the store: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fault.New(fault.Unavailable, "write lock of the store: %w", err)
	}
	return nil
}

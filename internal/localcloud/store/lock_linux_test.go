package store_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// A process that is being started holds a copy of the lock's file until it executes; the folder must be free all the same.
func TestCloseFreesTheFolderThoughACopyOfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held, err := syscall.Dup(descriptorOf(t, filepath.Join(dir, "cloud.lock")))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(held)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, store.Options{})
}

func descriptorOf(t *testing.T, path string) int {
	t.Helper()
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && at == path {
			fd, err := strconv.Atoi(filepath.Base(link))
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}
	}
	t.Fatalf("no descriptor of %s is open", path)
	return 0
}

package runtime

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// killOrphans ends the workerd processes that an earlier run recorded and did not get to stop. A process of the same number
// that started at another time is somebody else's.
func killOrphans(run string, log *slog.Logger) {
	records, err := filepath.Glob(filepath.Join(run, "*.pid"))
	if err != nil {
		return
	}
	for _, record := range records {
		b, err := os.ReadFile(record)
		if err != nil {
			continue
		}
		var pid int
		var start string
		if n, _ := fmt.Sscanf(string(b), "%d %s", &pid, &start); n == 2 && pid > 1 {
			killOrphan(pid, start, log)
		}
		_ = os.Remove(record)
	}
}

func killOrphan(pid int, start string, log *slog.Logger) {
	if now, ok := processStart(pid); !ok || now != start {
		return
	}
	log.Info("ending a process that an earlier run left", "pid", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 200 {
		if now, ok := processStart(pid); !ok || now != start {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}

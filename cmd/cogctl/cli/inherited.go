package cli

import (
	"os"
	"strconv"
	"syscall"
)

// keepInheritedFiles keeps to this process what whoever started it had open, such as the lock of flock(1) or the pipe of a job
// server: the local cloud and its database outlive the command that starts them, and would hold it for as long as they run.
func keepInheritedFiles() {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // a system without it: nothing is worse than before
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > int(os.Stderr.Fd()) {
			syscall.CloseOnExec(fd)
		}
	}
}

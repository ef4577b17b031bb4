package mapped

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Forget drops the entries of a map of a file; its pages are in the file, so that nothing is lost. start is the map's address.
func Forget(start uintptr, size int64) {
	page := int64(os.Getpagesize())
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, uintptr((size+page-1)/page*page), unix.MADV_DONTNEED) // it is only advice
}

// Files is how much of files this process has in memory, its own program among them, in bytes; 0 when that cannot be read.
func Files() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b) // pages: size, resident, resident and shared, …
	if len(f) < 3 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[2]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

package mapped

import (
	"os"
	"strconv"
	"strings"
)

// ForgetProgram drops the pages of this process's own program that it has run or read so far. They stay in the machine's cache and are
// found again, a page fault for a few of them; most belong to work that is over, such as a deployment.
func ForgetProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	raw, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range fileMaps(string(raw), exe) {
		Forget(m.start, m.size)
	}
}

type fileMap struct {
	start uintptr
	size  int64
}

// fileMaps are the maps of a file that hold nothing but what is in it: those that cannot be written, and were not before they were
// closed to writing, as a program's relocations are. Dropping anything else would lose it.
func fileMaps(smaps, path string) (clean []fileMap) {
	var current *fileMap
	for line := range strings.Lines(smaps) {
		line = strings.TrimSpace(line)
		field, value, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasSuffix(field, ":"): // a map's first line: addresses, permissions, offset, device, inode, path
			current = readMap(field, value, path)
		case field == "Anonymous:" && current != nil && strings.TrimSpace(value) == "0 kB":
			clean = append(clean, *current)
		}
	}
	return clean
}

// readMap reads a map's first line; nil when it is of another file or can be written.
func readMap(addresses, rest, path string) *fileMap {
	permissions, _, _ := strings.Cut(rest, " ")
	if !strings.HasSuffix(rest, " "+path) || strings.Contains(permissions, "w") {
		return nil
	}
	from, to, _ := strings.Cut(addresses, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err != nil || err2 != nil || end <= start {
		return nil
	}
	return &fileMap{uintptr(start), int64(end - start)}
}

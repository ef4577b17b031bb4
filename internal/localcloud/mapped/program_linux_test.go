package mapped

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// TestFileMaps takes of a program's maps only those that hold nothing but what is in its file.
func TestFileMaps(t *testing.T) {
	t.Parallel()
	const path = "/opt/a program"
	smaps := strings.Join([]string{
		"00400000-01300000 r-xp 00000000 fe:00 5374362    " + path, "Size: 15360 kB", "Rss: 11620 kB", "Anonymous:     0 kB", "VmFlags: rd ex mr mw me",
		"01300000-01400000 r--p 00f00000 fe:00 5374362    " + path, "Anonymous:    16 kB", // relocations
		"01400000-01500000 rw-p 01000000 fe:00 5374362    " + path, "Anonymous:     0 kB",
		"01500000-01600000 rw-p 00000000 00:00 0", "Anonymous:     0 kB",
		"01600000-01700000 r--p 00000000 fe:00 7    " + path + " too", "Anonymous:     0 kB",
		"01700000-01800000 r--p 01000000 fe:00 5374362    " + path, "Anonymous:     0 kB",
	}, "\n")
	got := fmt.Sprintf("%x", fileMaps(smaps, path))
	if want := "[{400000 f00000} {1700000 100000}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestForgetProgram gives back pages of the program while others run it.
func TestForgetProgram(t *testing.T) {
	t.Parallel()
	before := Files()
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for i := range 20 {
				if text := fmt.Sprintf("%d %v", i, []string{"a"}); text != fmt.Sprint(i)+" [a]" {
					t.Errorf("%q", text)
				}
				ForgetProgram()
			}
		})
	}
	work.Wait()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(fileMaps(string(smaps), exe)) == 0 {
		t.Errorf("%s has no map that can be given back", exe)
	}
	ForgetProgram()
	if after := Files(); before == 0 || after >= before {
		t.Errorf("%d bytes of files are mapped, and were %d", after, before)
	}
}

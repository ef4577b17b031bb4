package runtime

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// processAttributes make a child die with us, even when we are killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// processStart is when a process started, in a form that is only good for comparing; process numbers are reused, pairs are not.
func processStart(pid int) (string, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false
	}
	// The name, in parentheses, may hold anything: count from the last one. Field 22 is the start time.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return "", false
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(f[19]) + "@" + string(bytes.TrimSpace(boot)), true
}

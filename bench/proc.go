package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cognomega/edge/internal/fault"
)

// parseParent reads /proc/<pid>/stat; the command's name may hold spaces and brackets, so fields count from its last bracket.
func parseParent(raw []byte) (int, error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return 0, fault.New(fault.Invalid, "process state %q has no command", raw)
	}
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) < 2 {
		return 0, fault.New(fault.Invalid, "process state %q is short", raw)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, fault.New(fault.Invalid, "process state %q: %w", raw, err)
	}
	return parent, nil
}

// cpuTime is what a process has used, threads that ended included. The scheduler's own clock counts nanoseconds; /proc/<pid>/stat
// counts hundredths of a second, in which a round of requests is too few to compare.
func cpuTime(pid int) (time.Duration, error) {
	const scheduler = 2 // the kernel's CPUCLOCK_SCHED
	var at unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|scheduler, &at); err != nil {
		return 0, fault.New(fault.Unavailable, "read the CPU clock of process %d: %w", pid, err).WithHint("the bench measures CPU through Linux's clocks")
	}
	return time.Duration(at.Nano()), nil
}

// children are the processes below pid.
func children(pid int) ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fault.New(fault.Internal, "list processes: %w", err)
	}
	below := map[int][]int{}
	for _, p := range paths {
		id, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(p, "stat"))
		if err != nil {
			continue // gone meanwhile
		}
		if parent, err := parseParent(raw); err == nil {
			below[parent] = append(below[parent], id)
		}
	}
	var all []int
	for next := below[pid]; len(next) > 0; {
		all = append(all, next...)
		var deeper []int
		for _, id := range next {
			deeper = append(deeper, below[id]...)
		}
		next = deeper
	}
	return all, nil
}

// spent is the CPU time of the Go process and of everything below it, which is workerd.
type spent struct{ goCPU, workerd time.Duration }

func (s spent) since(before spent) spent {
	return spent{s.goCPU - before.goCPU, s.workerd - before.workerd}
}

func measureCPU(pid int) (spent, error) {
	own, err := cpuTime(pid)
	if err != nil {
		return spent{}, err
	}
	total := spent{goCPU: own}
	kids, err := children(pid)
	if err != nil {
		return spent{}, err
	}
	for _, kid := range kids {
		if used, err := cpuTime(kid); err == nil { // gone meanwhile, or not
			total.workerd += used
		}
	}
	return total, nil
}

// pss is a process's memory with shared pages divided among those who share them, in MB.
func pss(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fault.New(fault.Unavailable, "read the memory of process %d: %w", pid, err)
	}
	return parsePSS(string(raw))
}

func parsePSS(rollup string) (float64, error) {
	for line := range strings.Lines(rollup) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err == nil {
				return kb / 1024, nil
			}
		}
	}
	return 0, fault.New(fault.Invalid, "memory summary names no Pss")
}

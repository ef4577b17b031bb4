package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// tick is the unit of CPU time in /proc, which Linux fixes at a hundredth of a second for every program.
const tick = 10 * time.Millisecond

// stat is what /proc says of a process.
type stat struct {
	parent int
	cpu    time.Duration
}

// parseStat reads /proc/<pid>/stat; the command's name may hold spaces and brackets, so fields count from its last bracket.
func parseStat(raw []byte) (stat, error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, fault.New(fault.Invalid, "process state %q has no command", raw)
	}
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) < 13 {
		return stat{}, fault.New(fault.Invalid, "process state %q is short", raw)
	}
	var n [3]int
	for i, at := range []int{1, 11, 12} { // parent, user and system time
		v, err := strconv.Atoi(fields[at])
		if err != nil {
			return stat{}, fault.New(fault.Invalid, "process state %q: %w", raw, err)
		}
		n[i] = v
	}
	return stat{parent: n[0], cpu: time.Duration(n[1]+n[2]) * tick}, nil
}

func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fault.New(fault.Unavailable, "read the state of process %d: %w", pid, err).WithHint("the bench measures CPU through Linux's /proc")
	}
	return parseStat(raw)
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
		if s, err := readStat(id); err == nil { // gone meanwhile, or not
			below[s.parent] = append(below[s.parent], id)
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
	s, err := readStat(pid)
	if err != nil {
		return spent{}, err
	}
	total := spent{goCPU: s.cpu}
	kids, err := children(pid)
	if err != nil {
		return spent{}, err
	}
	for _, kid := range kids {
		if s, err := readStat(kid); err == nil {
			total.workerd += s.cpu
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

package runtime

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// ProcessStatus is the state of one workerd process.
type ProcessStatus struct {
	Name     string    `json:"name"`
	Scripts  []string  `json:"scripts"`
	PID      int       `json:"pid"` // 0 while it restarts
	Serving  bool      `json:"serving"`
	Started  time.Time `json:"started_at"`
	Restarts int       `json:"restarts"`
	Renewals int       `json:"renewals"`     // how often it was replaced because it had grown
	Memory   int64     `json:"memory_bytes"` // what it holds that no other process shares; 0 when unknown
	Requests int       `json:"requests_in_flight"`
	StartMS  int64     `json:"startup_ms"`
}

// Status lists the processes that serve, by name.
func (r *Runtime) Status() []ProcessStatus {
	r.mu.RLock()
	units, world := r.units, r.deployed
	r.mu.RUnlock()
	out := make([]ProcessStatus, 0, len(units))
	for _, name := range sortedKeys(units) {
		s := units[name].status()
		for _, script := range sortedKeys(world) {
			if world.unitOf(script) == name {
				s.Scripts = append(s.Scripts, script)
			}
		}
		out = append(out, s)
	}
	return out
}

func (u *unit) status() ProcessStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := ProcessStatus{
		Name: u.spec.name, Scripts: []string{}, Serving: u.serving, Restarts: u.restarts, Renewals: u.renewals, Requests: u.leases, StartMS: u.startup.Milliseconds(),
	}
	if u.proc != nil {
		s.PID, s.Started, s.Memory = u.proc.pid, u.proc.started, u.memory(u.proc.pid)
	}
	return s
}

// Objects are the ids of the Durable Objects of a class that have stored something.
func (r *Runtime) Objects(uniqueKey string) ([]string, error) {
	if !filepath.IsLocal(uniqueKey) {
		return nil, nil
	}
	entries, err := os.ReadDir(filepath.Join(r.paths.objects, uniqueKey))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no object has stored anything yet
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "list the objects of %s: %w", uniqueKey, err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".sqlite"); ok && id != "metadata" {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

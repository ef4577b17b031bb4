package runtime

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Line is one line that a script, or workerd about it, has written.
type Line struct {
	Time   time.Time `json:"time"`
	Level  string    `json:"level"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"`
}

// keptLines is how many lines are kept for each script.
const keptLines = 1000

// logBook keeps the last lines of each script, and passes all on to the log.
type logBook struct {
	log *slog.Logger

	mu    sync.Mutex
	rings map[string]*ring
}

type ring struct {
	lines []Line
	next  int
}

func newLogBook(log *slog.Logger) *logBook { return &logBook{log: log, rings: map[string]*ring{}} }

// add keeps a line for each of the scripts that it is about, or may be.
func (b *logBook) add(unit string, scripts []string, l Line) {
	b.mu.Lock()
	for _, script := range scripts {
		r := b.rings[script]
		if r == nil {
			r = &ring{}
			b.rings[script] = r
		}
		r.add(l)
	}
	b.mu.Unlock()
	of := unit
	if len(scripts) == 1 {
		of = scripts[0]
	}
	b.log.Log(context.Background(), slogLevel(l.Level), l.Text, "script", of)
}

func (r *ring) add(l Line) {
	if len(r.lines) < keptLines {
		r.lines = append(r.lines, l)
		return
	}
	r.lines[r.next] = l
	r.next = (r.next + 1) % keptLines
}

func slogLevel(level string) slog.Level {
	switch level {
	case "debug", "trace":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "fatal":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Logs are the last n lines of a script, oldest first, with those that workerd wrote about its process as a whole.
func (r *Runtime) Logs(script string, n int) []Line {
	b := r.logs
	b.mu.Lock()
	defer b.mu.Unlock()
	ring := b.rings[script]
	if ring == nil {
		return []Line{}
	}
	lines := append(append([]Line{}, ring.lines[ring.next:]...), ring.lines[:ring.next]...)
	if n > 0 && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	return lines
}

package runtime

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// DataPoint is what a script wrote to an Analytics Engine dataset.
type DataPoint struct {
	Time    time.Time `json:"timestamp"`
	Script  string    `json:"script"`
	Dataset string    `json:"dataset"`
	Index   string    `json:"index1"`
	Blobs   []string  `json:"blobs"`
	Doubles []float64 `json:"doubles"`
}

// analytics keeps data points, one JSON line each. Like Cloudflare's, a write is not acknowledged to the script.
type analytics struct {
	mu   sync.Mutex
	path string
	file *os.File
}

func openAnalytics(dir string) (*analytics, error) {
	path := filepath.Join(dir, "analytics.jsonl")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fault.New(fault.Internal, "open the analytics store: %w", err)
	}
	return &analytics{path: path, file: f}, nil
}

func (a *analytics) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.file.Close(); err != nil {
		return fault.New(fault.Internal, "close the analytics store: %w", err)
	}
	return nil
}

func (a *analytics) serve(w http.ResponseWriter, r *http.Request, target string) {
	script, dataset, _ := strings.Cut(target, "/")
	body, err := readBody(r, 1<<20)
	if err != nil {
		refuse(w, err)
		return
	}
	p, err := parseEvent(body)
	if err != nil {
		refuse(w, err)
		return
	}
	p.Script, p.Dataset = script, dataset
	line, err := json.Marshal(p)
	if err == nil {
		a.mu.Lock()
		_, err = a.file.Write(append(line, '\n'))
		a.mu.Unlock()
	}
	if err != nil {
		refuse(w, fault.New(fault.Internal, "write data point: %w", err))
	}
}

// parseEvent reads workerd's AnalyticsEngineEvent: numbered fields, whose byte strings are lists of numbers.
func parseEvent(body []byte) (DataPoint, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return DataPoint{}, fault.New(fault.Invalid, "malformed data point: %w", err)
	}
	p := DataPoint{Time: time.Now().UTC(), Index: eventText(raw["index1"])}
	for i := 1; i <= 20; i++ {
		p.Blobs = append(p.Blobs, eventText(raw[fmt.Sprintf("blob%d", i)]))
		var d float64
		if v := raw[fmt.Sprintf("double%d", i)]; v != nil {
			_ = json.Unmarshal(v, &d) // NaN and the infinities come as text, and count as 0
		}
		p.Doubles = append(p.Doubles, d)
	}
	return p, nil
}

func eventText(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var numbers []int
	if json.Unmarshal(v, &numbers) != nil {
		return ""
	}
	b := make([]byte, len(numbers))
	for i, n := range numbers {
		b[i] = byte(n)
	}
	return string(b)
}

// DataPoints are the points of a dataset, oldest first.
func (r *Runtime) DataPoints(dataset string) ([]DataPoint, error) {
	f, err := os.Open(filepath.Join(r.cfg.Dir, "analytics.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "read the analytics store: %w", err)
	}
	defer f.Close()
	var out []DataPoint
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var p DataPoint
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Dataset == dataset { // a torn last line is skipped
			out = append(out, p)
		}
	}
	return out, lines.Err()
}

package cli_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// TestContractExportKnowsEveryKind gives a Worker what the real ones may not have, and reads what wrangler would.
func TestContractExportKnowsEveryKind(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	loaded, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := *loaded
	c.Workers = maps.Clone(c.Workers)
	w := c.Workers["orchestrator-svc"]
	w.Bindings = map[string]contract.Binding{
		"SEND": {Queue: "usage-events", Why: "w"}, "LEDGER": {Hyperdrive: "neon", Why: "w"}, "VERSION": {Version: true, Why: "w"},
	}
	w.Consumes = map[string]contract.Consumer{"usage-events": {Why: "w", Batch: 100, WaitMS: 1500, Retries: 10, RetryDelayS: 5, MaxConcurrency: 1, DeadLetter: "usage-events-dlq"}}
	w.Crons = map[string]contract.Cron{"* * * * *": {Why: "w"}}
	c.Workers["orchestrator-svc"] = w
	b.deps.Contract = func() (*contract.Contract, error) { return &c, nil }
	if code := b.run("contract", "export", "orchestrator-svc"); code != fault.ExitOK {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	var lines []string
	for line := range strings.Lines(b.out.String()) {
		if !strings.HasPrefix(line, "//") {
			lines = append(lines, line)
		}
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(strings.Join(lines, "")), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"queues": map[string]any{
			"producers": []any{map[string]any{"binding": "SEND", "queue": "cognomega-usage-events"}},
			"consumers": []any{map[string]any{
				"queue": "cognomega-usage-events", "max_batch_size": 100.0, "max_batch_timeout": 2.0, "max_retries": 10.0, "retry_delay": 5.0,
				"max_concurrency": 1.0, "dead_letter_queue": "cognomega-usage-events-dlq",
			}},
		},
		"hyperdrive": []any{map[string]any{"binding": "LEDGER", "id": "cognomega-neon"}}, "version_metadata": map[string]any{"binding": "VERSION"},
		"triggers": map[string]any{"crons": []any{"* * * * *"}},
	}
	for key := range want {
		if diff := cmp.Diff(want[key], got[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if hint := `CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_LEDGER="$(cogctl db psql-url)"`; !strings.Contains(b.out.String(), hint) {
		t.Errorf("%q is not in %s", hint, b.out)
	}
	explained(t, b)
}

// explained asks what the Worker and its queue are.
func explained(t *testing.T, b *bench) {
	t.Helper()
	for name, want := range map[string][]string{
		"orchestrator-svc":         {"cognomega-usage-events (batches of 100 within 1500 ms, 10 retries, then cognomega-usage-events-dlq)", "* * * * *"},
		"usage-events":             {"orchestrator-svc (batches of 100", "orchestrator-svc/SEND"},
		"neon":                     {"DATABASE_URL", "orchestrator-svc/LEDGER"},
		"orchestrator-svc/LEDGER":  {"Hyperdrive cognomega-neon"},
		"orchestrator-svc/VERSION": {"version"},
	} {
		if code := b.run("contract", "explain", name); code != fault.ExitOK {
			t.Fatalf("explain %s: exit %d: %s", name, code, b.err)
		}
		for _, w := range want {
			if !strings.Contains(b.out.String(), w) {
				t.Errorf("explain %s: no %q in %s", name, w, b.out)
			}
		}
	}
}

package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/export"
	"github.com/cognomega/edge/internal/ledger/ledgertest"
)

var bed ledgertest.Bed

func TestMain(m *testing.M) { os.Exit(ledgertest.Run(m, &bed)) }

// odd is an account whose name needs care in every format.
const odd = "o\"d,d\né@x.test"

// filled is a ledger with one of everything, odd names and odd notes too.
func filled(t testing.TB) *pgx.Conn {
	t.Helper()
	conn := bed.Open(t)
	ledgertest.Lived(t, conn)
	_, err := ledger.New(conn).PostBatch(t.Context(), []ledger.Event{{ID: uuid.New(), Kind: ledger.Usage, Account: odd, Amount: 5, AtMS: 1767225600000,
		Meta: json.RawMessage(`{"note":"a \"quoted\", line\nand <more>  ","n":1.50}`)}}, true)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func write(t testing.TB, conn *pgx.Conn, format export.Format, f export.Filter) ([]byte, export.Summary) {
	t.Helper()
	var out bytes.Buffer
	s, err := export.Write(t.Context(), conn, &out, format, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

func TestAnExportReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	conn := filled(t)
	for _, format := range []export.Format{export.JSONL, export.CSV} {
		file, wrote := write(t, conn, format, export.Filter{})
		read, err := export.Read(bytes.NewReader(file), nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", format, err, file)
		}
		if diff := cmp.Diff(wrote, read); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
		if read.Transfers != 9 || read.AmountMicro["usage"] != "2001250005" || read.Whole != (format == export.JSONL) {
			t.Errorf("%s: %+v", format, read)
		}
		if again, _ := write(t, conn, format, export.Filter{}); !bytes.Equal(file, again) {
			t.Errorf("%s: the same ledger gives other bytes", format)
		}
	}
}

func TestEveryRecordIsThere(t *testing.T) {
	t.Parallel()
	file, _ := write(t, filled(t), export.JSONL, export.Filter{})
	counts := map[string]int{}
	_, err := export.Read(bytes.NewReader(file), func(record any) error {
		switch r := record.(type) {
		case *export.Account:
			counts["account"]++
			if r.Kind == "customer" && (r.Floor == nil || *r.Floor != -1_000_000_000) {
				t.Errorf("floor of %s", r.Ref)
			}
		case *export.Transfer:
			counts["transfer"]++
			if r.Debit == odd && !strings.Contains(string(r.Meta), `"n": 1.50`) {
				t.Errorf("notes %s", r.Meta)
			}
		case *export.Hold:
			counts["hold "+r.State]++
		case *export.Adjustment:
			counts["adjustment "+r.Reason]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"account": 7, "transfer": 9, "hold pending": 1, "hold captured": 1, "hold voided": 1, "adjustment opening": 1, "adjustment error": 1, "adjustment as it is": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}

// TestSpreadsheetsReadTheCSV reads it with a reader that knows nothing of us.
func TestSpreadsheetsReadTheCSV(t *testing.T) {
	t.Parallel()
	file, _ := write(t, filled(t), export.CSV, export.Filter{})
	r := csv.NewReader(bytes.NewReader(file))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if row[2] == odd && row[4] == "5" && row[7] == "2026-01-01T00:00:00.000000Z" {
			return
		}
	}
	t.Errorf("no row of %q in %v", odd, rows)
}

// TestDamageIsNoticed cuts a file after every byte, changes every line, takes lines out and adds some.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	conn := filled(t)
	for _, format := range []export.Format{export.JSONL, export.CSV} {
		file, _ := write(t, conn, format, export.Filter{})
		noticed := func(what string, damaged []byte) {
			t.Helper()
			if _, err := export.Read(bytes.NewReader(damaged), nil); !errors.Is(err, fault.Finding) && !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %s: %v", format, what, err)
			}
		}
		for n := range file {
			if n%3 == 0 {
				noticed("cut", file[:n])
			}
			changed := bytes.Clone(file)
			changed[n] ^= 1
			noticed("one bit changed", changed)
		}
		lines := bytes.SplitAfter(file, []byte("\n"))
		for i := range lines[:len(lines)-1] {
			noticed("a line missing", bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil))
			noticed("a line twice", bytes.Join(append(append([][]byte{}, lines[:i+1]...), lines[i:]...), nil))
		}
		noticed("more after the end", append(bytes.Clone(file), 'x'))
		noticed("two files", append(bytes.Clone(file), file...))
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	conn := filled(t)
	ledgertest.Exec(t, conn, "ALTER TABLE ledger.transfer DISABLE TRIGGER ALL; UPDATE ledger.transfer SET recorded_at = '2026-01-01' WHERE kind = 'grant'")
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		filter export.Filter
		want   int64
	}{
		"from its first moment": {export.Filter{Since: day(1), Until: day(2)}, 2},
		"until, not including":  {export.Filter{Until: day(1)}, 0},
		"since":                 {export.Filter{Since: day(2)}, 7},
		"an account that owes":  {export.Filter{Account: "bob@b.test"}, 1},
		"an account":            {export.Filter{Account: "cy@c.test", Since: day(2)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			file, s := write(t, conn, export.JSONL, test.filter)
			if s.Transfers != test.want || s.Whole || s.Accounts != 0 {
				t.Errorf("%+v", s)
			}
			if _, err := export.Read(bytes.NewReader(file), nil); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := export.Write(t.Context(), conn, &bytes.Buffer{}, export.CSV, export.Filter{Account: "x@x.test"}, nil); !errors.Is(err, fault.NotFound) {
		t.Errorf("an account that is not there: %v", err)
	}
}

type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestAFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	conn := filled(t)
	for _, room := range []int{0, 500} {
		if _, err := export.Write(t.Context(), conn, &full{room}, export.JSONL, export.Filter{}, nil); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("room for %d: %v", room, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	conn := filled(f)
	for _, format := range []export.Format{export.JSONL, export.CSV} {
		file, _ := write(f, conn, format, export.Filter{})
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
	f.Add([]byte("{\"line\":\"header\",\"name\":\"cogctl/ledger.export/v1\"}\n{\"line\":\"trailer\"}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := export.Read(bytes.NewReader(file), func(any) error { return nil })
		if err == nil && (s.SHA256 == "" || s.Transfers < 0) {
			t.Errorf("taken for whole: %+v", s)
		}
		if err != nil && !errors.Is(err, fault.Finding) && !errors.Is(err, fault.Invalid) {
			t.Errorf("an error without a kind: %v", err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	const n = 200_000
	conn := bed.Open(b)
	ledgertest.Exec(b, conn, `INSERT INTO ledger.account (id, kind, ref) VALUES (1000, 'customer', 'c@load.test');
		INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, occurred_at) SELECT gen_random_uuid(), 'usage', 1000, 1, 1, now() FROM generate_series(1, 200000)`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := export.Write(b.Context(), conn, &full{1 << 40}, export.JSONL, export.Filter{}, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "transfers/s")
}

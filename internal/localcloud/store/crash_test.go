package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// The child says on stdout what was acknowledged to it, a line each, and is killed in the middle of it.
const (
	crashJob = "STORE_TEST_CRASH_JOB"
	crashDir = "STORE_TEST_CRASH_DIR"
	crashRun = "STORE_TEST_CRASH_RUN"

	// runLength keeps apart the generations that each child writes; it is a multiple of four.
	runLength = 1_000_000
)

// crashJobs write for ever; check gets what all children so far were acknowledged, oldest first.
var crashJobs = map[string]struct {
	write func(s *store.Store, run int, ack func(format string, args ...any))
	check func(t *testing.T, s *store.Store, h history)
}{
	"documents": {writeDocuments, checkDocuments},
	"kv":        {writeKV, checkKV},
	"queue":     {writeQueue, checkQueue},
	"r2":        {writeR2, checkR2},
}

// history is what the checks know of the children so far.
type history struct {
	dir   string
	runs  int
	acked []string
}

func TestMain(m *testing.M) {
	if job := os.Getenv(crashJob); job != "" {
		crashChild(job, os.Getenv(crashDir))
	}
	os.Exit(m.Run())
}

func crashChild(job, dir string) {
	s, err := store.Open(dir, store.Options{R2MinPartSize: 1000})
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	run, err := strconv.Atoi(os.Getenv(crashRun))
	mustAck(err)
	crashJobs[job].write(s, run, func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	})
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for name, job := range crashJobs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, rnd := history{dir: t.TempDir()}, rand.New(rand.NewPCG(7, 7))
			must(t, account(t, h.dir, store.Options{}).Close())
			for range 8 {
				h.acked = append(h.acked, killedAfter(t, name, h, 1+rnd.IntN(300))...)
				h.runs++
				s, err := store.Open(h.dir, store.Options{R2MinPartSize: 1000})
				must(t, err)
				job.check(t, s, h)
				must(t, s.Close())
			}
		})
	}
}

// killedAfter runs a child, kills it when it was acknowledged so much, and returns all that it was.
func killedAfter(t *testing.T, job string, h history, lines int) (acked []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashJob+"="+job, crashDir+"="+h.dir, crashRun+"="+strconv.Itoa(h.runs))
	var stderr bytes.Buffer
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break // what is in the pipe was acknowledged too; half a line was not said
		}
		if acked = append(acked, strings.TrimSuffix(line, "\n")); len(acked) == lines {
			must(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil || len(acked) < lines {
		t.Fatalf("the child ended by itself after %d acknowledgements: %v\n%s", len(acked), err, stderr.String())
	}
	return acked
}

// forever runs writers side by side, so that a kill finds some in the middle of a commit and some sharing one.
func forever(n, first int, write func(writer, i int)) {
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for i := first; ; i++ {
				write(w, i)
			}
		})
	}
	wg.Wait()
}

func mustAck(err error) {
	if err != nil {
		panic(err)
	}
}

// content is what generation i of a key holds, of a size that is in the database or in a file.
func content(key string, i int) []byte {
	rnd := rand.New(rand.NewPCG(uint64(len(key)), uint64(i)))
	b := make([]byte, 8+[]int{10, 3000, 80_000, 200_000}[rnd.IntN(4)]+rnd.IntN(1000))
	binary.BigEndian.PutUint64(b, uint64(i))
	for j := 8; j < len(b); j++ {
		b[j] = byte(i*7 + j*13)
	}
	return b
}

// generation finds which one a value is; a value that is none is half written.
func generation(t *testing.T, key string, value []byte) int {
	t.Helper()
	if len(value) < 8 {
		t.Fatalf("%s is %d bytes", key, len(value))
	}
	i := int(binary.BigEndian.Uint64(value))
	if !bytes.Equal(value, content(key, i)) {
		t.Fatalf("%s is not any generation that was written, but %d bytes that begin as %d", key, len(value), i)
	}
	return i
}

// wantGeneration allows what was acknowledged last, the one after it, and the first of a later child, which may have been
// written without a word. Every fourth generation is a deletion.
func (h history) wantGeneration(t *testing.T, key string, value []byte, err error) {
	t.Helper()
	last := -1
	for _, line := range h.acked {
		var i int
		var k string
		if _, e := fmt.Sscanf(line, "%s %d", &k, &i); e == nil && k == key {
			last = i
		}
	}
	if errors.Is(err, fault.NotFound) {
		if last != -1 && last%4 != 3 && last%4 != 2 {
			t.Fatalf("%s is gone, generation %d was acknowledged", key, last)
		}
		return
	}
	must(t, err)
	got := generation(t, key, value)
	first := got%runLength == 0 && got > last
	if got != last && got != last+1 && !first || got%4 == 3 {
		t.Fatalf("%s is generation %d, %d was acknowledged last", key, got, last)
	}
}

func writeDocuments(s *store.Store, _ int, ack func(string, ...any)) {
	forever(3, 0, func(_, _ int) {
		var n int
		mustAck(s.Update(func(tx *store.Tx) error {
			if err := tx.Get(store.Settings, "count", &n); err != nil && !errors.Is(err, fault.NotFound) {
				return err
			}
			n++
			return errors.Join(tx.Put(store.Settings, "count", n), tx.Put(store.Zones, fmt.Sprint(n), store.Zone{Name: strings.Repeat("z", n%3000)}))
		}))
		ack("%d", n)
	})
}

func checkDocuments(t *testing.T, s *store.Store, h history) {
	most := 0
	for _, line := range h.acked {
		var n int
		fmt.Sscan(line, &n)
		most = max(most, n)
	}
	must(t, s.View(func(tx *store.Tx) error {
		var n int
		must(t, tx.Get(store.Settings, "count", &n))
		zones, err := store.All[store.Zone](tx, store.Zones, "")
		if n < most || len(zones) != n {
			t.Fatalf("count %d, %d zones, %d acknowledged", n, len(zones), most)
		}
		return err
	}))
}

func writeKV(s *store.Store, run int, ack func(string, ...any)) {
	forever(4, run*runLength, func(w, i int) {
		key := fmt.Sprint("key", w)
		if i%4 == 3 {
			mustAck(s.KV().Delete("ns", key))
		} else {
			mustAck(s.KV().Put("ns", key, content(key, i), store.PutOptions{}))
		}
		ack("%s %d", key, i)
	})
}

func checkKV(t *testing.T, s *store.Store, h history) {
	large := 0
	for w := range 4 {
		key := fmt.Sprint("key", w)
		e, err := s.KV().Get("ns", key)
		h.wantGeneration(t, key, e.Value, err)
		if len(e.Value) > 64<<10 {
			large++
		}
	}
	wantFiles(t, h.dir, large)
}

func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	if got := filesUnder(t, filepath.Join(dir, "blobs", "bodies")); len(got) != want {
		t.Fatalf("%d body files are there, %d have a record", len(got), want)
	}
}

func writeR2(s *store.Store, run int, ack func(string, ...any)) {
	forever(4, run*runLength, func(w, i int) {
		key := fmt.Sprint("key", w)
		switch body := content(key, i); {
		case i%4 == 3:
			mustAck(s.R2().Delete("b", key))
		case i%4 == 1:
			multipart(s, key, body)
		default:
			_, err := s.R2().Put(context.Background(), "b", key, bytes.NewReader(body), store.R2PutOptions{})
			mustAck(err)
		}
		ack("%s %d", key, i)
	})
}

func multipart(s *store.Store, key string, body []byte) {
	up, err := s.R2().CreateMultipart("b", key, store.MultipartOptions{})
	mustAck(err)
	var parts []store.Part
	size := max(1000, len(body)/3)
	for n := 1; len(body) > 0; n++ {
		p, err := s.R2().UploadPart(context.Background(), "b", key, up.ID, n, bytes.NewReader(body[:min(size, len(body))]))
		mustAck(err)
		parts, body = append(parts, p), body[min(size, len(body)):]
	}
	_, err = s.R2().CompleteMultipart("b", key, up.ID, parts)
	mustAck(err)
}

func checkR2(t *testing.T, s *store.Store, h history) {
	uploads, err := s.R2().Uploads("b")
	must(t, err)
	for _, up := range uploads { // cut in the middle: nothing of them is visible, and their parts go with them
		must(t, s.R2().AbortMultipart("b", up.Key, up.ID))
	}
	files := 0
	for w := range 4 {
		key := fmt.Sprint("key", w)
		o, body, err := s.R2().Get("b", key, store.GetOptions{})
		var value []byte
		if err == nil {
			value, err = io.ReadAll(body)
			must(t, errors.Join(err, body.Close()))
			files++
			if _, n, ok := strings.Cut(o.ETag, "-"); ok {
				var parts int
				fmt.Sscan(n, &parts)
				files += parts - 1
			}
		}
		h.wantGeneration(t, key, value, err)
	}
	wantFiles(t, h.dir, files)
}

package platform_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	bigFile    = 100 << 20
	mostGrowth = 80 << 20 // of the cloud and its runtime together: a file held whole by either would be more
)

// files drives files-svc through the edge, as a client does.
type files struct{ *money }

// stream is a body of so many bytes that nobody holds: the same ones for the same seed.
func stream(seed uint64, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{byte(seed)}), size)
}

func (f files) send(who header, path string, body io.Reader, size int64) (int, map[string]any) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), "POST", f.edge+path, io.NopCloser(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.ContentLength = size
	for name, value := range who {
		req.Header.Set(name, value)
	}
	return f.do(req)
}

// open sends a request that may take as long as a large file does; the caller closes the answer.
func (f files) open(req *http.Request) *http.Response {
	f.t.Helper()
	client := *f.http
	client.Timeout = 3 * time.Minute
	res, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

func (f files) do(req *http.Request) (int, map[string]any) {
	f.t.Helper()
	res := f.open(req)
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		f.t.Fatalf("%d: %v", res.StatusCode, err)
	}
	return res.StatusCode, answer
}

// get hashes what is downloaded.
func (f files) get(who header, key, span string) (status int, size int64, sum string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), "GET", f.edge+"/api/files/"+url.PathEscape(key), http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	for name, value := range who {
		req.Header.Set(name, value)
	}
	if span != "" {
		req.Header.Set("Range", span)
	}
	res := f.open(req)
	defer res.Body.Close()
	digest := sha256.New()
	if size, err = io.Copy(digest, res.Body); err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, size, hexOf(digest)
}

func hexOf(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

func (f files) listed(who header) []any {
	f.t.Helper()
	var page struct{ Items []any }
	if code := f.call("GET", "/api/files", "", who, &page); code != http.StatusOK {
		f.t.Fatalf("list: %d", code)
	}
	return page.Items
}

// peak is the most memory that the cloud and its runtime ever had, in bytes.
func (f files) peak() int64 {
	f.t.Helper()
	cloud := strconv.Itoa(f.endpoints().PID)
	statuses, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil || len(statuses) == 0 {
		f.t.Skip("memory is read from /proc")
	}
	var sum int64
	found := 0
	for _, file := range statuses {
		text, _ := os.ReadFile(file) // it may have ended
		is := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			is[name] = strings.TrimSpace(value)
		}
		if is["Pid"] == cloud || (is["PPid"] == cloud && is["Name"] == "workerd") {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(is["VmHWM"], " kB"), 10, 64)
			sum += kb << 10
			found++
		}
	}
	if found < 2 {
		f.t.Fatalf("%d processes of the cloud and its runtime", found)
	}
	return sum
}

func TestFilesStreamInAndOut(t *testing.T) {
	f := files{newMoney(t)}
	ada := f.user("ada@example.test")

	if code, _ := f.send(ada, "/api/upload/direct?filename=warm.bin", stream(9, 1<<20), 1<<20); code != http.StatusOK {
		t.Fatalf("a megabyte: %d", code)
	}
	before := f.peak()
	code, stored := f.send(ada, "/api/files?filename=big.bin", stream(1, bigFile), bigFile)
	if code != http.StatusOK || stored["size"] != float64(bigFile) {
		t.Fatalf("%d %v", code, stored)
	}
	key, _ := stored["key"].(string)

	whole := sha256.New()
	_, _ = io.Copy(whole, stream(1, bigFile))
	if code, size, sum := f.get(ada, key, ""); code != http.StatusOK || size != bigFile || sum != hexOf(whole) {
		t.Errorf("whole: %d, %d bytes, %s", code, size, sum)
	}
	part := sha256.New()
	tail := stream(1, bigFile)
	_, _ = io.CopyN(io.Discard, tail, bigFile-3<<20)
	_, _ = io.CopyN(part, tail, 2<<20)
	span := fmt.Sprintf("bytes=%d-%d", bigFile-3<<20, bigFile-1<<20-1)
	if code, size, sum := f.get(ada, key, span); code != http.StatusPartialContent || size != 2<<20 || sum != hexOf(part) {
		t.Errorf("%s: %d, %d bytes, %s", span, code, size, sum)
	}
	if grown := f.peak() - before; grown > mostGrowth {
		t.Errorf("cloud and runtime grew by %d MB over a file of 100 MB: it does not stream", grown>>20)
	} else {
		t.Logf("cloud and runtime grew by %d MB over a file of 100 MB", grown>>20)
	}

	if code, _, _ := f.get(f.user("eve@example.test"), key, ""); code != http.StatusForbidden {
		t.Errorf("another's file: %d", code)
	}
	if code, answer := f.send(ada, "/api/upload/direct?filename=big.bin", stream(1, 11<<20), 11<<20); code != http.StatusRequestEntityTooLarge {
		t.Errorf("over the limit of old clients: %d %v", code, answer)
	}
	if code, answer := f.send(ada, "/api/files?filename=a", strings.NewReader("abc"), -1); code != http.StatusLengthRequired {
		t.Errorf("without a length: %d %v", code, answer)
	}
	f.testQuota()
	f.testCut()
}

// testQuota fills a guest's account to its last byte but a few.
func (f files) testQuota() {
	f.t.Helper()
	var guest struct{ Token string }
	if code := f.call("POST", "/auth/guest", "", nil, &guest); code != http.StatusOK {
		f.t.Fatalf("guest: %d", code)
	}
	who := header{"Authorization": "Bearer " + guest.Token}
	if code, answer := f.send(who, "/api/files?filename=a.bin", stream(2, 49<<20), 49<<20); code != http.StatusOK {
		f.t.Fatalf("within the quota: %d %v", code, answer)
	}
	code, answer := f.send(who, "/api/files?filename=b.bin", stream(3, 2<<20), 2<<20)
	if code != http.StatusRequestEntityTooLarge || answer["error"] != "quota_exceeded" {
		f.t.Errorf("over the quota: %d %v", code, answer)
	}
	if items := f.listed(who); len(items) != 1 {
		f.t.Errorf("%d files: %v", len(items), items)
	}
}

// testCut closes the connection when half of a file is sent; the room that the file held in a guest's quota is given back.
func (f files) testCut() {
	f.t.Helper()
	var guest struct{ Token string }
	if code := f.call("POST", "/auth/guest", "", nil, &guest); code != http.StatusOK {
		f.t.Fatalf("guest: %d", code)
	}
	who := header{"Authorization": "Bearer " + guest.Token}
	e := f.endpoints()
	transport := f.http.Transport.(*http.Transport)
	conn, err := tls.Dial("tcp", e.EdgeHTTPS, &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "api.cognomega.localhost"})
	if err != nil {
		f.t.Fatal(err)
	}
	const size = 30 << 20
	fmt.Fprintf(conn, "POST /api/files?filename=half.bin HTTP/1.1\r\nHost: api.cognomega.localhost\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n", who["Authorization"], size)
	if _, err := io.Copy(conn, stream(4, size/2)); err != nil {
		f.t.Fatal(err)
	}
	_ = conn.Close()
	if items := f.listed(who); len(items) != 0 {
		f.t.Errorf("listed: %v", items)
	}
	for deadline := time.Now().Add(time.Minute); ; { // each try takes as long as its answer does
		code, answer := f.send(who, "/api/files?filename=whole.bin", stream(5, 25<<20), 25<<20)
		if code == http.StatusOK {
			break
		}
		if answer["error"] != "quota_exceeded" || time.Now().After(deadline) {
			f.t.Fatalf("after the cut: %d %v", code, answer)
		}
	}
	if items := f.listed(who); len(items) != 1 {
		f.t.Errorf("listed: %v", items)
	}
}

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
	return f.sendBy("POST", who, path, body, size)
}

func (f files) sendBy(method string, who header, path string, body io.Reader, size int64) (int, map[string]any) {
	f.t.Helper()
	sent := io.NopCloser(body)
	if size == 0 {
		sent = http.NoBody // anything else would be of a length that nobody knows
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.edge+path, sent)
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
	f.testForm(ada)
	f.testParts(f.user("parts@example.test"))
	f.testSigned(ada, key, hexOf(part), span)
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
	f.cut("POST /api/files?filename=half.bin", who, stream(4, 15<<20), 30<<20)
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

// cut sends less than it says, and closes the connection.
func (f files) cut(request string, who header, body io.Reader, size int64) {
	f.t.Helper()
	transport := f.http.Transport.(*http.Transport)
	conn, err := tls.Dial("tcp", f.endpoints().EdgeHTTPS, &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "api.cognomega.localhost"})
	if err != nil {
		f.t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: api.cognomega.localhost\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n", request, who["Authorization"], size)
	if _, err := io.Copy(conn, body); err != nil {
		f.t.Fatal(err)
	}
	_ = conn.Close()
}

func sumOf(r io.Reader) string {
	digest := sha256.New()
	_, _ = io.Copy(digest, r) // a generator's own stream does not fail
	return hexOf(digest)
}

// testForm sends a form whose file is of several of R2's parts.
func (f files) testForm(who header) {
	f.t.Helper()
	const size = 12<<20 + 7
	head := "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"form.bin\"\r\n\r\n"
	const tail = "\r\n--edge--\r\n"
	form := func(tail string) (header, io.Reader, int64) {
		body := io.MultiReader(strings.NewReader(head), stream(6, size), strings.NewReader(tail))
		return with(who, "Content-Type", "multipart/form-data; boundary=edge"), body, int64(len(head) + size + len(tail))
	}
	as, body, length := form(tail)
	code, stored := f.send(as, "/api/files", body, length)
	key, _ := stored["key"].(string)
	if code != http.StatusOK || stored["size"] != float64(size) {
		f.t.Fatalf("form: %d %v", code, stored)
	}
	if code, n, sum := f.get(who, key, ""); code != http.StatusOK || n != size || sum != sumOf(stream(6, size)) {
		f.t.Errorf("file of a form: %d, %d bytes", code, n)
	}
	before := len(f.listed(who))
	as, body, length = form("\r\n--edge")
	if code, answer := f.send(as, "/api/files", body, length); code != http.StatusBadRequest || answer["error"] != "upload_incomplete" {
		f.t.Errorf("form that does not end: %d %v", code, answer)
	}
	if after := len(f.listed(who)); after != before {
		f.t.Errorf("%d files after a form that did not end, want %d", after, before)
	}
}

// testParts sends a file in parts, of which one is cut off in between.
func (f files) testParts(who header) {
	f.t.Helper()
	const partBytes, size = 8 << 20, 20 << 20
	var upload struct {
		ID    string
		Parts []struct{ Part int }
	}
	if code := f.call("POST", "/api/uploads", fmt.Sprintf(`{"filename":"parts.bin","size":%d}`, size), who, &upload); code != http.StatusOK {
		f.t.Fatalf("begin: %d", code)
	}
	at := "/api/uploads/" + upload.ID
	part := func(n int) (string, io.Reader, int64) {
		whole := stream(7, size)
		_, _ = io.CopyN(io.Discard, whole, int64(n-1)*partBytes)
		length := min(partBytes, size-int64(n-1)*partBytes)
		return fmt.Sprintf("%s/parts/%d", at, n), io.LimitReader(whole, length), length
	}
	for _, n := range []int{3, 1} {
		path, body, length := part(n)
		if code, answer := f.sendBy("PUT", who, path, body, length); code != http.StatusOK {
			f.t.Fatalf("part %d: %d %v", n, code, answer)
		}
	}
	path, body, length := part(2)
	f.cut("PUT "+path, who, io.LimitReader(body, length/2), length)
	if code, answer := f.send(who, at+"/complete", http.NoBody, 0); code != http.StatusConflict || answer["error"] != "parts_missing" {
		f.t.Errorf("without a part: %d %v", code, answer)
	}
	if code := f.call("GET", at, "", who, &upload); code != http.StatusOK || len(upload.Parts) != 2 || len(f.listed(who)) != 0 {
		f.t.Errorf("after the cut: %d, %v", code, upload.Parts)
	}
	path, body, length = part(2)
	if code, answer := f.sendBy("PUT", who, path, body, length); code != http.StatusOK {
		f.t.Fatalf("part 2: %d %v", code, answer)
	}
	code, stored := f.send(who, at+"/complete", http.NoBody, 0)
	key, _ := stored["key"].(string)
	if code != http.StatusOK {
		f.t.Fatalf("complete: %d %v", code, stored)
	}
	if code, n, sum := f.get(who, key, ""); code != http.StatusOK || n != size || sum != sumOf(stream(7, size)) {
		f.t.Errorf("file of parts: %d, %d bytes", code, n)
	}
}

// testSigned reads and sends without a token, and looks for the signature in all that the platform has written.
func (f files) testSigned(who header, key, sum, span string) {
	f.t.Helper()
	var reads, sends struct{ Path, Key string }
	if code := f.call("POST", "/api/signed", fmt.Sprintf(`{"method":"GET","key":%q}`, key), who, &reads); code != http.StatusOK {
		f.t.Fatalf("sign a read: %d", code)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), "GET", f.edge+reads.Path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Range", span)
	res := f.open(req)
	got := sumOf(res.Body)
	if _ = res.Body.Close(); res.StatusCode != http.StatusPartialContent || got != sum {
		f.t.Errorf("read by a URL: %d", res.StatusCode)
	}
	if code, answer := f.sendBy("GET", nil, reads.Path+"A", http.NoBody, 0); code != http.StatusForbidden || answer["error"] != "signature_invalid" {
		f.t.Errorf("a changed signature: %d %v", code, answer)
	}
	if code := f.call("POST", "/api/signed", `{"method":"PUT","filename":"sent.bin"}`, who, &sends); code != http.StatusOK {
		f.t.Fatalf("sign an upload: %d", code)
	}
	as := header{"Content-Type": "application/octet-stream"}
	if code, answer := f.sendBy("PUT", as, sends.Path, stream(8, 1<<20), 1<<20); code != http.StatusOK || answer["key"] != sends.Key {
		f.t.Errorf("send by a URL: %d %v", code, answer)
	}
	_, signature, _ := strings.Cut(reads.Path, "signature=")
	f.neverWritten(signature)
}

func (f files) neverWritten(secret string) {
	f.t.Helper()
	err := filepath.WalkDir(f.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // what is gone meanwhile holds nothing
		}
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), secret) {
			f.t.Errorf("%s holds a URL's signature", path)
		}
		return nil
	})
	if err != nil {
		f.t.Error(err)
	}
}

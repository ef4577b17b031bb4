package runtime

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
)

// lockedBuffer is a log that many write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *bed) post(script, body string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://x.test/", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	status, text, _, err := b.do(script, req)
	if err != nil {
		b.t.Fatal(err)
	}
	return status, text
}

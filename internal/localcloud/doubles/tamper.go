package doubles

import (
	"io"
	"net/http"
	"strings"
)

// tampered lets the beginning of an answer through and then spoils it. A stream's event is one Write; any other answer is spoilt in its middle.
type tampered struct {
	http.ResponseWriter
	request *http.Request
	kind    Kind
	after   int
	events  int
	spoilt  bool
}

func (t *tampered) Write(b []byte) (int, error) {
	if t.spoilt {
		return len(b), nil
	}
	if strings.HasPrefix(t.Header().Get("Content-Type"), "text/event-stream") {
		if t.events++; t.events <= t.after {
			return t.ResponseWriter.Write(b)
		}
		t.spoil(`data: {"choices":[{"index":0,"delta":{"content":` + "\n\n")
		return len(b), nil
	}
	if _, err := t.ResponseWriter.Write(b[:len(b)/2]); err != nil {
		return 0, err
	}
	t.spoil("")
	return len(b), nil
}

func (t *tampered) spoil(garbage string) {
	t.spoilt = true
	if t.kind == Malformed {
		_, _ = io.WriteString(t.ResponseWriter, garbage)
		return
	}
	t.Flush()
	if t.kind == Stall {
		hold(t.request, maxHold)
	}
	panic(http.ErrAbortHandler)
}

func (t *tampered) Flush() {
	if f, ok := t.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/joshdk/go-junit"
)

func readJUnit(t *testing.T, raw []byte) junit.Suite {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(string(raw)))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is no XML: %v", err)
		}
	}
	suites, err := junit.Ingest(raw)
	must(t, err)
	if len(suites) != 1 {
		t.Fatalf("%d suites", len(suites))
	}
	return suites[0]
}

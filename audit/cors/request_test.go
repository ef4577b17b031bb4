package cors

import (
	"net/http"
	"testing"

	"github.com/cognomega/edge/contract"
)

// A body as long as the longest upload, made for every preflight, was most of what a check took.
func TestOnlyARequestWithABodyMakesOne(t *testing.T) {
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range c.PublicPaths() {
		r := Request{Method: http.MethodOptions, Path: path, Probe: probePreflight}
		if n := testing.AllocsPerRun(1, func() { r.body(c) }); n != 0 {
			t.Errorf("a preflight of %s makes a body: %v allocations", path, n)
		}
	}
	if (Request{Path: c.PublicPaths()[0], Probe: probeBody}).body(c) == nil {
		t.Error("an oversized body is none")
	}
}

package report_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cognomega/edge/internal/browsertest"
)

// browser looks at reports.
type browser struct {
	*browsertest.Browser
	t *testing.T
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.New(t), t}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// view is how a page is looked at.
type view struct {
	width, height int
	dark, phone   bool
	media         string // "print", or the screen
}

// open loads a page from a file and waits until it is laid out.
func (b *browser) open(page []byte, v view) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "report.html")
	must(b.t, os.WriteFile(file, page, 0o600))
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.width, "height": v.height, "screenWidth": v.width, "screenHeight": v.height, "deviceScaleFactor": 1, "mobile": v.phone}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{"media": v.media, "features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.Forget()
	b.Call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	b.Eval("document.readyState === 'complete' || new Promise(done => addEventListener('load', done))", nil)
	b.Eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))", nil)
}

// screenshot keeps the whole page as a picture among the test's artifacts.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	var picture struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &picture)
	b.Keep(name, picture.Data)
}

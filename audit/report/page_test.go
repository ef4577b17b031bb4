package report_test

import (
	"bytes"
	_ "embed" // the script that looks at a page
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/report"
)

//go:embed testdata/look.js
var look string

func page(t *testing.T, r *report.Report) []byte {
	t.Helper()
	raw, err := r.HTML()
	must(t, err)
	return raw
}

var views = map[string]view{
	"phone":        {width: 360, height: 780, phone: true},
	"phone-dark":   {width: 360, height: 780, phone: true, dark: true},
	"tablet":       {width: 768, height: 1024},
	"desktop":      {width: 1280, height: 900},
	"desktop-dark": {width: 1280, height: 900, dark: true},
	"paper":        {width: 690, height: 1000, media: "print"},
	"paper-dark":   {width: 690, height: 1000, media: "print", dark: true},
}

// TestThePageInABrowser looks at the page as people would, and keeps what they would see among the test's artifacts.
func TestThePageInABrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for name, r := range map[string]*report.Report{"wholesome": wholesome(), "troubled": troubled(), "empty": empty(), "unfinished": unfinished()} {
		html := page(t, r)
		for from, v := range views {
			b.open(html, v)
			for _, wrong := range b.wrong(v) {
				t.Errorf("%s, %s: %s", name, from, wrong)
			}
			b.screenshot(name + "-" + from + ".png")
		}
		var pdf struct{ Data string }
		b.Call("Page.printToPDF", map[string]any{"preferCSSPageSize": true}, &pdf)
		if raw := b.Keep(name+".pdf", pdf.Data); !bytes.HasPrefix(raw, []byte("%PDF-")) || bytes.Count(raw, []byte("/Type /Page\n")) > 8 {
			t.Errorf("%s: on paper it is %d bytes on %d pages", name, len(raw), bytes.Count(raw, []byte("/Type /Page\n")))
		}
	}
}

// empty is a report of which nothing is known.
func empty() *report.Report {
	r := wholesome()
	r.Verdict, r.Headline = "inconclusive", "Nothing is known to be wrong; 5 promises are not decided"
	r.Checks, r.Routes, r.CORS, r.Objectives, r.Keys, r.Drift = nil, nil, nil, nil, report.Keys{}, report.Drift{Verdict: "inconclusive", Because: "no snapshot is kept"}
	return r
}

// unfinished is a report of a platform that a killed promotion left in the middle.
func unfinished() *report.Report {
	r := wholesome()
	r.Unfinished = &promotion.Unfinished{
		Text: "a promotion is unfinished: release 0b9153d9f2a1 to production, begun 2026-11-22T18:10:00Z by run 4711; production may serve a part of it",
		Hint: "run the deploy workflow again at commit 7122c39ab01f (cogctl promote), which goes on with it; or go back: cogctl promote --rollback",
	}
	r.Conclude()
	return r
}

// TestGatesAndWhatIsUnfinishedAreShown looks for them in every form of the report.
func TestGatesAndWhatIsUnfinishedAreShown(t *testing.T) {
	t.Parallel()
	r := troubled()
	html := string(page(t, r))
	for _, want := range []string{"phase1</th>", "credits is missing; usage-drain is stale", "cogctl gate phase1 --explain --env production", "? shut", "✗ shut"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	xml, err := unfinished().JUnit()
	must(t, err)
	suite := readJUnit(t, xml)
	states := map[string]string{}
	for _, test := range suite.Tests {
		states[test.Classname] = string(test.Status)
	}
	if states["cogctl.production.gate-phase1"] != "passed" || states["cogctl.production.promotion-unfinished"] != "error" {
		t.Errorf("JUnit: %v", states)
	}
	u := unfinished()
	if html = string(page(t, u)); u.Verdict != "inconclusive" || !strings.Contains(html, "<h1><span class=\"sign\" aria-hidden=\"true\">?</span> A promotion is unfinished</h1>") || !strings.Contains(html, "production may serve a part of it. Run the deploy workflow again") {
		t.Errorf("%s: %s", u.Verdict, html[:min(len(html), 9000)])
	}
}

// wrong lists what a person, or a browser, would complain of.
func (b *browser) wrong(v view) []string {
	b.t.Helper()
	var height float64
	b.Eval("document.documentElement.scrollHeight", &height)
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.width, "height": int(height) + 1, "screenWidth": v.width, "screenHeight": int(height) + 1, "deviceScaleFactor": 1, "mobile": v.phone}, nil)
	b.Eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))", nil)
	var seen struct {
		Problems []string
		Texts    int
	}
	b.Eval(look, &seen)
	if seen.Texts < 30 {
		seen.Problems = append(seen.Problems, fmt.Sprintf("only %d texts were looked at", seen.Texts))
	}
	for _, request := range b.Saw("Network.requestWillBeSent", "Network.webSocketCreated") {
		if !strings.Contains(request, `"type":"Document"`) && !strings.Contains(request, `"url":"data:`) {
			seen.Problems = append(seen.Problems, "it asks for something: "+request)
		}
	}
	return append(seen.Problems, b.Saw("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")...)
}

// TestWhatIsWrongIsSeen plants what the test above looks for.
func TestWhatIsWrongIsSeen(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	good := string(page(t, wholesome()))
	relaxed := regexp.MustCompile(`<meta http-equiv[^>]*>`).ReplaceAllString(good, "")
	for name, tt := range map[string]struct{ page, plant, want string }{
		"a request":           {relaxed, `<img src="http://127.0.0.1:9/x.png" alt="">`, "it asks for something"},
		"a request forbidden": {good, `<img src="http://127.0.0.1:9/x.png" alt="">`, "Log.entryAdded"},
		"a script":            {good, `<script>document.title = "mine"</script>`, "Log.entryAdded"},
		"an error":            {relaxed, `<script>throw new Error("planted")</script>`, "planted"},
		"wide":                {good, `<pre class="url"><svg width="700" height="5" role="img" aria-label="x"></svg></pre>`, "the page is"},
		"pale":                {relaxed, `<p class="pale">pale words</p><style>.pale { color: #bbb }</style>`, "contrast"},
		"a heading too deep":  {good, `<h4>deep</h4>`, "skips a level"},
	} {
		v := views["phone"]
		b.open([]byte(strings.Replace(tt.page, "</main>", tt.plant+"</main>", 1)), v)
		if got := strings.Join(b.wrong(v), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: want %q among %q", name, tt.want, got)
		}
	}
}

const hostile = `"'><script>document.title='mine'</script><img src=http://127.0.0.1:9/ onerror=alert(1)>&lt;{{.}}` + "\x00\u202e`</style></title>"

// TestNothingOfTheAccountIsMarkup puts markup into every text of a report: names of an account are chosen by strangers.
func TestNothingOfTheAccountIsMarkup(t *testing.T) {
	t.Parallel()
	r := troubled()
	if n := poison(reflect.ValueOf(r).Elem()); n < 100 {
		t.Fatalf("only %d texts were changed", n)
	}
	html := page(t, r)
	clean := page(t, troubled())
	for _, tag := range []string{"<script", "<img", "<style", "</style", "</title", "<svg"} {
		if got, want := bytes.Count(html, []byte(tag)), bytes.Count(clean, []byte(tag)); got > want {
			t.Errorf("%s is there %d times, of which %d are ours", tag, got, want)
		}
	}
	b := newBrowser(t)
	b.open(html, views["desktop"])
	var title string
	var elements int
	b.Eval("document.title", &title)
	b.Eval("document.querySelectorAll('script, img, iframe, a, [onerror], [style]').length", &elements)
	if title == "mine" || elements > 0 {
		t.Errorf("the title is %q, and %d elements are not ours", title, elements)
	}
	if asked := b.Saw("Network.requestWillBeSent"); len(asked) > 2 {
		t.Errorf("it asks for %q", asked)
	}
	xml, err := r.JUnit()
	must(t, err)
	readJUnit(t, xml)
}

// poison replaces every text below v; verdicts and states stay, as they choose what is shown.
func poison(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.String:
		if k := v.Type().Name(); v.CanSet() && k == "string" {
			v.SetString(v.String() + hostile)
			return 1
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Type.PkgPath() != "time" && v.Type().Field(i).Name != "Outcome" {
				n += poison(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += poison(v.Index(i))
		}
	}
	return n
}

func TestThePageIsOneSmallFile(t *testing.T) {
	t.Parallel()
	html := page(t, troubled())
	if len(html) > 200<<10 || bytes.Contains(html, []byte("ZgotmplZ")) {
		t.Errorf("%d bytes", len(html))
	}
	verdict, todo, chart := bytes.Index(html, []byte("<h1>")), bytes.Index(html, []byte("The one thing to do")), bytes.Index(html, []byte("<svg"))
	if !(verdict > 0 && verdict < todo && todo < chart) {
		t.Errorf("the verdict is at %d, what to do at %d, the first chart at %d", verdict, todo, chart)
	}
	must(t, os.WriteFile(filepath.Join(t.ArtifactDir(), "troubled.html"), html, 0o600))
}

package runtime

import (
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// oldestDate is what Cloudflare takes a script without a compatibility date for.
const oldestDate = "2021-11-02"

// worker writes a candidate's Worker struct.
func (c *conf) worker(m Candidate) (string, error) {
	code, err := c.code(m)
	if err != nil {
		return "", err
	}
	bindings, err := c.bindings(m)
	if err != nil {
		return "", err
	}
	date := m.Version.CompatibilityDate
	if date == "" {
		date = oldestDate
	}
	pairs := append(code, "compatibilityDate", quote(date), "compatibilityFlags", quotedList(m.Version.CompatibilityFlags),
		"bindings", list(bindings))
	if m.ownsObjects() {
		pairs = append(pairs, c.objects(m.Version)...)
	}
	return fields(pairs...), nil
}

// code writes the modules. The first is ours: it names the script on each console line and tells which handlers there are,
// then re-exports the script's own main module, so that a request runs nothing of it.
func (c *conf) code(m Candidate) ([]string, error) {
	v := m.Version
	if v.MainModule == "" {
		return c.serviceWorker(m)
	}
	var main store.Module
	for _, mod := range v.Modules {
		if mod.Name == v.MainModule {
			main = mod
		}
	}
	if main.Name == "" {
		return nil, fault.New(fault.Invalid, "no such module %q: it is named as the main module, and was not uploaded", v.MainModule)
	}
	hasDefault, err := c.exportsDefault(main.Digest)
	if err != nil {
		return nil, err
	}
	name := m.Script.Name
	modules := []string{
		fields("name", quote(name+"/"+entryModule), "esModule", quote(entrySource(main.Name, hasDefault))),
		fields("name", quote(name+"/"+consoleModule), "esModule", quote(consoleSource(name))),
	}
	for _, mod := range v.Modules {
		kind, err := moduleKind(mod, mod.Name == v.MainModule)
		if err != nil {
			return nil, err
		}
		if kind == "" {
			continue
		}
		modules = append(modules, fields("name", quote(path.Join(name, mod.Name)), kind, c.embed(mod.Digest)))
	}
	return []string{"modules", list(modules)}, nil
}

func (c *conf) embed(digest string) string {
	c.blobs[digest] = true
	return `embed "m/` + digest + `"`
}

// serviceWorker is the older syntax: one script that calls addEventListener.
func (c *conf) serviceWorker(m Candidate) ([]string, error) {
	for _, mod := range m.Version.Modules {
		if kind, err := moduleKind(mod, true); err == nil && kind == "esModule" {
			return []string{"serviceWorkerScript", c.embed(mod.Digest)}, nil
		}
	}
	return nil, fault.New(fault.Invalid, "the upload has neither a main module nor a script body")
}

// moduleKind is workerd's name for a module of that media type; empty for parts that are not code.
func moduleKind(m store.Module, main bool) (string, error) {
	media, _, err := mime.ParseMediaType(m.Type)
	if err != nil {
		media = strings.TrimSpace(m.Type)
	}
	switch media {
	case "application/javascript+module", "text/javascript+module":
		return "esModule", nil
	case "application/javascript", "text/javascript", "application/x-javascript":
		if main || media == "text/javascript" {
			return "esModule", nil
		}
		return "commonJsModule", nil
	case "application/wasm":
		return "wasm", nil
	case "application/octet-stream":
		return "data", nil
	case "application/json":
		return "json", nil
	case "application/source-map":
		return "", nil
	}
	if strings.HasPrefix(media, "text/") && media != "text/x-python" && media != "text/x-python-requirement" {
		return "text", nil
	}
	return "", fault.New(fault.Unsupported, "module %q has the type %q, which is not run here", m.Name, m.Type)
}

const (
	entryModule   = "cogctl-entry.js"
	consoleModule = "cogctl-console.js"
)

// entrySource is the generated main module.
func entrySource(main string, hasDefault bool) string {
	spec := jsString("./" + main)
	var b strings.Builder
	fmt.Fprintf(&b, "import %s;\nimport * as worker from %s;\n", jsString("./"+consoleModule), spec)
	fmt.Fprintf(&b, "export * from %s;\n", spec)
	if hasDefault {
		fmt.Fprintf(&b, "export { default } from %s;\n", spec)
	}
	fmt.Fprintf(&b, describeSource, jsString(describeMark))
	return b.String()
}

func consoleSource(script string) string {
	return fmt.Sprintf(consoleTemplate, jsString(scriptMark+script+scriptMark))
}

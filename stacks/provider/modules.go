package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// moduleTypes are the media types that Cloudflare takes for modules, by extension.
var moduleTypes = map[string]string{
	".js": "application/javascript+module", ".mjs": "application/javascript+module", ".cjs": "application/javascript",
	".wasm": "application/wasm", ".txt": "text/plain", ".html": "text/plain", ".sql": "text/plain",
	".bin": "application/octet-stream", ".map": "application/source-map", ".json": "application/json", ".py": "text/x-python",
}

// inlineLimit bounds modules given as content, which the state then carries.
const inlineLimit = 32 << 10

func moduleType(name string, m Module) string {
	if m.Type != nil && *m.Type != "" {
		return *m.Type
	}
	return moduleTypes[strings.ToLower(path.Ext(name))]
}

func (m Module) read() ([]byte, error) {
	if m.Content != nil {
		return []byte(*m.Content), nil
	}
	return os.ReadFile(text(m.Path))
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// bundleDigest is one digest over all modules: their names, types and contents.
func bundleDigest(w WorkerScriptArgs) string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(w.Modules)) {
		m := w.Modules[name]
		sum.Write([]byte(name + "\x00" + moduleType(name, m) + "\x00" + text(m.Digest) + "\n"))
	}
	sum.Write([]byte(w.MainModule))
	return hex.EncodeToString(sum.Sum(nil))
}

// loadModules reads the bundle, and refuses one that is not what was planned: the plan was judged by its digests.
func loadModules(w WorkerScriptArgs) ([]cfapi.Module, error) {
	var out []cfapi.Module
	for _, name := range slices.Sorted(maps.Keys(w.Modules)) {
		m := w.Modules[name]
		content, err := m.read()
		if err != nil {
			return nil, fault.New(fault.Invalid, "read module %q of script %s: %w", name, w.Name, err)
		}
		if planned := text(m.Digest); planned != "" && planned != digest(content) {
			return nil, fault.New(fault.Conflict, "module %q of script %s changed while it was being deployed", name, w.Name).
				WithHint("run the deployment again; nothing was uploaded")
		}
		out = append(out, cfapi.Module{Name: name, Type: moduleType(name, m), Content: content})
	}
	return out, nil
}

package runtime

import (
	"embed"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/cognomega/edge/internal/fault"
	"github.com/evanw/esbuild/pkg/api"
)

//go:embed js
var helpers embed.FS

// helperFiles are the sources that configurations embed as m/<name>.
var helperFiles = []string{"dispatch.js", "objects.js", "missing.js", "ratelimit.js", "split.js"}

// Marks that set our lines apart in a process's output: which script wrote it, and what a script exports.
const (
	scriptMark   = "\x01"
	describeMark = "\x02"
)

// consoleTemplate names the script on every console line: the scripts of a process share one standard output.
const consoleTemplate = `const mark = %s;
for (const level of ["debug", "log", "info", "warn", "error", "trace"]) {
  const write = console[level];
  console[level] = (...args) => typeof args[0] === "string" ? write(mark + args[0], ...args.slice(1)) : write(mark, ...args);
}
`

// describeSource prints, once at start, the events that each export answers.
const describeSource = `import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
{
  const methods = (value) => {
    const names = new Set();
    const start = typeof value === "function" ? value.prototype : value;
    for (let o = start; o && o !== Object.prototype && o !== DurableObject.prototype && o !== WorkerEntrypoint.prototype; o = Object.getPrototypeOf(o)) {
      for (const name of Object.getOwnPropertyNames(o)) {
        const property = Object.getOwnPropertyDescriptor(o, name);
        if (name !== "constructor" && typeof property.value === "function") names.add(name);
      }
    }
    return [...names].sort();
  };
  const kind = (value) => typeof value !== "function" ? "object"
    : DurableObject.isPrototypeOf(value) ? "durable-object" : WorkerEntrypoint.isPrototypeOf(value) ? "entrypoint" : "class";
  const exports = [];
  for (const [name, value] of Object.entries(worker)) {
    if (value !== null && (typeof value === "object" || (typeof value === "function" && value.prototype))) {
      exports.push({ name, kind: kind(value), handlers: methods(value) });
    }
  }
  console.log(%s + JSON.stringify(exports));
}
`

// jsString writes a JavaScript string literal; JSON is a subset of it since ES2019.
func jsString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// writeHelpers puts our own modules where the configurations embed them from.
func writeHelpers(dir string) error {
	for _, name := range helperFiles {
		b, err := helpers.ReadFile("js/" + name)
		if err != nil {
			return fault.New(fault.Internal, "read helper module %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return fault.New(fault.Internal, "write helper module: %w", err)
		}
	}
	return nil
}

// exportsDefault says whether an ES module has a default export. One that does not parse says no: workerd will say why.
func (c *conf) exportsDefault(digest string) (bool, error) {
	f, err := c.env.store.OpenBlob(digest)
	if err != nil {
		return false, err
	}
	defer f.Close()
	source, err := io.ReadAll(f)
	if err != nil {
		return false, fault.New(fault.Internal, "read module %s: %w", digest, err)
	}
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: string(source), Loader: api.LoaderJS}, Metafile: true, Format: api.FormatESModule,
		LogLevel: api.LogLevelSilent, Outfile: "out.js", Target: api.ESNext,
	})
	var meta struct {
		Outputs map[string]struct{ Exports []string }
	}
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return false, nil
	}
	for _, out := range meta.Outputs {
		for _, name := range out.Exports {
			if name == "default" {
				return true, nil
			}
		}
	}
	return false, nil
}

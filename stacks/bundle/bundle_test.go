package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/bundle"
)

// clone writes a small repository with one Worker, a shared file and a package.
func clone(t *testing.T, edits map[string]string) string {
	t.Helper()
	files := map[string]string{
		"workers/hello-svc/src/worker.ts":            "import { greet } from \"../../shared/src/greet\";\nimport { loud } from \"loud\";\nimport { DurableObject } from \"cloudflare:workers\";\nexport class Room extends DurableObject {}\nexport default { fetch(): Response { return new Response(loud(greet(\"wörld\"))); } };\n",
		"workers/shared/src/greet.ts":                "/** Greets. */\nexport function greet(name: string): string {\n\treturn `hello ${name}`;\n}\nexport const unused = \"not in the bundle\";\n",
		"workers/other-svc/src/worker.ts":            "export const secret = 1;\nexport default {};\n",
		"workers/node_modules/loud/package.json":     `{"name":"loud","type":"module","exports":{"workerd":"./workerd.js","default":"./node.js"}}`,
		"workers/node_modules/loud/workerd.js":       "export const loud = (s) => s.toUpperCase();\n",
		"workers/node_modules/loud/node.js":          "import os from \"os\";\nexport const loud = (s) => s + os.EOL;\n",
		"workers/tsconfig.json":                      `{"compilerOptions":{"target":"es5","experimentalDecorators":true}}`,
		"workers/hello-svc/src/env.gen.d.ts":         "export interface Env {}\n",
		"workers/node_modules/loud/not-used.test.js": "throw new Error();\n",
	}
	for name, text := range edits {
		files[name] = text
	}
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func build(t *testing.T, root string) bundle.Result {
	t.Helper()
	r, err := bundle.Build(t.Context(), root, "hello-svc")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBuildIsTheSameInEveryFolder(t *testing.T) {
	t.Parallel()
	one, two := build(t, clone(t, nil)), build(t, clone(t, nil))
	if !bytes.Equal(one.Code, two.Code) || !bytes.Equal(one.Map, two.Map) || one.Digest != two.Digest {
		t.Fatalf("two clones of the same sources differ: %s and %s", one.Digest, two.Digest)
	}
	if one.Size != len(one.Code) || len(one.Digest) != 64 {
		t.Errorf("size %d of %d bytes, digest %q", one.Size, len(one.Code), one.Digest)
	}
}

func TestBuildMakesOneModuleForWorkerd(t *testing.T) {
	t.Parallel()
	r := build(t, clone(t, nil))
	code := string(r.Code)
	for _, want := range []string{`from "cloudflare:workers"`, "toUpperCase", "as default", "Room", "//# sourceMappingURL=worker.js.map"} {
		if !strings.Contains(code, want) {
			t.Errorf("no %q in\n%s", want, code)
		}
	}
	for _, not := range []string{"not in the bundle", "EOL", "../../shared"} {
		if strings.Contains(code, not) {
			t.Errorf("%q in\n%s", not, code)
		}
	}
	if m := string(r.Map); !strings.Contains(m, "workers/shared/src/greet.ts") || !strings.Contains(m, "Greets.") {
		t.Errorf("the map does not lead to the sources: %s", m)
	}
}

func TestDigestFollowsTheCode(t *testing.T) {
	t.Parallel()
	before := build(t, clone(t, nil))
	after := build(t, clone(t, map[string]string{"workers/shared/src/greet.ts": "export const greet = (name: string) => `hi ${name}`;\n"}))
	if before.Digest == after.Digest {
		t.Error("changed code kept its digest")
	}
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edits map[string]string
		kind  fault.Kind
		want  string
	}{
		"a syntax error": {
			map[string]string{"workers/shared/src/greet.ts": "export function greet(name: string) {\n\tconst é = ; return name;\n}\n"}, fault.Invalid,
			"workers/shared/src/greet.ts:2:12: Unexpected \";\"\n    \tconst é = ; return name;\n    \t          ^",
		},
		"a file that is not there": {
			map[string]string{"workers/shared/src/greet.ts": "export { greet } from \"./lost\";\n"}, fault.Invalid,
			"workers/shared/src/greet.ts:1:23: Could not resolve \"./lost\"",
		},
		"an export that is not there": {
			map[string]string{"workers/shared/src/greet.ts": "export const great = 1;\n"}, fault.Invalid,
			"workers/hello-svc/src/worker.ts:1:10: No matching export in \"workers/shared/src/greet.ts\" for import \"greet\"",
		},
		"another Worker's code": {
			map[string]string{"workers/shared/src/greet.ts": "export { secret as greet } from \"../../other-svc/src/worker\";\n"}, fault.Invalid,
			"it imports workers/other-svc/src/worker.ts",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle.Build(t.Context(), clone(t, tt.edits), "hello-svc")
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || fault.HintOf(err) == "" {
				t.Errorf("got  %v\nwant %s with a hint", err, tt.want)
			}
		})
	}
}

func TestBuildRefusesNames(t *testing.T) {
	t.Parallel()
	root := clone(t, nil)
	for worker, kind := range map[string]fault.Kind{"": fault.Invalid, "../hello-svc": fault.Invalid, "lost-svc": fault.NotFound} {
		if _, err := bundle.Build(t.Context(), root, worker); !errors.Is(err, kind) {
			t.Errorf("%q: got %v, want %s", worker, err, kind)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "workers", "node_modules")); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Build(t.Context(), root, "hello-svc"); fault.HintOf(err) != "npm ci --prefix workers" {
		t.Errorf("without packages: %v", err)
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bundle.Build(ctx, clone(t, nil), "hello-svc"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	root := clone(t, nil)
	r := build(t, root)
	for range 2 { // a second time replaces
		path, err := r.Write(root)
		if err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string][]byte{path: r.Code, path + ".map": r.Map} {
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", file, len(got), err)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(root, ".cache", "bundles", "hello-svc", "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left %v, %v", left, err)
	}
}

package runtime

import (
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// addWasm is (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)).
const addWasm = "\x00asm\x01\x00\x00\x00\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\x00\x07\x07\x01\x03add\x00\x00\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b"

func TestModuleKinds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.deploy(upload{
		name: "app", js: `import wasm from "./add.wasm"; import conf from "../conf.json"; import { twice } from "../lib/twice.js"; import cjs from "../old.cjs";
const { exports } = new WebAssembly.Instance(wasm);
export default { async fetch() { return Response.json([exports.add(2, 3), conf.a, twice(4), cjs.name, new Error("x").stack.includes("index.js:3")]); } };`,
		edit: func(v *store.Version) {
			v.MainModule, v.Modules[0].Name = "src/index.js", "src/index.js"
			v.Modules = append(v.Modules, b.blob("src/add.wasm", "application/wasm", []byte(addWasm)), b.blob("conf.json", "application/json", []byte(`{"a":1}`)),
				b.blob("lib/twice.js", moduleJS, []byte(`export const twice = (n) => 2 * n;`)), b.blob("old.cjs", "application/javascript", []byte(`module.exports = { name: "old" };`)))
		},
	}, upload{name: "classic", js: `addEventListener("fetch", (e) => e.respondWith(new Response("classic " + WORD + " " + new Uint8Array(BLOB)[0])));`,
		bindings: []store.Binding{{Name: "WORD", Type: "plain_text", Text: "syntax"}, {Name: "BLOB", Type: "data_blob", Part: "blob"}},
		edit: func(v *store.Version) {
			v.MainModule, v.Modules[0].Type = "", "application/javascript"
			v.Modules = append(v.Modules, b.blob("blob", "application/octet-stream", []byte{7}))
		},
	}, upload{name: "no-default", js: `export class Only {}`})
	b.want("app", "/", `[5,1,8,"old",true]`)
	b.want("classic", "/", "classic syntax 7")
	_, err := b.try(upload{name: "app", js: "export default {}", modules: []store.Module{b.blob("x.py", "text/x-python", []byte("pass"))}})
	if err == nil || !strings.Contains(err.Error(), "x.py") {
		t.Errorf("a Python module: %v", err)
	}
}

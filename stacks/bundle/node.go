package bundle

import (
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// builtin are the modules of Node.js that drivers ask for by their bare names, and that Workers has under nodejs_compat.
var builtin = regexp.MustCompile(`^(node:)?(assert|async_hooks|buffer|crypto|dns|events|fs|net|os|path|process|stream|string_decoder|timers|tls|url|util)(/[a-z]+)?$`)

// nodeNamespace marks the modules that stand between a require and Node.js's own module.
const nodeNamespace = "node-builtin"

// nodeModules lets CommonJS require what workerd has as ES modules alone: there is no require in a Worker. It is read when it is required,
// not when the Worker starts: node:crypto, node:net and what they need hold 1.3 MB in each isolate.
func nodeModules() api.Plugin {
	return api.Plugin{Name: nodeNamespace, Setup: func(build api.PluginBuild) {
		build.OnResolve(api.OnResolveOptions{Filter: builtin.String()}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			name := "node:" + strings.TrimPrefix(args.Path, "node:")
			if args.Kind != api.ResolveJSRequireCall {
				return api.OnResolveResult{Path: name, External: true}, nil
			}
			return api.OnResolveResult{Path: name, Namespace: nodeNamespace}, nil
		})
		build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: nodeNamespace}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			source := `const all = process.getBuiltinModule("` + args.Path + `"); module.exports = all.default ?? all;`
			return api.OnLoadResult{Contents: &source, Loader: api.LoaderJS}, nil
		})
	}}
}

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// plan is what `pulumi preview --json` writes, shortened to what is judged.
const plan = `{"steps":[
 {"op":"create","urn":"urn:pulumi:local::cognomega::cloudflare:index/workersRoute:WorkersRoute::cognomega-api",
  "newState":{"type":"cloudflare:index/workersRoute:WorkersRoute","inputs":{"pattern":"api.cognomega.localhost/*","scriptName":"cognomega-api"}}},
 {"op":"update","urn":"urn:pulumi:local::cognomega::cognomega:index:WorkerScript::auth-svc",
  "oldState":{"type":"cognomega:index:WorkerScript","inputs":{}},
  "newState":{"type":"cognomega:index:WorkerScript","inputs":{"previews":PREVIEWS,"bindings":[{"name":"ISSUER","type":"plain_text","text":"https://api.cognomega.localhost"}],"secrets":{"4dabf18193072939515e22adb298388d":"1b47061264138c4ac30d75fd1eb44270","ciphertext":"v1:top-secret"}}}},
 {"op":"DELETE","urn":"urn:pulumi:local::cognomega::cloudflare:index/queue:Queue::jobs",
  "oldState":{"type":"cloudflare:index/queue:Queue","inputs":{"name":"jobs"}}}
]}`

// The same rules judge a plan, a snapshot and what is live; each of them is spoiled in one way, and the rule is named.
func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	check := func(want int, says, args string) {
		t.Helper()
		for _, fake := range []term.Fake{{}, {TTY: true, NoColor: true, Width: 55}} {
			tm, out, errs := term.Test(fake)
			d := cli.NewDeps("test")
			d.Term, d.WorkDir, d.Getenv = tm, root, func(string) string { return "" }
			if code := cli.Run(t.Context(), d, append([]string{"policy", "check"}, strings.Fields(args)...)); code != want || !strings.Contains(out.String()+errs.String(), says) {
				t.Errorf("%s: exit %d, want %d and %q\n%s%s", args, code, want, says, out, errs)
			}
			if strings.Contains(out.String(), "top-secret") {
				t.Errorf("a secret is shown: %s", out)
			}
		}
	}
	file := func(name, previews, op string) string {
		path := filepath.Join(dir, name)
		text := strings.ReplaceAll(strings.ReplaceAll(plan, "PREVIEWS", previews), "DELETE", op)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	check(fault.ExitOK, "nothing is broken", file("good.json", "false", "same"))
	check(fault.ExitRefused, "deny_previews", file("previews.json", "true", "same"))
	check(fault.ExitRefused, "deny_stateful_delete", file("delete.json", "false", "delete"))
	check(fault.ExitOK, "nothing is broken", file("meant.json", "false", "delete")+" --allow-delete")
	check(fault.ExitRefused, "stack_deny_production_outside_github", file("laptop.json", "false", "same")+" --env production")
	check(fault.ExitUsage, "neither a snapshot nor a plan", filepath.Join(root, "go.mod"))
}

// What somebody opened by hand is found in the account, and again in the snapshot of it.
func TestPolicyCheckOfWhatIsLive(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.deps.WorkDir = filepath.Join("..", "..", "..")
	if code := b.run("policy", "check"); code != fault.ExitOK || !strings.Contains(b.out.String(), "nothing is broken") {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	target, err := b.deps.Target(t.Context(), "production")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.API.CF().Raw(t.Context(), "POST", "/accounts/"+account+"/workers/scripts/cognomega-api/subdomain", map[string]bool{"enabled": true}, nil); err != nil {
		t.Fatal(err)
	}
	if code := b.run("policy", "check", "live"); code != fault.ExitRefused || !strings.Contains(b.out.String(), "deny_workers_dev") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	kept := filepath.Join(b.dir, "spoiled.json")
	if code := b.run("env", "snapshot", "--out", kept); code != fault.ExitOK {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("policy", "check", kept); code != fault.ExitRefused || !strings.Contains(b.out.String(), "Worker cognomega-api is served at workers.dev") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

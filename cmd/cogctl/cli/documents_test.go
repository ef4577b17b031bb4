package cli_test

import (
	"flag"

	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/fault"
)

// update writes the schemas anew: go test ./cmd/cogctl/cli -run TestEveryDocument -update, then read the difference.
var update = flag.Bool("update", false, "write the schemas of documents from the types that are printed")

// use is a command as somebody runs it on a platform that stands. The list is run in its order.
type use struct {
	args string
	exit int
	file any    // a document that is written as it is and not as a report: a value of its type
	says string // on stderr, of one that prints no document
}

// uses has every command, but for those of documentless, and every command that writes once more with --dry-run. $DIR is a folder
// of the test; $PROOF, $KEY, $KID, $ADMIN $ACCOUNT, $QUEUE and $FILE are a proof, a public key, a published signing key's id, the admin
// key's file, an account of the ledger, a queue, and the key of ada's newest file.
var uses = []use{
	{args: "version"}, {args: "schema"}, {args: "local start"}, {args: "local status"},
	{args: "doctor"}, {args: "up --dry-run"}, {args: "up"}, {args: "up --dry-run"}, {args: "up"}, {args: "preview --refresh"}, {args: "status"}, {args: "doctor"}, {args: "local logs cognomega-api"},
	{args: "prove phase0 --dry-run"}, {args: "prove phase0"}, {args: "prove phase1 --dry-run", says: "would make up an account"}, {args: "prove phase1 --burst 20 --skip-outage"}, {args: "prove phase2 --dry-run", says: "would have the providers"}, {args: "prove phase2 --fault 500", exit: anyVerdict}, {args: "verify $PROOF"}, {args: "preflight"},
	{args: "slo prove --dry-run"}, {args: "slo prove ai-binding --rate 20 --duration 3s", exit: anyVerdict}, {args: "slo prove credits-kv credits-neon --rate 20 --duration 3s", exit: anyVerdict}, {args: "slo report", exit: anyVerdict}, {args: "slo report --from analytics", exit: anyVerdict},
	{args: "gate"}, {args: "gate phase0"}, {args: "gate phase1"}, {args: "gate phase2", exit: fault.ExitRefused}, {args: "gate promote", exit: fault.ExitRefused},
	{args: "promote --dry-run", exit: fault.ExitRefused}, {args: "promote", exit: fault.ExitRefused},
	{args: "audit routes"}, {args: "audit routes --account", exit: anyVerdict}, {args: "audit routes capture -", file: routes.Capture{}}, {args: "audit routes capture $DIR/before.json", says: "before.json"}, {args: "audit routes compare $DIR/before.json"},
	{args: "audit cors --plan"}, {args: "audit cors", exit: anyVerdict},
	{args: "env snapshot --dry-run", file: snapshot.Snapshot{}}, {args: "env snapshot --out $DIR/snapshot.json", file: snapshot.Snapshot{}},
	{args: "env verify $DIR/snapshot.json"}, {args: "env diff"}, {args: "env list $DIR"},
	{args: "report --dry-run", exit: anyVerdict}, {args: "report --html $DIR/page.html", exit: anyVerdict},
	{args: "contract show"}, {args: "contract explain cognomega-api"}, {args: "keys list"}, {args: "keys show"}, {args: "keys create --dry-run"}, {args: "keys create"},
	{args: "keys trust --dry-run $KEY"}, {args: "keys trust $KEY"},
	{args: "jwks show"}, {args: "jwks status"}, {args: "jwks verify"}, {args: "jwks list"}, {args: "jwks rotate --dry-run"}, {args: "jwks rotate --no-wait"},
	{args: "jwks resume --dry-run"}, {args: "jwks resume --no-wait"}, {args: "jwks revoke $KID --dry-run"}, {args: "jwks revoke $KID --yes"},
	{args: "token guest"}, {args: "token mint --email ada@example.com --admin-key-file $ADMIN"}, {args: "token inspect"},
	{args: "token introspect --admin-key-file $ADMIN"}, {args: "token revoke --dry-run --admin-key-file $ADMIN"}, {args: "token revoke --reason test --admin-key-file $ADMIN"},
	{args: "db up --dry-run"}, {args: "db up"}, {args: "db status"}, {args: "db verify"}, {args: "db psql-url"}, {args: "db down --dry-run"},
	{args: "credits show nobody@example.com", exit: fault.ExitAPI, says: "nobody@example.com"}, {args: "credits show $ACCOUNT"}, {args: "credits statement $ACCOUNT"},
	{args: "files put ada@example.com $DIR/before.json --dry-run"}, {args: "files put ada@example.com $DIR/before.json"}, {args: "files list ada@example.com"},
	{args: "files get ada@example.com $FILE --to $DIR/fetched.json --dry-run"}, {args: "files get ada@example.com $FILE --to $DIR/fetched.json"},
	{args: "files sign ada@example.com $FILE --dry-run"}, {args: "files sign ada@example.com $FILE"}, {args: "files sign ada@example.com a.png --upload --content-type image/png"},
	{args: "files get bob@example.com $FILE", exit: fault.ExitAPI, says: "403"},
	{args: "files rm ada@example.com $FILE --dry-run"}, {args: "files rm ada@example.com $FILE --yes"},
	{args: "ledger verify"}, {args: "ledger export --to $DIR/ledger.jsonl --dry-run"}, {args: "ledger export --to $DIR/ledger.jsonl"}, {args: "ledger verify --file $DIR/ledger.jsonl"},
	{args: "local turnstile"}, {args: "local faults list"}, {args: "local faults set groq --429 50% --dry-run"}, {args: "local faults set groq --429 50%"}, {args: "local faults clear --dry-run"}, {args: "local faults clear"},
	{args: "providers status"}, {args: "providers trip groq --for 1m --reason test --dry-run"}, {args: "providers trip groq --for 1m --reason test"}, {args: "providers reset --reason test --dry-run"}, {args: "providers reset groq --reason test"},
	{args: "providers order human cfai,groq,openai --reason test --dry-run"}, {args: "providers order human --contract --reason test"},
	{args: "policy check"}, {args: "policy check $DIR/snapshot.json"}, {args: "policy test"}, {args: "policy explain"}, {args: "policy explain deny_previews"},
	{args: "queues list"}, {args: "queues peek $QUEUE"}, {args: "queues pause $QUEUE --dry-run"}, {args: "queues pause $QUEUE"}, {args: "queues resume $QUEUE --dry-run"},
	{args: "queues resume $QUEUE"}, {args: "queues drain $QUEUE"},
	{args: "audit cors --break", exit: anyVerdict},
	{args: "queues resume $QUEUE"}, {args: "queues drain $QUEUE"}, {args: "queues dlq list", exit: anyVerdict}, {args: "queues dlq replay --dry-run"}, {args: "queues dlq replay"},
	{args: "credits adjust ada@example.com --delta 1 --reason test --dry-run"}, {args: "credits adjust ada@example.com --delta 1 --reason test"},
	{args: "admin log"},
	{args: "tenants add acme --reason test --dry-run"}, {args: "tenants add acme --reason test"}, {args: "tenants list"},
	{args: "tenants suspend acme --reason test --dry-run"}, {args: "tenants suspend acme --reason test"}, {args: "tenants resume acme --reason test --dry-run"}, {args: "tenants resume acme --reason test"},
	{args: "limits show ada@example.com"}, {args: "limits set ada@example.com --credits-a-day 5 --rate 60/1m --burst 10 --for 1h --reason test --dry-run"},
	{args: "limits set ada@example.com --credits-a-day 5 --rate 60/1m --burst 10 --for 1h --reason test"}, {args: "limits simulate --rate 60/1m --burst 10 --rps 5"},
	{args: "usage tail --no-follow -n 1 --account $ACCOUNT", file: cli.UseLine{}}, {args: "ledger drift", exit: anyVerdict},
	{args: "reconcile run --dry-run", exit: anyVerdict}, {args: "reconcile run", exit: anyVerdict}, {args: "reconcile status", exit: anyVerdict},
	{args: "down --dry-run"}, {args: "db down"}, {args: "local stop"}, {args: "down"}, {args: "local reset --dry-run"}, {args: "local reset --yes"},
}

// anyVerdict is for commands whose exit code says what a loaded machine saw.
const anyVerdict = -1

// undried are commands that call the account in a way that may change it and have no --dry-run, and why.
var undried = map[string]string{
	"cogctl audit cors":  "--plan lists what it would ask, and --break puts back what it breaks",
	"cogctl queues peek": "it gives back what it takes",
}

// documentless are commands that print no document, and why.
var documentless = map[string]string{
	"cogctl completion":      "a shell's own script",
	"cogctl setup":           "it builds the programs that this test runs",
	"cogctl local serve":     "it serves until it is stopped",
	"cogctl contract export": "a file in wrangler's own form",
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type exportOptions struct {
	to     string
	live   bool
	dryRun bool
}

func newContractExport(d *Deps) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use: "export <worker>", Short: "Write a wrangler config of a Worker, for `wrangler dev` and `wrangler tail`",
		Long:    "Write a wrangler config of a Worker, for `wrangler dev` and `wrangler tail`. It is output: the contract stays the only source, and `cogctl up` never reads it.",
		Example: "  cogctl contract export auth-svc\n  cogctl contract export auth-svc --env production --to /tmp/auth-svc",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: d.completeWorker,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.Contract()
			if err != nil {
				return err
			}
			file, err := exportWorker(cmd.Context(), d, c, args[0], o)
			if err != nil {
				return err
			}
			return writeExport(d, file, o)
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", "folder to write wrangler.jsonc into (default: stdout)")
	cmd.Flags().BoolVar(&o.live, "live", false, "look the ids of KV namespaces and Hyperdrive configurations up in the environment's account")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be written, and write nothing")
	must(cmd.MarkFlagDirname("to"))
	return cmd
}

// wrangler is the part of a wrangler config that the contract decides; field order is the file's.
type wrangler struct {
	Schema   string              `json:"$schema"`
	Name     string              `json:"name"`
	Main     string              `json:"main"`
	Date     string              `json:"compatibility_date"`
	Flags    []string            `json:"compatibility_flags,omitempty"`
	Account  string              `json:"account_id,omitempty"`
	Dev      bool                `json:"workers_dev"`
	Previews bool                `json:"preview_urls"`
	Maps     bool                `json:"upload_source_maps"`
	Routes   []map[string]string `json:"routes,omitempty"`
	Vars     map[string]string   `json:"vars,omitempty"`
	KV       []map[string]string `json:"kv_namespaces,omitempty"`
	R2       []map[string]string `json:"r2_buckets,omitempty"`
	Services []map[string]string `json:"services,omitempty"`
	AI       map[string]string   `json:"ai,omitempty"`

	Hyperdrive []map[string]string `json:"hyperdrive,omitempty"`
	Queues     *wranglerQueues     `json:"queues,omitempty"`
	Triggers   map[string][]string `json:"triggers,omitempty"`
	Version    map[string]string   `json:"version_metadata,omitempty"`
	Objects    *wranglerObjects    `json:"durable_objects,omitempty"`
	Migrations []wranglerMigration `json:"migrations,omitempty"`
}

type wranglerObjects struct {
	Bindings []map[string]string `json:"bindings"`
}

type wranglerMigration struct {
	Tag        string   `json:"tag"`
	NewClasses []string `json:"new_sqlite_classes"`
}

type wranglerQueues struct {
	Producers []map[string]string `json:"producers,omitempty"`
	Consumers []wranglerConsumer  `json:"consumers,omitempty"`
}

// wranglerConsumer has its times in seconds.
type wranglerConsumer struct {
	Queue          string `json:"queue"`
	Batch          int    `json:"max_batch_size"`
	WaitS          int    `json:"max_batch_timeout"`
	Retries        int    `json:"max_retries"`
	RetryDelayS    int    `json:"retry_delay"`
	MaxConcurrency int    `json:"max_concurrency,omitempty"`
	DeadLetter     string `json:"dead_letter_queue,omitempty"`
}

func exportWorker(ctx context.Context, d *Deps, c *contract.Contract, name string, o exportOptions) ([]byte, error) {
	w, ok := c.Workers[name]
	if !ok {
		return nil, fault.New(fault.Invalid, "no Worker %q in the contract", name).WithHint("one of: %s", strings.Join(sortedKeys(c.Workers), ", "))
	}
	env, ok := c.Envs[d.Env]
	if !ok {
		return nil, d.unknownEnv(c)
	}
	ids := map[string]string{}
	if o.live {
		var err error
		if ids, err = liveIDs(ctx, d); err != nil {
			return nil, err
		}
	}
	main, err := entryFrom(d, w.Entry, o.to)
	if err != nil {
		return nil, err
	}
	cfg := wrangler{
		Schema: "node_modules/wrangler/config-schema.json", Name: name, Main: main, Date: w.CompatibilityDate,
		Flags: w.CompatibilityFlags, Account: env.AccountID, Maps: true, Vars: map[string]string{},
	}
	if w.Public {
		cfg.Routes = []map[string]string{{"pattern": env.Hostname + "/*", "zone_name": env.Zone}}
	}
	secrets, err := cfg.bind(c, env, w, ids, o.live)
	if err != nil {
		return nil, err
	}
	cfg.triggers(c, w)
	if len(w.Objects) > 0 {
		cfg.Migrations = []wranglerMigration{{Tag: "v1", NewClasses: sortedKeys(w.Objects)}}
	}
	return cfg.render(d.Env, secrets, o.live)
}

// triggers adds what calls the Worker beside requests.
func (cfg *wrangler) triggers(c *contract.Contract, w contract.Worker) {
	if len(w.Crons) > 0 {
		cfg.Triggers = map[string][]string{"crons": sortedKeys(w.Crons)}
	}
	for _, queue := range sortedKeys(w.Consumes) {
		how := w.Consumes[queue]
		consumer := wranglerConsumer{
			Queue: c.Stores[queue].Name, Batch: how.Batch, WaitS: (how.WaitMS + 999) / 1000, Retries: how.Retries, RetryDelayS: how.RetryDelayS,
			MaxConcurrency: how.MaxConcurrency,
		}
		if how.DeadLetter != "" {
			consumer.DeadLetter = c.Stores[how.DeadLetter].Name
		}
		cfg.queues().Consumers = append(cfg.queues().Consumers, consumer)
	}
}

func (cfg *wrangler) queues() *wranglerQueues {
	if cfg.Queues == nil {
		cfg.Queues = &wranglerQueues{}
	}
	return cfg.Queues
}

// bind adds the Worker's bindings and returns the names of its secrets, which have no place in a file.
func (cfg *wrangler) bind(c *contract.Contract, env contract.Env, w contract.Worker, ids map[string]string, live bool) (secrets []string, err error) {
	for _, name := range sortedKeys(w.Bindings) {
		switch b := w.Bindings[name]; b.Kind() {
		case contract.BindKV:
			id, err := exportedID(c.Stores[b.KV], ids, live)
			if err != nil {
				return nil, err
			}
			cfg.KV = append(cfg.KV, map[string]string{"binding": name, "id": id})
		case contract.BindHyperdrive:
			id, err := exportedID(c.Stores[b.Hyperdrive], ids, live)
			if err != nil {
				return nil, err
			}
			cfg.Hyperdrive = append(cfg.Hyperdrive, map[string]string{"binding": name, "id": id})
		case contract.BindQueue:
			cfg.queues().Producers = append(cfg.queues().Producers, map[string]string{"binding": name, "queue": c.Stores[b.Queue].Name})
		case contract.BindObject:
			cfg.object(c, name, b.Object)
		case contract.BindVersion:
			cfg.Version = map[string]string{"binding": name}
		case contract.BindR2:
			cfg.R2 = append(cfg.R2, map[string]string{"binding": name, "bucket_name": c.Stores[b.R2].Name})
		case contract.BindService:
			cfg.Services = append(cfg.Services, map[string]string{"binding": name, "service": b.Service})
		case contract.BindVar:
			cfg.Vars[name], _ = env.Setting(b.Var)
		case contract.BindAI:
			cfg.AI = map[string]string{"binding": name}
		case contract.BindSecret:
			secrets = append(secrets, name)
		default:
			return nil, fault.New(fault.Unsupported, "binding %s is of a kind that export does not know", name)
		}
	}
	return secrets, nil
}

// object binds a class; one of another Worker's names that Worker.
func (cfg *wrangler) object(c *contract.Contract, name, class string) {
	if cfg.Objects == nil {
		cfg.Objects = &wranglerObjects{}
	}
	bound := map[string]string{"name": name, "class_name": class}
	if owner, _ := c.ObjectOwner(class); owner != cfg.Name {
		bound["script_name"] = owner
	}
	cfg.Objects.Bindings = append(cfg.Objects.Bindings, bound)
}

// exportedID is the id of a store that is bound by its id: the account's, or its name, which will do for `wrangler dev`.
func exportedID(s contract.Store, ids map[string]string, live bool) (string, error) {
	if !live {
		return s.Name, nil
	}
	id := ids[string(s.Kind)+" "+s.Name]
	if id == "" {
		return "", fault.New(fault.NotFound, "%s %s does not exist on the account yet", s.Kind, s.Name).WithHint("cogctl up")
	}
	return id, nil
}

func (cfg *wrangler) render(env string, secrets []string, live bool) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "// %s for environment %s, from the contract by `cogctl contract export`. Editing it changes nothing that is deployed.\n", cfg.Name, env)
	if len(secrets) > 0 {
		fmt.Fprintf(&out, "// Secrets, for .dev.vars: %s\n", strings.Join(secrets, ", "))
	}
	if len(cfg.KV)+len(cfg.Hyperdrive) > 0 && !live {
		out.WriteString("// The ids of KV namespaces and Hyperdrive configurations are names for local use; --live looks up the account's.\n")
	}
	for _, h := range cfg.Hyperdrive {
		fmt.Fprintf(&out, "// The database of %[1]s, for `wrangler dev`: CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_%[1]s=\"$(cogctl db psql-url)\"\n", h["binding"])
	}
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(cfg); err != nil {
		return nil, fault.New(fault.Internal, "encode the wrangler config: %w", err)
	}
	return out.Bytes(), nil
}

// liveIDs are the ids of what is bound by its id, under "kind name".
func liveIDs(ctx context.Context, d *Deps) (map[string]string, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	namespaces, err := t.API.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	configs, err := t.API.Hyperdrives(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, n := range namespaces {
		ids["kv "+n.Title] = n.ID
	}
	for _, h := range configs {
		ids["hyperdrive "+h.Name] = h.ID
	}
	return ids, nil
}

// entryFrom is the Worker's entry as seen from the folder of the config.
func entryFrom(d *Deps, entry, dir string) (string, error) {
	if dir == "" {
		return entry, nil
	}
	layout, err := d.layout()
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fault.New(fault.Invalid, "folder %s: %w", dir, err)
	}
	rel, err := filepath.Rel(abs, filepath.Join(layout.Root, entry))
	if err != nil {
		return "", fault.New(fault.Invalid, "folder %s: %w", dir, err)
	}
	return filepath.ToSlash(rel), nil
}

func writeExport(d *Deps, file []byte, o exportOptions) error {
	if o.to == "" {
		_, err := d.Term.Out().Write(file)
		return err
	}
	path := filepath.Join(o.to, "wrangler.jsonc")
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, file) {
		d.Term.Note(term.T(path + " is up to date"))
		return nil
	}
	if err == nil && !bytes.Contains(old, []byte("from the contract by `cogctl contract export`")) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Conflict, "%s exists and was not written by this command", path).WithHint("move it away, or choose another folder with --to")
	}
	if o.dryRun {
		d.Term.Note(term.T(fmt.Sprintf("would write %s (%d bytes)", path, len(file))))
		return nil
	}
	if err := os.MkdirAll(o.to, 0o755); err != nil {
		return fault.New(fault.Invalid, "create %s: %w", o.to, err)
	}
	if err := os.WriteFile(path, file, 0o644); err != nil {
		return fault.New(fault.Invalid, "write %s: %w", path, err)
	}
	d.Term.Note(term.T("wrote " + path))
	return nil
}

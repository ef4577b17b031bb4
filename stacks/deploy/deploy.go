// Package deploy drives the stacks through Pulumi's Automation API: look, judge, and only then apply.
package deploy

import (
	"context"
	"io"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// Verb is what a run does.
type Verb string

// The verbs.
const (
	Preview Verb = "preview" // shows what `up` would do; writes nothing
	Up      Verb = "up"      // makes the environment what the program says
	Refresh Verb = "refresh" // makes the state what is live
	Destroy Verb = "destroy" // deletes every resource of the stack
)

// Config is one run.
type Config struct {
	Verb        Verb
	Stack       string
	Hostname    string // which the policies want to have one owner
	Refresh     bool   // preview reads every resource again; up always does
	AllowDelete bool   // resources that hold data may be deleted or replaced
	Protected   bool   // the stack's stateful resources carry Pulumi's protect flag
	Project     []byte // Pulumi.yaml
	StackFile   []byte // Pulumi.<stack>.yaml
	Root        string // the repository's root, from which default paths start
	Getenv      func(string) string
	Out         io.Writer                                     // JSON lines
	Program     func(context.Context) (pulumi.RunFunc, error) // bundles, then returns the program
	API         func() (*cfapi.Client, error)                 // to look at what is live
}

// Run carries out one verb and reports on Out. Its last line is a summary or an error.
func Run(ctx context.Context, c Config) error {
	r := &run{Config: c, out: &emitter{w: c.Out}, started: time.Now()}
	err := r.run(ctx)
	if err == nil {
		err = r.out.err
	}
	if err != nil {
		r.out.emit(ErrorLine(err))
	}
	return err
}

// run is the state of one Run.
type run struct {
	Config
	out     *emitter
	started time.Time
	space   *workspaceDir
	program *prepared
	again   bool // the account changed under a first attempt
}

func (r *run) run(ctx context.Context) error {
	switch r.Verb {
	case Preview, Up, Refresh, Destroy:
	default:
		return fault.New(fault.Invalid, "unknown verb %q", r.Verb).WithHint("verbs are preview, up, refresh and destroy")
	}
	judge, err := r.newJudge(ctx)
	if err != nil {
		return err
	}
	// A stack that must not be touched from here is refused before anything is built, read or locked.
	if err := r.judgeStack(ctx, judge); err != nil {
		return err
	}
	// So is a run without a credential: two providers would each complain of it, in no certain order.
	if _, err := r.API(); err != nil {
		return err
	}
	r.program = r.prepare(ctx)
	defer func() { <-r.program.done }()
	r.space, err = r.openWorkspace(ctx)
	if err != nil {
		return err
	}
	defer r.space.close()
	found, err := r.look(ctx)
	if err != nil {
		return err
	}
	switch r.Verb {
	case Refresh:
		return r.refresh(ctx, found)
	case Destroy:
		return r.destroy(ctx, judge, found)
	default:
		return r.converge(ctx, judge, found)
	}
}

// prepared is the program, being bundled while the state is read.
type prepared struct {
	done chan struct{}
	fn   pulumi.RunFunc
	err  error
}

func (r *run) prepare(ctx context.Context) *prepared {
	p := &prepared{done: make(chan struct{})}
	r.out.step("bundle", "bundle the Workers")
	go func() {
		defer close(p.done)
		p.fn, p.err = r.Program(ctx)
	}()
	return p
}

func (p *prepared) wait() (pulumi.RunFunc, error) {
	<-p.done
	return p.fn, p.err
}

// main is the program as the engine runs it; the first error it returns is kept, because the engine would flatten it to text.
func (p *prepared) main(ctx *pulumi.Context) error {
	fn, err := p.wait()
	if err == nil {
		err = fn(ctx)
	}
	if err != nil && p.err == nil {
		p.err = err
	}
	return err
}

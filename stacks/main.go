// Command stacks is the platform's Pulumi program, and by hand the driver that runs it: stacks <preview|up|refresh|destroy> --stack <name>.
package main

import (
	"context"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/deploy"
)

//go:embed Pulumi.yaml Pulumi.*.yaml
var projectFiles embed.FS

func main() {
	if os.Getenv(pulumi.EnvMonitor) != "" {
		pulumi.Run(underEngine)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(fault.ExitCode(byHand(ctx, os.Args[1:])))
}

// underEngine is the program as `pulumi up` runs it.
func underEngine(ctx *pulumi.Context) error {
	if err := deploy.Allowed(ctx.Context(), ctx.Stack(), os.Getenv); err != nil {
		return err
	}
	c, err := contract.Load()
	if err != nil {
		return err
	}
	program, err := assemble(ctx.Context(), c, ctx.Stack(), built)
	if err != nil {
		return err
	}
	return program(ctx)
}

// byHand drives the engine through the Automation API. Its errors are reported on stdout as the last line.
func byHand(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == releaseVerb {
		return reported(makeRelease(ctx, args[1:]))
	}
	if len(args) > 0 && args[0] == policyVerb {
		return reported(policy(ctx, args[1:]))
	}
	c, err := configure(args)
	if err != nil {
		return reported(err)
	}
	return deploy.Run(ctx, c)
}

// reported tells an error as the last line of the report.
func reported(err error) error {
	if err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(deploy.ErrorLine(err))
	}
	return err
}

func configure(args []string) (deploy.Config, error) {
	verb, o, err := parse(args)
	if err != nil {
		return deploy.Config{}, err
	}
	c, sources, err := o.sources()
	if err != nil {
		return deploy.Config{}, err
	}
	env, ok := c.Envs[o.stack]
	if !ok {
		return deploy.Config{}, fault.New(fault.Invalid, "the contract has no environment %q", o.stack).WithHint("environments are in contract/envs.json")
	}
	root, err := checkout()
	if err != nil {
		return deploy.Config{}, err
	}
	project, err := projectFiles.ReadFile("Pulumi.yaml")
	if err != nil {
		return deploy.Config{}, fault.New(fault.Internal, "read Pulumi.yaml: %w", err)
	}
	settings, err := projectFiles.ReadFile("Pulumi." + o.stack + ".yaml")
	if err != nil {
		return deploy.Config{}, fault.New(fault.Invalid, "environment %s has no stacks/Pulumi.%s.yaml", o.stack, o.stack)
	}
	return deploy.Config{
		Verb: verb, Stack: o.stack, Hostname: env.Hostname, Refresh: o.refresh, AllowDelete: o.allowDelete,
		Protected: o.stack != deploy.LocalStack, Project: project, StackFile: settings, Root: root, Getenv: os.Getenv, Out: os.Stdout,
		Program: func(ctx context.Context) (pulumi.RunFunc, error) { return assemble(ctx, c, o.stack, sources) },
		API:     apiClient(accountID(env), env.APIURL),
	}, nil
}

type options struct {
	stack, release       string
	refresh, allowDelete bool
}

func parse(args []string) (deploy.Verb, options, error) {
	var o options
	flags := flag.NewFlagSet("stacks", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "stacks <preview|up|refresh|destroy> --stack <local|staging|production> [--refresh] [--allow-delete]")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.stack, "stack", "", "environment of the contract")
	flags.BoolVar(&o.refresh, "refresh", false, "preview: read every resource again")
	flags.BoolVar(&o.allowDelete, "allow-delete", false, "resources that hold data may be deleted or replaced")
	flags.StringVar(&o.release, "release", "", "folder of a release to deploy as it is, instead of bundling this checkout")
	events := flags.String("events", "jsonl", "format of the report on stdout")
	if len(args) == 0 {
		flags.Usage()
		return "", o, fault.New(fault.Invalid, "no verb is given").WithHint("stacks preview --stack local")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return "", o, fault.New(fault.Invalid, "%w", err)
	}
	switch {
	case o.stack == "":
		return "", o, fault.New(fault.Invalid, "no stack is given").WithHint("--stack local")
	case *events != "jsonl":
		return "", o, fault.New(fault.Invalid, "unknown event format %q", *events).WithHint("--events jsonl")
	case flags.NArg() > 0:
		return "", o, fault.New(fault.Invalid, "unexpected argument %q", flags.Arg(0))
	}
	return deploy.Verb(args[0]), o, nil
}

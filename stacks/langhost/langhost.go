// Package langhost is a small Pulumi language host for Go programs: it runs a built program, so that the ordinary CLI works where the official host is not installed.
package langhost

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cognomega/edge/internal/fault"
)

// Version is what the host reports to the engine.
const Version = "0.1.0"

// host answers the engine; what it does not know it leaves unimplemented, and the engine then does without.
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine string
}

// Run serves the engine at the address in args, writes the port it serves on to out, and returns when the engine goes.
func Run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("pulumi-language-go", flag.ContinueOnError)
	for _, name := range []string{"tracing", "root", "binary", "buildTarget"} {
		flags.String(name, "", "accepted because the engine may pass it; not used")
	}
	if err := flags.Parse(args); err != nil {
		return fault.New(fault.Invalid, "read the arguments: %w", err)
	}
	if flags.NArg() == 0 {
		return fault.New(fault.Invalid, "no engine address is given").WithHint("the Pulumi CLI starts this program; it is not for use by hand")
	}
	cancel := make(chan bool)
	stop := context.AfterFunc(ctx, func() { close(cancel) })
	defer stop()
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: cancel,
		Init: func(s *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(s, &host{engine: flags.Arg(0)})
			return nil
		},
	})
	if err != nil {
		return fault.New(fault.Unavailable, "serve the engine: %w", err)
	}
	if _, err := fmt.Fprintln(out, handle.Port); err != nil { // the handshake
		return fault.New(fault.Unavailable, "tell the engine the port: %w", err)
	}
	return <-handle.Done
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: Version}, nil
}

// GetRequiredPackages says none: the plugins are named by the project or installed.
func (h *host) GetRequiredPackages(context.Context, *pulumirpc.GetRequiredPackagesRequest) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

func (h *host) GetRequiredPlugins(context.Context, *pulumirpc.GetRequiredPluginsRequest) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}

// Run runs the program of the project: the built one that the runtime option "binary" names, else `go run .`.
func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	cmd, err := command(ctx, req.GetInfo())
	if err != nil {
		return &pulumirpc.RunResponse{Error: err.Error()}, nil //nolint:nilerr // the protocol carries the program's error in the answer
	}
	facts, err := h.environment(req)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), facts...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("run %s: %v", cmd.Path, err)}, nil
	}
	return &pulumirpc.RunResponse{}, nil
}

func command(ctx context.Context, info *pulumirpc.ProgramInfo) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, "go", "run", ".")
	if binary := info.GetOptions().GetFields()["binary"].GetStringValue(); binary != "" {
		if !filepath.IsAbs(binary) {
			binary = filepath.Join(info.GetRootDirectory(), binary)
		}
		if _, err := os.Stat(binary); err != nil {
			return nil, fault.New(fault.NotFound, "the program %s is not built: go build -o %s .", binary, binary)
		}
		cmd = exec.CommandContext(ctx, binary)
	}
	cmd.Dir = info.GetProgramDirectory()
	return cmd, nil
}

// environment is how the Go SDK in the program learns where the engine is and what it was asked.
func (h *host) environment(req *pulumirpc.RunRequest) ([]string, error) {
	config, err := json.Marshal(req.GetConfig())
	if err != nil {
		return nil, err
	}
	secretKeys, err := json.Marshal(req.GetConfigSecretKeys())
	if err != nil {
		return nil, err
	}
	return []string{
		pulumi.EnvOrganization + "=" + req.GetOrganization(),
		pulumi.EnvProject + "=" + req.GetProject(),
		pulumi.EnvStack + "=" + req.GetStack(),
		pulumi.EnvPulumiRootDirectory + "=" + req.GetInfo().GetRootDirectory(),
		pulumi.EnvConfig + "=" + string(config),
		pulumi.EnvConfigSecretKeys + "=" + string(secretKeys),
		pulumi.EnvDryRun + "=" + strconv.FormatBool(req.GetDryRun()),
		pulumi.EnvParallel + "=" + strconv.Itoa(int(req.GetParallel())),
		pulumi.EnvMonitor + "=" + req.GetMonitorAddress(),
		pulumi.EnvEngine + "=" + h.engine,
	}, nil
}

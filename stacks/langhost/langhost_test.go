package langhost

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/cognomega/edge/internal/fault"
)

func TestRunRefusesToRunByHand(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"no engine": nil, "unknown flag": {"--nonsense", "127.0.0.1:1"}} {
		if err := Run(t.Context(), args, io.Discard); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// serve starts the host as the engine does, and connects to it.
func serve(t *testing.T) pulumirpc.LanguageRuntimeClient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, []string{"--root", "/", "127.0.0.1:9"}, w) }()
	port, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the host ended with %v", err)
		}
	})
	return pulumirpc.NewLanguageRuntimeClient(conn)
}

func TestTheProgramIsToldWhatTheEngineWants(t *testing.T) {
	t.Parallel()
	host, dir := serve(t), t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nenv | grep ^PULUMI_ > said\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	res, err := host.Run(t.Context(), &pulumirpc.RunRequest{
		Project: "cognomega", Stack: "local", DryRun: true, MonitorAddress: "127.0.0.1:8", Config: map[string]string{"a:b": "c"}, Info: info(t, dir, "program"),
	})
	if err != nil || res.GetError() != "" {
		t.Fatalf("%v %v", res, err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"PULUMI_PROJECT=cognomega", "PULUMI_STACK=local", "PULUMI_DRY_RUN=true", "PULUMI_MONITOR=127.0.0.1:8", "PULUMI_ENGINE=127.0.0.1:9", `PULUMI_CONFIG={"a:b":"c"}`,
	} {
		if !strings.Contains(string(said), want+"\n") {
			t.Errorf("the program was not told %s:\n%s", want, said)
		}
	}
}

func TestAProgramThatFailsOrIsNotBuilt(t *testing.T) {
	t.Parallel()
	host, dir := serve(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fails"), []byte("#!/bin/sh\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for binary, want := range map[string]string{"fails": "exit status 3", "missing": "is not built"} {
		res, err := host.Run(t.Context(), &pulumirpc.RunRequest{Info: info(t, dir, binary)})
		if err != nil || !strings.Contains(res.GetError(), want) {
			t.Errorf("%s: %v, %v; want %q", binary, res, err, want)
		}
	}
	if got, err := host.GetPluginInfo(t.Context(), &emptypb.Empty{}); err != nil || got.GetVersion() != Version {
		t.Errorf("plugin info: %v, %v", got, err)
	}
}

func info(t *testing.T, dir, binary string) *pulumirpc.ProgramInfo {
	t.Helper()
	options, err := structpb.NewStruct(map[string]any{"binary": binary})
	if err != nil {
		t.Fatal(err)
	}
	return &pulumirpc.ProgramInfo{RootDirectory: dir, ProgramDirectory: dir, Options: options}
}

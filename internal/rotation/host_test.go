package rotation_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	esbuild "github.com/evanw/esbuild/pkg/api"
)

// host is a Node process with the platform's own signer and verifier, and with jose.
type host struct {
	in  io.WriteCloser
	out *bufio.Reader

	gates int // given to worlds so far
}

type mintAsk struct {
	Env map[string]string `json:"env"`
}

type checkAsk struct {
	Gateway int      `json:"gateway"`
	JWKS    string   `json:"jwks"`
	Tokens  []string `json:"tokens"`
}

type hostAsk struct {
	Now    int64      `json:"now"`
	Issuer string     `json:"issuer"`
	Mint   []mintAsk  `json:"mint"`
	Check  []checkAsk `json:"check"`
}

type hostAnswer struct {
	Minted []struct {
		Token string `json:"token"`
		Error string `json:"error"`
	} `json:"minted"`
	Checked [][]*string `json:"checked"` // of each token why it was refused, or nil
}

// bundled is host.ts with all it imports, bundled once for all tests.
var bundled = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	out := esbuild.Build(esbuild.BuildOptions{
		EntryPoints: []string{filepath.Join(root, "internal/rotation/testdata/host.ts")}, Bundle: true, Format: esbuild.FormatESModule,
		Platform: esbuild.PlatformNode, Target: esbuild.ES2022, NodePaths: []string{filepath.Join(root, "workers/node_modules")},
	})
	if len(out.Errors) > 0 {
		return "", &bundleError{out.Errors[0].Text}
	}
	return string(out.OutputFiles[0].Contents), nil
})

type bundleError struct{ text string }

func (e *bundleError) Error() string { return e.text }

func newHost(t testing.TB) *host {
	t.Helper()
	source, err := bundled()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "host.mjs")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", file)
	cmd.Stderr = os.Stderr
	h := &host{}
	if h.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewReaderSize(out, 1<<20)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.in.Close()
		_ = cmd.Wait()
	})
	return h
}

func (h *host) ask(t testing.TB, a hostAsk) hostAnswer {
	t.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.in.Write(append(raw, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := h.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the host ended: %v", err)
	}
	var answer hostAnswer
	if err := json.Unmarshal([]byte(strings.TrimSpace(line)), &answer); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return answer
}

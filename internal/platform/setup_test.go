package platform

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

func TestAtLeast(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		have string
		want bool
	}{
		"the same":          {"v3.256.0", true},
		"newer patch":       {"v3.256.1", true},
		"newer minor":       {"3.300.0", true},
		"newer major":       {"v4.0.0", true},
		"older minor":       {"v3.99.9", false},
		"short":             {"v3", false},
		"empty":             {"", false},
		"not a version":     {"development", false},
		"pre-release words": {"v3.256.x", false},
	}
	for name, tt := range tests {
		if got := atLeast(tt.have, "v3.256.0"); got != tt.want {
			t.Errorf("%s: atLeast(%q) is %v", name, tt.have, got)
		}
	}
}

func TestTheCheckoutIsFoundFromBelow(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "workers", "auth-svc", "src")
	for _, dir := range []string{deep, filepath.Join(root, "stacks"), filepath.Join(root, "contract")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "stacks/Pulumi.yaml"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := FindLayout(deep, "")
	if err != nil || l.Root != root || l.Local != filepath.Join(root, ".local") {
		t.Fatalf("got %+v, %v", l, err)
	}
	if _, err := FindLayout(t.TempDir(), ""); !errors.Is(err, fault.NotFound) {
		t.Fatalf("outside a checkout: got %v", err)
	}
}

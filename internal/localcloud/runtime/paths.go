package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// maxSocketPath is what sun_path holds on the stricter of our systems (104 on macOS), less its terminating zero.
const maxSocketPath = 103

// longestName is the longest file name below the run folder: a unit's socket, "u12345678-12.sock".
const longestName = 24

// paths are the folders of one runtime. Everything workerd reads of ours is below run, by relative name.
type paths struct {
	objects string // Durable Object storage
	run     string // sockets, configurations, modules
	short   bool   // run is a temporary folder, because the wanted one is too long for socket paths
}

func newPaths(dir, run string) (paths, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return paths{}, fault.New(fault.Internal, "resolve %s: %w", dir, err)
	}
	if run, err = filepath.Abs(run); err != nil {
		return paths{}, fault.New(fault.Internal, "resolve %s: %w", run, err)
	}
	p := paths{objects: filepath.Join(dir, "do"), run: run}
	for _, d := range []string{p.objects, p.run} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return paths{}, fault.New(fault.Internal, "make the runtime's folder: %w", err)
		}
		if err := os.Chmod(d, 0o700); err != nil { // whoever can enter can speak to every Worker and store
			return paths{}, fault.New(fault.Internal, "close the runtime's folder to others: %w", err)
		}
	}
	if len(run)+1+longestName > maxSocketPath {
		if p.run, err = shortRun(run); err != nil {
			return paths{}, err
		}
		p.short = true
	}
	return p, nil
}

// shortRun is a temporary folder that is the same for the same wanted folder, so that a killed run's processes are found there again.
func shortRun(run string) (string, error) {
	sum := sha256.Sum256([]byte(run))
	short := filepath.Join(os.TempDir(), "cogctl-"+hex.EncodeToString(sum[:6]))
	if len(short)+1+longestName > maxSocketPath {
		return "", fault.New(fault.Invalid, "the folder for sockets %s is too long for a socket path", short).
			WithHint("set TMPDIR to a shorter folder")
	}
	if err := os.MkdirAll(short, 0o700); err != nil {
		return "", fault.New(fault.Internal, "make the folder for sockets: %w", err)
	}
	info, err := os.Lstat(short)
	if err != nil {
		return "", fault.New(fault.Internal, "look at the folder for sockets: %w", err)
	}
	// Somebody else could have made the predictable name first, to listen in.
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return "", fault.New(fault.Denied, "the folder for sockets %s belongs to somebody else", short)
	}
	return short, nil
}

func (p paths) modules() string { return filepath.Join(p.run, "m") }

// clear empties the run folder of an earlier run's files, and only of those.
func (p paths) clear() error {
	entries, err := os.ReadDir(p.run)
	if err != nil {
		return fault.New(fault.Internal, "read the run folder: %w", err)
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(p.run, e.Name())); err != nil {
			return fault.New(fault.Internal, "clear the run folder: %w", err)
		}
	}
	if err := os.MkdirAll(p.modules(), 0o700); err != nil {
		return fault.New(fault.Internal, "make the module folder: %w", err)
	}
	return nil
}

func (p paths) remove() {
	_ = p.clear()
	_ = os.RemoveAll(p.modules())
	if p.short {
		_ = os.Remove(p.run)
	}
}

func ours(name string) bool {
	return name == "m" || strings.HasSuffix(name, ".sock") || strings.HasSuffix(name, ".capnp") || strings.HasSuffix(name, ".pid")
}

// endpoint is the stable path at which other processes reach an entrypoint of a script, wherever it runs.
func (p paths) endpoint(kind, script, entry string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + script + "\x00" + entry))
	return filepath.Join(p.run, "x-"+hex.EncodeToString(sum[:6])+".sock")
}

// backSocket is where workerd reaches the stores.
func (p paths) backSocket() string { return filepath.Join(p.run, "back.sock") }

// outSocket is where workerd sends what Workers fetch.
func (p paths) outSocket() string { return filepath.Join(p.run, "out.sock") }

// Package release keeps everything that a deployment is made of, as one folder named by its digest: the Workers' bundles and the contract.
package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Schema names the form of a manifest.
const Schema = "cognomega/release/v1"

// manifestFile lists every other file of a release.
const manifestFile = "release.json"

// Manifest is what a release consists of. Its digest is the release's name.
type Manifest struct {
	Schema   string            `json:"schema"`
	Contract string            `json:"contract_sha256"`
	Main     string            `json:"main_module"`
	Workers  map[string]string `json:"workers"` // the digest that a deployed version carries
	Files    map[string]string `json:"files"`   // SHA-256 by path: contract/*.json, workers/<worker>/*
}

// Release is a manifest with the folder that holds what it lists.
type Release struct {
	Manifest
	ID  string // hex SHA-256 of the manifest
	Dir string
}

// Path is where a module of a Worker lies.
func (r Release) Path(worker, module string) string {
	return filepath.Join(r.Dir, "workers", worker, module)
}

// ContractFS is the contract that the release was made under.
func (r Release) ContractFS() fs.FS { return os.DirFS(filepath.Join(r.Dir, "contract")) }

// Modules lists the modules of a Worker by name.
func (r Release) Modules(worker string) []string {
	var names []string
	for _, file := range slices.Sorted(maps.Keys(r.Files)) {
		if name, ok := strings.CutPrefix(file, "workers/"+worker+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Input is what a release is made of.
type Input struct {
	ContractDigest string
	Contract       map[string][]byte            // by file name
	Main           string                       // module that every Worker starts with
	Workers        map[string]map[string][]byte // modules by Worker and name
}

// Keep writes a release below dir, in a folder named by its digest; one that is there already is left as it is.
func Keep(dir string, in Input) (Release, error) {
	files := map[string][]byte{}
	m := Manifest{Schema: Schema, Contract: in.ContractDigest, Main: in.Main, Workers: map[string]string{}, Files: map[string]string{}}
	for name, raw := range in.Contract {
		files["contract/"+name] = raw
	}
	for worker, modules := range in.Workers {
		m.Workers[worker] = digest(modules, in.Main)
		for name, raw := range modules {
			files["workers/"+worker+"/"+name] = raw
		}
	}
	for name, raw := range files {
		if !fileShape.MatchString(name) {
			return Release{}, fault.New(fault.Invalid, "a release cannot hold a file %.80q", name)
		}
		m.Files[name] = sum(raw)
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return Release{}, fault.New(fault.Internal, "encode the release: %w", err)
	}
	raw = append(raw, '\n')
	files[manifestFile] = raw
	r := Release{Manifest: m, ID: sum(raw)}
	r.Dir = filepath.Join(dir, r.ID)
	if _, err := Open(r.Dir); err == nil {
		return r, nil
	}
	return r, writeFolder(r.Dir, files)
}

// writeFolder makes a folder appear whole or not at all.
func writeFolder(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fault.New(fault.Unavailable, "keep the release: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".writing-*")
	if err != nil {
		return fault.New(fault.Unavailable, "keep the release: %w", err)
	}
	defer os.RemoveAll(tmp)
	for name, raw := range files {
		file := filepath.Join(tmp, filepath.FromSlash(name))
		if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
			err = writeSynced(file, raw)
		}
		if err != nil {
			return fault.New(fault.Unavailable, "keep the release: %w", err)
		}
	}
	err = errors.Join(os.Chmod(tmp, 0o755), os.RemoveAll(dir), os.Rename(tmp, dir)) // what was there did not open
	if err != nil {
		return fault.New(fault.Unavailable, "keep the release: %w", err)
	}
	return nil
}

func writeSynced(file string, raw []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}

// maxManifest is far above a manifest of every Worker.
const maxManifest = 1 << 20

// Open reads a release and refuses one in which a byte is not as it was kept.
func Open(dir string) (Release, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Release{}, fault.New(fault.Invalid, "release %s: %w", dir, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return Release{}, fault.New(fault.NotFound, "read the release: %w", err)
	}
	r := Release{ID: sum(raw), Dir: dir}
	if r.Manifest, err = parse(raw); err != nil {
		return Release{}, err
	}
	if want := filepath.Base(dir); want != r.ID {
		return Release{}, fault.New(fault.Denied, "release %.16s was changed: its manifest has digest %.16s", want, r.ID).WithHint("get it again from where it was kept")
	}
	modules := map[string]map[string][]byte{}
	for name, digest := range r.Files {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return Release{}, fault.New(fault.Denied, "release %.16s is not whole: %w", r.ID, err)
		}
		if sum(content) != digest {
			return Release{}, fault.New(fault.Denied, "release %.16s was changed: %s is not what was kept", r.ID, name).WithHint("get it again from where it was kept")
		}
		if parts := strings.SplitN(name, "/", 3); parts[0] == "workers" {
			if modules[parts[1]] == nil {
				modules[parts[1]] = map[string][]byte{}
			}
			modules[parts[1]][parts[2]] = content
		}
	}
	for worker, want := range r.Workers {
		if digest(modules[worker], r.Main) != want {
			return Release{}, fault.New(fault.Denied, "release %.16s: Worker %s does not have the digest that it says", r.ID, worker)
		}
	}
	return r, nil
}

// fileShape keeps a path inside the release's folder.
var fileShape = regexp.MustCompile(`^(contract/[a-z0-9_]+\.json|workers/[a-z][a-z0-9-]{0,62}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})$`)

// parse reads a manifest in the one form that it is written in.
func parse(raw []byte) (Manifest, error) {
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if len(raw) > maxManifest || dec.Decode(&m) != nil || m.Schema != Schema {
		return m, fault.New(fault.Invalid, "not a release: no manifest of schema %s", Schema)
	}
	again, err := json.MarshalIndent(m, "", "  ")
	if err != nil || !bytes.Equal(append(again, '\n'), raw) {
		return m, fault.New(fault.Denied, "the release's manifest is not in the form that is written")
	}
	for name := range m.Files {
		if !fileShape.MatchString(name) {
			return m, fault.New(fault.Denied, "the release's manifest names a file %.80q", name)
		}
	}
	return m, nil
}

// moduleTypes are the media types under which the modules are deployed: a part of a version's digest.
var moduleTypes = map[string]string{".js": "application/javascript+module", ".map": "application/source-map"}

// DigestHead is how much of a bundle's digest a deployed version can carry: its tag takes 25 characters.
const DigestHead = 16

// digest is that of a deployed version's modules, as the provider tags it: names, types and contents.
func digest(modules map[string][]byte, main string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		h.Write([]byte(name + "\x00" + moduleTypes[path.Ext(name)] + "\x00" + sum(modules[name]) + "\n"))
	}
	h.Write([]byte(main))
	return hex.EncodeToString(h.Sum(nil))
}

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

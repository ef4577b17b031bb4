package contract

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
)

//go:embed *.json
var files embed.FS

// Load reads and checks the contract this program was built with. Its error is Problems.
func Load() (*Contract, error) { return LoadFS(files) }

// Files is the text of the contract this program was built with, by file name: LoadFS reads it back.
func Files() (map[string][]byte, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, name := range names {
		if all[name], err = files.ReadFile(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// LoadFS reads and checks a contract from the root of a file system, so that a changed one can be judged before it is built in.
func LoadFS(fsys fs.FS) (*Contract, error) {
	var (
		c   Contract
		rep report
		sum = sha256.New()
	)
	subjects := c.subjects()
	for _, s := range subjects {
		n, ok := read(fsys, s.file, &rep)
		if !ok {
			continue
		}
		decoder{s.file, &rep}.into("", n, reflect.ValueOf(s.into).Elem())
		var canonical bytes.Buffer
		n.canonical(&canonical)
		fmt.Fprintf(sum, "%s\x00%d\x00%s", s.file, canonical.Len(), canonical.Bytes())
	}
	strangers(fsys, subjects, &rep)
	c.SLO, c.Uptime, c.Flow, c.Pressure = c.slo.Latency, c.slo.Uptime, c.slo.Flow, c.slo.Pressure
	// Cross-checks on half-read values would only repeat what is known already.
	if rep.err() == nil {
		check(&c, &rep)
	}
	if err := rep.err(); err != nil {
		return nil, err
	}
	c.digest = hex.EncodeToString(sum.Sum(nil))
	return &c, nil
}

type subject struct {
	file string
	into any
}

// subjects is the list of files, in the order the digest takes them.
func (c *Contract) subjects() []subject {
	return []subject{
		{"auth.json", &c.Auth}, {"envs.json", &c.Envs}, {"gates.json", &c.Gates}, {"http.json", &c.HTTP}, {"keys.json", &c.Keys},
		{"limits.json", &c.Limits}, {"models.json", &c.Models},
		{"prices.json", &c.Prices}, {"slo.json", &c.slo}, {"stores.json", &c.Stores}, {"workers.json", &c.Workers},
	}
}

func read(fsys fs.FS, file string, rep *report) (node, bool) {
	f, err := fsys.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		rep.addf(file, "", "is missing")
		return node{}, false
	}
	if err != nil {
		rep.addf(file, "", "cannot be read: %v", err)
		return node{}, false
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		rep.addf(file, "", "cannot be read: %v", err)
		return node{}, false
	}
	return parse(file, raw, rep)
}

// strangers reports JSON files that nothing reads, so that a misspelt name cannot hide facts.
func strangers(fsys fs.FS, known []subject, rep *report) {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		rep.addf(".", "", "cannot be listed: %v", err)
	}
	for _, name := range names {
		if !isSubject(known, name) {
			rep.addf(name, "", "is not a file of the contract")
		}
	}
}

func isSubject(known []subject, file string) bool {
	for _, s := range known {
		if s.file == file {
			return true
		}
	}
	return false
}

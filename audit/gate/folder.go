package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/fault"
)

// maxFile is above every proof.
const maxFile = 64<<20 + 1

// File is a file that may be a proof, with what it claims to be before anybody has checked it.
type File struct {
	Path   string
	Raw    []byte
	Claims []Claim
}

// Claim is what a file says it proves, by its payload or by its name. It is believed in one way only: the newest claim decides,
// so that spoiling a proof that failed does not bring back an older one that passed.
type Claim struct {
	Env, Check string
	At         time.Time
}

// SHA256 is the digest of the file as it lies there.
func (f File) SHA256() string {
	sum := sha256.Sum256(f.Raw)
	return hex.EncodeToString(sum[:])
}

// Read reads every JSON file of the folders, which are looked through to the bottom. A folder that is not there holds nothing.
func Read(folders ...string) ([]File, error) {
	var files []File
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && path == folder:
				return nil
			case err != nil:
				return err
			case d.IsDir() && path != folder && filepath.Base(path) == ReleasesFolder:
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".json":
				return nil
			}
			raw, err := readFile(path)
			if err == nil {
				files = append(files, File{Path: path, Raw: raw, Claims: claims(path, raw)})
			}
			return err
		})
		if err != nil {
			return nil, fault.New(fault.Unavailable, "read the evidence in %s: %w", folder, err)
		}
	}
	return files, nil
}

// ReleasesFolder is where releases are kept beside proofs; none of its files is a proof.
const ReleasesFolder = "releases"

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// fileName is how proofs are named.
var fileName = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z)-([a-z]+)-([a-z][a-z0-9-]*?)(?:-\d+)?\.json$`)

func claims(path string, raw []byte) []Claim {
	var found []Claim
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	var s struct {
		Predicate struct {
			Check string         `json:"check"`
			At    time.Time      `json:"at"`
			Where evidence.Where `json:"environment"`
		} `json:"predicate"`
	}
	if json.Unmarshal(raw, &envelope) == nil && json.Unmarshal(envelope.Payload, &s) == nil && s.Predicate.Check != "" {
		found = append(found, Claim{s.Predicate.Where.Name, s.Predicate.Check, s.Predicate.At})
	}
	if m := fileName.FindStringSubmatch(filepath.Base(path)); m != nil {
		if at, err := time.Parse("2006-01-02T15-04-05Z", m[1]); err == nil {
			found = append(found, Claim{m[2], m[3], at})
		}
	}
	return found
}

// claim is the file's newest claim to be a proof of a check in an environment; any environment for "".
func (f File) claim(env, check string) (Claim, bool) {
	var newest Claim
	for _, c := range f.Claims {
		if c.Check == check && (env == "" || c.Env == env) && !c.At.Before(newest.At) {
			newest = c
		}
	}
	return newest, newest.Check != ""
}

// Newest is the file with the newest claim, of several of the same second the one named last.
func Newest(files []File, env, check string) (File, Claim, bool) {
	all := Claiming(files, env, check)
	if len(all) == 0 {
		return File{}, Claim{}, false
	}
	c, _ := all[0].claim(env, check)
	return all[0], c, true
}

// Claiming lists the files that claim to be a proof of a check in an environment, newest first.
func Claiming(files []File, env, check string) []File {
	var all []File
	for _, f := range files {
		if _, ok := f.claim(env, check); ok {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b File) int {
		x, _ := a.claim(env, check)
		y, _ := b.claim(env, check)
		if c := y.At.Compare(x.At); c != 0 {
			return c
		}
		return strings.Compare(sortable(b.Path), sortable(a.Path))
	})
	return all
}

// sortable puts x-2.json after x.json.
func sortable(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }

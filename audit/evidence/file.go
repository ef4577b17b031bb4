package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// writeWhole makes a file appear whole or not at all, and stay after a power cut.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	tmp, err := writeBeside(path, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// writeNew is writeWhole for a file that must replace none: where there is one of that name, it is called -2, -3 and so on.
func writeNew(path string, data []byte, mode fs.FileMode) (string, error) {
	tmp, err := writeBeside(path, data, mode)
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp) // a second name of the file in place
	ext := filepath.Ext(path)
	for n := 1; ; n++ {
		name := path
		if n > 1 {
			name = strings.TrimSuffix(path, ext) + "-" + strconv.Itoa(n) + ext
		}
		err := os.Link(tmp, name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fault.New(fault.Unavailable, "write %s: %w", name, err)
		}
		return name, syncDir(filepath.Dir(path))
	}
}

// writeBeside writes to a new file in the folder of path; folders that hold private keys are the owner's alone.
func writeBeside(path string, data []byte, mode fs.FileMode) (string, error) {
	folder := fs.FileMode(0o755)
	if mode&0o077 == 0 {
		folder = 0o700
	}
	if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
		return "", fault.New(fault.Unavailable, "create %s: %w", filepath.Dir(path), err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return "", fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		_ = os.Remove(tmp.Name())
		return "", fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return tmp.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fault.New(fault.Unavailable, "sync %s: %w", dir, err)
	}
	return nil
}

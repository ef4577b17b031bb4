package store

import (
	"errors"
	"os"
	"path/filepath"
)

// syncFolder makes the names in a folder durable; a file's own fsync does not.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeShard creates parent/name durably and returns its path.
func makeShard(parent, name string) (string, error) {
	path := filepath.Join(parent, name)
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	return path, syncFolder(parent)
}

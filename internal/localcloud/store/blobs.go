package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

func (s *Store) blobFolder() string { return filepath.Join(s.dir, "blobs", "sha256") }
func (s *Store) tempFolder() string { return filepath.Join(s.dir, "blobs", "tmp") }

// openBlobs makes the folders, and removes what a crash left half written.
func (s *Store) openBlobs() error {
	if err := os.RemoveAll(s.tempFolder()); err != nil {
		return asFault(err, "clean temporary files of the store")
	}
	for _, dir := range []string{s.blobFolder(), s.tempFolder()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return asFault(err, "create folders of the store")
		}
	}
	return asFault(errors.Join(syncFolder(filepath.Join(s.dir, "blobs")), syncFolder(s.dir)), "create folders of the store")
}

// PutBlob stores bytes under their SHA-256, lower-case hex; they are on disk when it returns.
func (s *Store) PutBlob(r io.Reader) (digest string, size int64, err error) {
	tmp, err := os.CreateTemp(s.tempFolder(), "blob-*")
	if err != nil {
		return "", 0, asFault(err, "write a blob")
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already when it was renamed
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(tmp, sum), r)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", 0, asFault(err, "write a blob")
	}
	digest = hex.EncodeToString(sum.Sum(nil))
	return digest, size, asFault(s.placeBlob(tmp.Name(), digest), "write a blob")
}

// placeBlob renames over a blob that is there already: the bytes are the same, and its folder may not be on disk yet.
func (s *Store) placeBlob(tmp, digest string) error {
	shard, err := makeShard(s.blobFolder(), digest[:2])
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(shard, digest)); err != nil {
		return err
	}
	return syncFolder(shard)
}

// OpenBlob opens bytes by digest; fault.NotFound when there are none.
func (s *Store) OpenBlob(digest string) (io.ReadSeekCloser, error) {
	path, err := s.BlobPath(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, asFault(err, "open a blob")
	}
	return f, nil
}

// BlobPath is the file that holds a blob: read it, never write it.
func (s *Store) BlobPath(digest string) (string, error) {
	if len(digest) != sha256.Size*2 || strings.Trim(digest, "0123456789abcdef") != "" {
		return "", fault.New(fault.Invalid, "%q is not the digest of a blob", digest)
	}
	path := filepath.Join(s.blobFolder(), digest[:2], digest)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.NotFound, "blob %s does not exist", digest)
	}
	return path, asFault(err, "find a blob")
}

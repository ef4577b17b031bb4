package api

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func decodeStored[T any](raw []byte) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fault.New(fault.Internal, "read stored %T: %w", v, err)
	}
	return v, nil
}

// read is one document outside any longer transaction.
func read[T any](s *server, c store.Collection, id string) (T, error) {
	var v T
	err := s.Store.View(func(tx *store.Tx) error { return tx.Get(c, id, &v) })
	return v, err
}

// readAll is every document of a collection whose id starts with prefix.
func readAll[T any](s *server, c store.Collection, prefix string) ([]T, error) {
	var all []T
	err := s.Store.View(func(tx *store.Tx) error {
		var err error
		all, err = store.All[T](tx, c, prefix)
		return err
	})
	return all, err
}

// exists says whether a document is there; other troubles stay errors.
func exists[T any](tx *store.Tx, c store.Collection, id string) (bool, error) {
	var v T
	err := tx.Get(c, id, &v)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// find is the first document that satisfies ok, or fault.NotFound.
func find[T any](tx *store.Tx, c store.Collection, prefix string, ok func(T) bool) (T, error) {
	var none T
	all, err := store.All[T](tx, c, prefix)
	if err != nil {
		return none, err
	}
	for _, v := range all {
		if ok(v) {
			return v, nil
		}
	}
	return none, fault.New(fault.NotFound, "nothing in %s matches", c)
}

// mentioning decodes only the documents that contain a text as a JSON string, so that a check for duplicates stays cheap among
// ten thousand documents. The caller still has to look at which field it is in.
func mentioning[T any](tx *store.Tx, c store.Collection, prefix, text string) ([]T, error) {
	needle, err := json.Marshal(text)
	if err != nil {
		return nil, err
	}
	var all []T
	err = tx.Each(c, prefix, func(_ string, raw []byte) error {
		if !bytes.Contains(raw, needle) {
			return nil
		}
		v, err := decodeStored[T](raw)
		all = append(all, v)
		return err
	})
	return all, err
}

package store

import (
	"errors"

	"github.com/cognomega/edge/internal/fault"
)

// asFault gives an error of the disk or the database a kind; one that has a kind keeps it.
func asFault(err error, doing string) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fault.New(fault.Unavailable, "%s: %w", doing, err)
}

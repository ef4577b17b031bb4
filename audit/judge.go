package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Judge derives a result from kept evidence alone: a pure function of what the contract says of the target and of what was
// seen. Evidence that is not what the check keeps is fault.Denied.
type Judge func(t *Target, evidence []byte) (Result, error)

// Rejudge makes a Judge of a check's own judging function. The evidence must be exactly what the check would have written:
// a member too many, twice or under another name could hide something from one reader and show it to another.
func Rejudge[E any](judge func(*Target, E) (Result, error)) Judge {
	return func(t *Target, raw []byte) (Result, error) {
		var e E
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			return Result{}, Misfit("it cannot be read: %v", err)
		}
		if _, err := dec.Token(); err != io.EOF {
			return Result{}, Misfit("something follows it")
		}
		again, err := json.Marshal(e)
		var compact bytes.Buffer
		if err == nil {
			err = json.Compact(&compact, raw)
		}
		if err != nil || !bytes.Equal(again, compact.Bytes()) {
			return Result{}, Misfit("it is not in the form the check writes")
		}
		r, err := judge(t, e)
		if err != nil && !errors.Is(err, fault.Denied) {
			return Result{}, Misfit("it cannot be judged: %v", err)
		}
		return r, err
	}
}

// Misfit is the error of evidence that a check cannot have kept.
func Misfit(format string, args ...any) error {
	return fault.New(fault.Denied, "the evidence is not what the check keeps: "+format, args...)
}

// evidenceAge is how long before the proof was made its evidence may have been seen.
const evidenceAge = 15 * time.Minute

// Recent refuses evidence that was seen at another time than the target is judged at.
func (t *Target) Recent(at time.Time) error {
	if age := t.Now().Sub(at); age < -time.Minute || age > evidenceAge {
		return Misfit("it was seen at %s, the proof was made at %s", at.UTC().Format(time.RFC3339), t.Now().UTC().Format(time.RFC3339))
	}
	return nil
}

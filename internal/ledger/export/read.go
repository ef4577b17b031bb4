package export

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"maps"
	"math/big"
	"strconv"

	"github.com/cognomega/edge/internal/fault"
)

// maxLine bounds a line: notes are small, and a file without line ends must not fill memory.
const maxLine = 4 << 20

// Take is given each record of a JSON Lines file as it is read: a *Account, *Transfer, *Hold or *Adjustment. It may be nil.
type Take func(record any) error

// reader counts, adds up and digests what it reads, to hold it against the trailer.
type reader struct {
	in   *bufio.Reader
	hash hash.Hash
	got  Summary
	sums map[string]*big.Int
	take Take
	line int
}

// Read reads a file to its end, and holds what it adds up to against its trailer. A file that was cut, extended or changed anywhere is
// fault.Finding; one that is no export is fault.Invalid. What take was given before that is not to be relied on.
func Read(from io.Reader, take Take) (Summary, error) {
	r := &reader{in: bufio.NewReaderSize(from, 1<<16), hash: sha256.New(), sums: map[string]*big.Int{}, take: take}
	first, err := r.next()
	if err != nil {
		return r.got, notAnExport()
	}
	switch {
	case string(first) == csvColumns:
		r.got.Format = CSV
		return r.csv(first)
	case bytes.HasPrefix(first, []byte("{")):
		r.got.Format = JSONL
		return r.jsonl(first)
	}
	return r.got, notAnExport()
}

func notAnExport() error {
	return fault.New(fault.Invalid, "this is not an export of the ledger").WithHint("cogctl ledger export --to ledger.jsonl")
}

func damaged(format string, args ...any) error {
	return fault.New(fault.Finding, "the export is not as it was written: "+format, args...).WithHint("get the file again, or export again: nothing in it is to be relied on")
}

// next is a whole line with its end; io.EOF when there is none, io.ErrUnexpectedEOF when it was cut.
func (r *reader) next() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, damaged("line %d is longer than any this program writes", r.line+1)
		case err == nil:
			r.line++
			return line, nil
		case err == bufio.ErrBufferFull: //nolint:errorlint // bufio never wraps it
		case err == io.EOF && len(line) > 0:
			return nil, damaged("it ends in the middle of line %d", r.line+1)
		default:
			return nil, err
		}
	}
}

func (r *reader) jsonl(first []byte) (Summary, error) {
	var head struct {
		Line, Name string
		Whole      bool `json:"whole_ledger"`
	}
	if json.Unmarshal(first, &head) != nil || head.Line != "header" || head.Name != Name {
		return r.got, notAnExport()
	}
	r.got.Whole = head.Whole
	r.hash.Write(first)
	for {
		line, err := r.next()
		if err != nil {
			return r.got, r.cut(err)
		}
		var kind struct{ Line string }
		if err := json.Unmarshal(line, &kind); err != nil {
			return r.got, damaged("line %d: %w", r.line, err)
		}
		if kind.Line == "trailer" {
			return r.close(line)
		}
		r.hash.Write(line)
		if err := r.record(kind.Line, line); err != nil {
			return r.got, err
		}
	}
}

func (r *reader) cut(err error) error {
	if err == io.EOF { //nolint:errorlint // io.Reader returns it bare
		return damaged("its trailer is missing, it was cut after line %d", r.line)
	}
	return err
}

func (r *reader) record(kind string, line []byte) error {
	var into any
	switch kind {
	case "account":
		into, r.got.Accounts = &Account{}, r.got.Accounts+1
	case "transfer":
		into, r.got.Transfers = &Transfer{}, r.got.Transfers+1
	case "hold":
		into, r.got.Holds = &Hold{}, r.got.Holds+1
	case "adjustment":
		into, r.got.Adjustments = &Adjustment{}, r.got.Adjustments+1
	default:
		return damaged("line %d is a %.20q, which no export has", r.line, kind)
	}
	strict := json.NewDecoder(bytes.NewReader(line))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		return damaged("line %d: %w", r.line, err)
	}
	if t, ok := into.(*Transfer); ok {
		add(r.sums, t.Kind, t.Amount)
	}
	if r.take == nil {
		return nil
	}
	return r.take(into)
}

// csv reads lines itself, so that the digest is of the bytes; a quoted cell may hold line ends.
func (r *reader) csv(first []byte) (Summary, error) {
	r.hash.Write(first)
	for {
		line, err := r.next()
		if err != nil {
			return r.got, r.cut(err)
		}
		if trailer, ok := bytes.CutPrefix(line, []byte(csvTrailer)); ok {
			return r.close(trailer)
		}
		for bytes.Count(line, []byte(`"`))%2 == 1 {
			more, err := r.next()
			if err != nil {
				return r.got, r.cut(err)
			}
			if line = append(line, more...); len(line) > maxLine {
				return r.got, damaged("line %d is longer than any this program writes", r.line)
			}
		}
		r.hash.Write(line)
		cells, err := csv.NewReader(bytes.NewReader(line)).Read()
		if err != nil || len(cells) != 10 {
			return r.got, damaged("line %d is no row of ten cells", r.line)
		}
		amount, err := strconv.ParseInt(cells[4], 10, 64)
		if err != nil {
			return r.got, damaged("line %d: %q is no amount", r.line, cells[4])
		}
		r.got.Transfers++
		add(r.sums, cells[1], amount)
	}
}

// close holds what was read against the trailer, and sees that nothing follows it.
func (r *reader) close(line []byte) (Summary, error) {
	var says Summary
	if err := json.Unmarshal(line, &says); err != nil {
		return r.got, damaged("its trailer cannot be read: %w", err)
	}
	if _, err := r.in.ReadByte(); err != io.EOF {
		return r.got, damaged("something follows its trailer at line %d", r.line)
	}
	r.got.SHA256, r.got.AmountMicro = hex.EncodeToString(r.hash.Sum(nil)), texts(r.sums)
	switch {
	case r.got.Transfers != says.Transfers || r.got.Accounts != says.Accounts || r.got.Holds != says.Holds || r.got.Adjustments != says.Adjustments:
		return r.got, damaged("it holds %d transfers, %d accounts, %d holds and %d adjustments, and its trailer says %d, %d, %d and %d",
			r.got.Transfers, r.got.Accounts, r.got.Holds, r.got.Adjustments, says.Transfers, says.Accounts, says.Holds, says.Adjustments)
	case !maps.Equal(r.got.AmountMicro, says.AmountMicro):
		return r.got, damaged("its amounts add up to something else than its trailer says")
	case r.got.SHA256 != says.SHA256:
		return r.got, damaged("its digest is %s, and its trailer says %.64s", r.got.SHA256, says.SHA256)
	}
	if exact, err := r.got.trailer(); err != nil || !bytes.HasSuffix(exact, line) {
		return r.got, damaged("its trailer is not one that this program writes for it")
	}
	return r.got, nil
}

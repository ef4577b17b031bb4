package cfapi

import (
	"bytes"
	"encoding/json"
)

// Fields is an object of the API as it was given, with numbers as they were written: what this program has no name for is kept too.
type Fields map[string]any

// UnmarshalJSON reads an object without rounding its numbers.
func (f *Fields) UnmarshalJSON(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return err
	}
	*f = fields
	return nil
}

// Text is a field's text, empty when it is absent or something else.
func (f Fields) Text(name string) string {
	text, _ := f[name].(string)
	return text
}

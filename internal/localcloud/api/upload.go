package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
)

// oldestDate is what a script runs under that names no compatibility date.
const oldestDate = "2021-11-02"

// The limits of one upload.
const (
	maxModules     = 10_000
	maxScriptBytes = 64 << 20
)

// Media types that mark the syntax of the main module; the stored version always carries one of these two for it.
const (
	typeModule        = "application/javascript+module"
	typeServiceWorker = "application/javascript"
)

// metadata is the metadata part of an upload, or the settings part of a settings change.
type metadata struct {
	MainModule         *string           `json:"main_module"`
	BodyPart           *string           `json:"body_part"`
	Bindings           []json.RawMessage `json:"bindings"`
	KeepBindings       []string          `json:"keep_bindings"`
	CompatibilityDate  *string           `json:"compatibility_date"`
	CompatibilityFlags *[]string         `json:"compatibility_flags"`
	Migrations         *migrations       `json:"migrations"`
	Exports            json.RawMessage   `json:"exports"`
	Assets             json.RawMessage   `json:"assets"`
	Containers         json.RawMessage   `json:"containers"`
	Tags               *[]string         `json:"tags"`
	Logpush            *bool             `json:"logpush"`
	TailConsumers      json.RawMessage   `json:"tail_consumers"`
	Observability      json.RawMessage   `json:"observability"`
	Placement          json.RawMessage   `json:"placement"`
	Limits             json.RawMessage   `json:"limits"`
	UsageModel         *string           `json:"usage_model"`
	Annotations        map[string]string `json:"annotations"`
}

type part struct {
	name, kind string
	data       []byte
}

type upload struct {
	meta  metadata
	main  string
	parts []part // the main module first, then by name
}

func invalidScript(format string, args ...any) *apiError { return bad(10021, format, args...) }

// parseUpload reads a script upload: multipart with a metadata part, or a bare service worker.
func parseUpload(contentType string, body []byte) (upload, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return upload{}, bad(10001, "Content-Type must be one of: application/javascript, text/javascript, multipart/form-data.")
	}
	switch kind {
	case "multipart/form-data":
		parts, err := readParts(body, params["boundary"])
		if err != nil {
			return upload{}, err
		}
		return assemble(parts)
	case typeServiceWorker, "text/javascript":
		return upload{main: "script", parts: []part{{"script", typeServiceWorker, body}}}, nil
	}
	return upload{}, bad(10001, "Content-Type must be one of: application/javascript, text/javascript, multipart/form-data.")
}

func readParts(body []byte, boundary string) ([]part, error) {
	if boundary == "" {
		return nil, bad(10001, "could not parse the multipart body: it has no boundary")
	}
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	var parts []part
	seen := map[string]bool{}
	for {
		p, err := form.NextRawPart()
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			return parts, nil
		}
		if err != nil {
			return nil, bad(10001, "could not parse the multipart body: %s", err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, bad(10001, "could not parse the multipart body: %s", err)
		}
		name := p.FormName()
		if name == "" {
			return nil, bad(10001, "could not parse the multipart body: a part has no name")
		}
		if seen[name] || len(parts) > maxModules {
			return nil, invalidScript("the upload has part %q twice, or too many parts", name)
		}
		seen[name] = true
		parts = append(parts, part{name, p.Header.Get("Content-Type"), data})
	}
}

func assemble(parts []part) (upload, error) {
	at := slices.IndexFunc(parts, func(p part) bool { return p.name == "metadata" })
	if at < 0 {
		return upload{}, invalidScript("could not read content for part metadata")
	}
	var u upload
	if err := decodeMetadata(parts[at].data, &u.meta); err != nil {
		return upload{}, err
	}
	u.parts = slices.Delete(slices.Clone(parts), at, at+1)
	syntax := typeModule
	switch {
	case u.meta.MainModule != nil && *u.meta.MainModule != "":
		u.main = *u.meta.MainModule
	case u.meta.BodyPart != nil && *u.meta.BodyPart != "":
		u.main, syntax = *u.meta.BodyPart, typeServiceWorker
	default:
		return upload{}, invalidScript("metadata must name a main_module or a body_part")
	}
	return u, u.order(syntax)
}

func decodeMetadata(data []byte, m *metadata) error {
	if err := json.Unmarshal(data, m); err != nil {
		return invalidScript("could not read content for part metadata: %s", err)
	}
	if m.Exports != nil || m.Assets != nil || m.Containers != nil {
		return fail(http.StatusNotImplemented, codeNotEmulated, "metadata exports, assets and containers are not emulated by the local cloud")
	}
	return nil
}

// order puts the main module first and the others by name: clients read the first part of a download as the script.
func (u *upload) order(syntax string) error {
	at := slices.IndexFunc(u.parts, func(p part) bool { return p.name == u.main })
	if at < 0 {
		return invalidScript("Uncaught Error: No such module %q.", u.main)
	}
	main := u.parts[at]
	main.kind = syntax
	rest := slices.Delete(u.parts, at, at+1)
	slices.SortFunc(rest, func(a, b part) int { return strings.Compare(a.name, b.name) })
	total := len(main.data)
	for i := range rest {
		if rest[i].kind == "" {
			rest[i].kind = "application/octet-stream"
		}
		total += len(rest[i].data)
	}
	if total > maxScriptBytes {
		return fail(http.StatusRequestEntityTooLarge, 10027, "Your Worker exceeded the size limit of %d MiB.", maxScriptBytes>>20)
	}
	u.parts = append([]part{main}, rest...)
	return nil
}

// compatibility checks the date as Cloudflare does: a real day, and not one to come.
func (m metadata) compatibility(now time.Time) (string, error) {
	if m.CompatibilityDate == nil || *m.CompatibilityDate == "" {
		return oldestDate, nil
	}
	day, err := time.Parse(time.DateOnly, *m.CompatibilityDate)
	if err != nil {
		return "", invalidScript("Invalid compatibility date %q: it must be YYYY-MM-DD.", *m.CompatibilityDate)
	}
	if day.After(now.Add(24 * time.Hour)) {
		return "", invalidScript("Can't set compatibility date in the future: %q.", *m.CompatibilityDate)
	}
	return *m.CompatibilityDate, nil
}

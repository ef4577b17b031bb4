package cfapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/cognomega/edge/internal/fault"
)

// ScriptContent downloads the modules of the version that serves, the main module first.
func (c *Client) ScriptContent(ctx context.Context, name string) ([]Module, error) {
	doing := "download script " + name
	res, err := c.raw(ctx, call{doing: doing, method: http.MethodGet, path: c.scriptPath(name, "/content/v2")})
	if err != nil {
		return nil, err
	}
	modules, err := readModules(res.Header.Get("Content-Type"), res.Body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", doing, err)
	}
	if len(modules) == 0 {
		return nil, fault.New(fault.Invalid, "%s: it has no modules", doing)
	}
	return modules, nil
}

func readModules(contentType string, body []byte) ([]Module, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	var modules []Module
	for form := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			return modules, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		modules = append(modules, Module{Name: part.FormName(), Type: part.Header.Get("Content-Type"), Content: content})
	}
}

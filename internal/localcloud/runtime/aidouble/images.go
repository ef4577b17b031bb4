package aidouble

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Image is what a model is shown of one.
type Image struct {
	Type   string
	Bytes  []byte
	Detail string
}

// ImageTokens is what an image of 1,024 by 1,024 pixels comes to at OpenAI, and one in low detail; the doubles count every image so.
func (i Image) ImageTokens() int {
	if i.Detail == "low" {
		return 85
	}
	return 765
}

// Sees says whether a model is shown images: by its name, as nobody tells the double.
func Sees(model string) bool {
	for _, family := range []string{"gpt-4o", "gpt-4.1", "gpt-5", "llama-4", "vision", "llava", "gemma-3"} {
		if strings.Contains(model, family) {
			return true
		}
	}
	return false
}

// Images are those of all messages, in order.
func Images(messages []Message) ([]Image, error) {
	var all []Image
	for _, m := range messages {
		parts, _ := m.Content.([]any)
		for _, part := range parts {
			p, ok := part.(map[string]any)
			if !ok || p["type"] != "image_url" {
				continue
			}
			image, err := imageOf(p["image_url"])
			if err != nil {
				return nil, err
			}
			all = append(all, image)
		}
	}
	return all, nil
}

func imageOf(part any) (Image, error) {
	p, _ := part.(map[string]any)
	url, _ := p["url"].(string)
	detail, _ := p["detail"].(string)
	head, data, ok := strings.Cut(url, ";base64,")
	kind, isData := strings.CutPrefix(head, "data:")
	if !ok || !isData {
		return Image{}, errors.New("an image is no data: URL in base64; the double fetches nothing")
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return Image{}, fmt.Errorf("an image is not in base64: %w", err)
	}
	if magic := magics[kind]; magic == nil || !bytes.Contains(raw[:min(len(raw), 12)], magic) {
		return Image{}, fmt.Errorf("an image does not begin as %q does", kind)
	}
	return Image{Type: kind, Bytes: raw, Detail: detail}, nil
}

// magics is how the types that models take begin.
var magics = map[string][]byte{"image/png": []byte("\x89PNG\r\n\x1a\n"), "image/jpeg": {0xff, 0xd8, 0xff}, "image/gif": []byte("GIF8"), "image/webp": []byte("WEBP")}

// shown says what was seen, so that a test can see that its own bytes arrived.
func shown(images []Image) string {
	all := make([]string, 0, len(images))
	for _, i := range images {
		all = append(all, fmt.Sprintf(" and showed %s of %d bytes with SHA-256 %x", i.Type, len(i.Bytes), sha256.Sum256(i.Bytes)))
	}
	return strings.Join(all, "")
}

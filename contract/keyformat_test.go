package contract_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/cognomega/edge/contract"
)

// TestKeyVectors reads the file that the Workers' test reads too, so that both languages spell keys alike.
func TestKeyVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name    string            `json:"name"`
		Format  string            `json:"format"`
		Values  map[string]string `json:"values"`
		Key     string            `json:"key"`
		Refused bool              `json:"refused"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) < 10 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	covered := map[string]bool{}
	for _, v := range vectors {
		key, err := c.Key(v.Format, v.Values)
		if key != v.Key || (err != nil) != v.Refused {
			t.Errorf("%s: got %q, %v", v.Name, key, err)
		}
		covered[v.Format] = true
	}
	for format := range c.Keys {
		if !covered[format] {
			t.Errorf("no vector spells a key of %q", format)
		}
	}
	if _, err := c.Key("nothing", nil); err == nil {
		t.Error("a format nobody declared was spelt")
	}
}

package edge

import (
	"net/http"
	"testing"
)

func TestAVersionIsPreferredAsTheDictionarySays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`app="v1"`: "v1", `other="v0", app="v1"`: "v1", `app="v1",other="v0"`: "v1", `app="v1", app="v2"`: "v2", `app="v1";a=1, other=?1`: "v1", "\tapp=\"v1\"\t": "v1",
		``: "", `other="v1"`: "", `app`: "", `app=v1`: "", `APP="v1"`: "", `app = "v1"`: "", `app="v1" other="v0"`: "", `app="v1`: "", `app="v1", "`: "", `app='v1'`: "",
	} {
		h := http.Header{}
		h.Set(overridesHeader, text)
		h.Set(affinityHeader, "k")
		if got := preferOf(h, "app"); got != (Prefer{Version: want, Key: "k"}) {
			t.Errorf("%s: %+v, want version %q", text, got, want)
		}
	}
	two := http.Header{overridesHeader: {`a="x"`, `app="v1"`}}
	if got := preferOf(two, "app"); got.Version != "v1" {
		t.Errorf("two lines: %+v", got)
	}
}

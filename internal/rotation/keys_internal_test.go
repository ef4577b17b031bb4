package rotation

import (
	"errors"
	"testing"
)

func TestNoNewKeyIsNamedLikeAFlag(t *testing.T) {
	t.Parallel()
	names := []string{"-fBKopUtC6lt", "--all", "LFeukUTmIkg4"}
	k, err := typable(func() (Key, error) {
		k := Key{KID: names[0]}
		names = names[1:]
		return k, nil
	})
	if err != nil || k.KID != "LFeukUTmIkg4" {
		t.Errorf("got %q, %v", k.KID, err)
	}
	bad := errors.New("no entropy")
	if _, err := typable(func() (Key, error) { return Key{}, bad }); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
}

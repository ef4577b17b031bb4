package contract_test

import (
	"testing"

	"github.com/cognomega/edge/contract"
)

func TestTheContractHolds(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Digest()) != 64 {
		t.Errorf("digest %q", c.Digest())
	}
}

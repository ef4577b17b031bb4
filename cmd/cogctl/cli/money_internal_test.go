package cli

import "testing"

func TestCredits(t *testing.T) {
	t.Parallel()
	for micro, want := range map[int64]string{0: "0.000000", 1: "0.000001", -1: "-0.000001", 1_500_000: "1.500000", -12_345_678: "-12.345678", 1 << 62: "4611686018427.387904"} {
		if got := inCredits(micro); got != want {
			t.Errorf("%d is %s, want %s", micro, got, want)
		}
		if back, err := toMicro(want); micro < 1<<60 && (err != nil || back != micro) {
			t.Errorf("%s is %d, %v", want, back, err)
		}
	}
	if got := creditsOf("20000000000000000000"); got != "20000000000000.000000" {
		t.Errorf("beyond an int64: %s", got)
	}
	for _, bad := range []string{"", "x", "1e3", "1/3", "0.0000001", "0x10", "1_000", "1000000001", "NaN", "Inf", "--1"} {
		if got, err := toMicro(bad); err == nil {
			t.Errorf("%q is taken for %d", bad, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}

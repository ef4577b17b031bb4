package cli

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// microDigits is how many decimals a credit has: the ledger holds whole micro-credits.
const microDigits = 6

// inCredits shows an amount of micro-credits as credits, with every decimal: two that differ never look the same.
func inCredits(micro int64) string { return creditsOf(strconv.FormatInt(micro, 10)) }

// creditsOf is inCredits for sums beyond an int64; what is no number is shown as it is.
func creditsOf(micro string) string {
	n, ok := new(big.Int).SetString(micro, 10)
	if !ok {
		return micro
	}
	digits := new(big.Int).Abs(n).String()
	if missing := microDigits + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
	}
	at := len(digits) - microDigits
	return sign + digits[:at] + "." + digits[at:]
}

// toMicro reads an amount of credits as a person types it: up to six decimals, and nothing is rounded.
func toMicro(text string) (int64, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok || strings.ContainsAny(text, "/eExX_") {
		return 0, fault.New(fault.Invalid, "%q is not an amount of credits", text).WithHint("such as 12.5 or -0.000001")
	}
	r.Mul(r, new(big.Rat).SetInt64(1_000_000))
	if !r.IsInt() {
		return 0, fault.New(fault.Invalid, "%s has more than %d decimals", text, microDigits).WithHint("a micro-credit is the smallest amount: 0.000001")
	}
	if !r.Num().IsInt64() || r.Num().CmpAbs(big.NewInt(1_000_000_000_000_000)) > 0 {
		return 0, fault.New(fault.Invalid, "%s credits are more than the ledger takes in one go", text).WithHint("at most 1000000000")
	}
	return r.Num().Int64(), nil
}

// grouped writes a count with commas, as in 1,000,000.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

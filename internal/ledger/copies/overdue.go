package copies

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/ledger"
)

// Overdue takes back that differences are on their way where the journal has a change that the copy has left out for longer than grace:
// an account that changes all the time always changed a moment ago, however old its copy is. Clocks may differ by as much as grace.
func Overdue(ctx context.Context, l *ledger.Ledger, young []*Difference, now time.Time, grace time.Duration) error {
	if len(young) == 0 {
		return nil
	}
	customers := make([]ledger.Since, 0, len(young))
	for _, d := range young {
		customers = append(customers, ledger.Since{Account: d.Key[len(Prefix):], After: d.wholeUntil.Add(grace)})
	}
	changed, err := l.ChangedBefore(ctx, customers, now.Add(-grace))
	if err != nil {
		return err
	}
	overdue := make(map[string]bool, len(changed))
	for _, account := range changed {
		overdue[Prefix+account] = true
	}
	for _, d := range young {
		d.OnWay = d.OnWay && !overdue[d.Key]
	}
	return nil
}

package cli

import (
	"sync"
	"time"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/term"
)

// waiting says that a call waits for the API, once for all calls that wait at the same time.
func (d *Deps) waiting() cfapi.Waiting {
	var (
		mu    sync.Mutex
		until time.Time
	)
	return func(wait time.Duration, because error) {
		mu.Lock()
		defer mu.Unlock()
		now := d.Now()
		if now.Before(until) {
			return
		}
		until = now.Add(wait)
		d.Term.Interject(term.Text{Text: "waiting " + wait.Round(time.Second).String() + " before asking again", Tone: term.Warn}, term.T(": "+because.Error()))
	}
}

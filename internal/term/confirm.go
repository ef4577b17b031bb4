package term

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Confirm asks a person to type a name before something that cannot be undone. Where nobody can answer it is fault.Invalid.
func (t *Term) Confirm(consequence, name string) error {
	if !t.Interactive() {
		return fault.New(fault.Invalid, "%s: nobody is here to confirm it", consequence).WithHint("add --yes when this is meant")
	}
	c := canvas{r: t.renderer(t.errTTY)}
	fmt.Fprintf(t.err, "%s %s\nType %s to go on: ", paint(c.r, Sign(Warning)), consequence, paint(c.r, Text{name, Strong}))
	answer, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil && answer == "" {
		return fault.New(fault.Invalid, "%s: no answer", consequence)
	}
	if strings.TrimSpace(answer) != name {
		return fault.New(fault.Invalid, "%s: not confirmed, nothing was done", consequence)
	}
	return nil
}

package platform

import (
	"context"
	"encoding/json"

	"github.com/cognomega/edge/internal/fault"
)

// Policy asks the stacks program about the policies: it holds their engine, which would make this program two
// thirds larger and slow every command's start. The verbs are rules, test and judge; question is what judge reads.
func Policy(ctx context.Context, l Layout, verb string, question, answer any) error {
	raw, err := json.Marshal(question)
	if err != nil {
		return fault.New(fault.Internal, "ask about the policies: %w", err)
	}
	var said json.RawMessage
	err = StackRun{Layout: l, Verb: "policy", Args: []string{verb}, Stdin: raw}.Run(ctx, func(e StackEvent) {
		if e.Type == "policy" {
			said = e.Outputs
		}
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(said, answer); err != nil {
		return fault.New(fault.Internal, "read what the policies say: %w", err).WithHint("make setup")
	}
	return nil
}

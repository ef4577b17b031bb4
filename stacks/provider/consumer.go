package provider

import (
	"context"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// QueueConsumer owns the one consumer of a queue.
type QueueConsumer struct{}

// QueueConsumerArgs are a consumer's inputs; Check completes them with Cloudflare's defaults, so that state and diffs show every setting.
type QueueConsumerArgs struct {
	AccountID           string  `pulumi:"accountId,optional" provider:"replaceOnChanges"`
	QueueID             string  `pulumi:"queueId" provider:"replaceOnChanges"`
	Type                string  `pulumi:"type,optional" provider:"replaceOnChanges"`
	ScriptName          *string `pulumi:"scriptName,optional" provider:"replaceOnChanges"`
	DeadLetterQueue     *string `pulumi:"deadLetterQueue,optional"`
	BatchSize           *int    `pulumi:"batchSize,optional"`
	MaxRetries          *int    `pulumi:"maxRetries,optional"`
	MaxWaitMS           *int    `pulumi:"maxWaitMs,optional"`
	MaxConcurrency      *int    `pulumi:"maxConcurrency,optional"`
	RetryDelaySeconds   *int    `pulumi:"retryDelaySeconds,optional"`
	VisibilityTimeoutMS *int    `pulumi:"visibilityTimeoutMs,optional"`
}

// QueueConsumerState is a consumer as it is live.
type QueueConsumerState struct {
	QueueConsumerArgs
	ConsumerID string `pulumi:"consumerId"`
}

const (
	consumerWorker = "worker"
	consumerPull   = "http_pull"
)

// Annotate sets the token.
func (*QueueConsumer) Annotate(a infer.Annotator) { a.SetToken("index", "QueueConsumer") }

// Diff compares field by field. A consumer of another kind or script is made after the old one is gone: a queue has one.
func (QueueConsumer) Diff(_ context.Context, req infer.DiffRequest[QueueConsumerArgs, QueueConsumerState]) (infer.DiffResponse, error) {
	return diffConsumer(req.State.QueueConsumerArgs, req.Inputs).response(true), nil
}

func diffConsumer(live, want QueueConsumerArgs) changes {
	c := changes{}
	c.replaceText("accountId", live.AccountID, want.AccountID)
	c.replaceText("queueId", live.QueueID, want.QueueID)
	c.replaceText("type", live.Type, want.Type)
	c.replaceText("scriptName", text(live.ScriptName), text(want.ScriptName))
	c.text("deadLetterQueue", text(live.DeadLetterQueue), text(want.DeadLetterQueue))
	for _, f := range consumerNumbers {
		c.exact(f.name, *f.of(&live), *f.of(&want))
	}
	return c
}

// exact tells 0 from absent.
func (c changes) exact(path string, live, want *int) {
	switch {
	case live == nil && want == nil:
	case live == nil:
		c.mark(path, p.Add)
	case want == nil:
		c.mark(path, p.Delete)
	case *live != *want:
		c.mark(path, p.Update)
	}
}

// Create attaches the consumer. One of the same script and queue that is there already is adopted and set as declared;
// one of another script is not ours to take away.
func (QueueConsumer) Create(ctx context.Context, req infer.CreateRequest[QueueConsumerArgs]) (infer.CreateResponse[QueueConsumerState], error) {
	out := infer.CreateResponse[QueueConsumerState]{Output: QueueConsumerState{QueueConsumerArgs: req.Inputs}}
	if req.DryRun {
		return out, nil
	}
	client, err := clientFor(ctx, req.Inputs.AccountID)
	if err != nil {
		return out, err
	}
	consumer, err := attach(ctx, client, req.Inputs)
	if err != nil {
		return out, explain(err)
	}
	out.ID = req.Inputs.AccountID + "/" + req.Inputs.QueueID + "/" + consumer.ID
	out.Output = QueueConsumerState{QueueConsumerArgs: req.Inputs, ConsumerID: consumer.ID}
	return out, verifyConsumer(ctx, client, req.Inputs, consumer.ID)
}

func attach(ctx context.Context, client *cfapi.Client, args QueueConsumerArgs) (cfapi.Consumer, error) {
	existing, err := client.Consumers(ctx, args.QueueID)
	if err != nil {
		return cfapi.Consumer{}, err
	}
	if len(existing) == 0 {
		made, err := client.CreateConsumer(ctx, args.QueueID, args.wire(""))
		if !cfapi.HasCode(err, 11004) {
			return made, err
		}
		if existing, err = client.Consumers(ctx, args.QueueID); err != nil {
			return cfapi.Consumer{}, err
		}
	}
	for _, c := range existing {
		if c.Type == args.Type && c.ScriptName == text(args.ScriptName) {
			_, err := client.UpdateConsumer(ctx, args.QueueID, args.wire(c.ID))
			return c, err
		}
	}
	owner := "an http_pull consumer"
	if len(existing) > 0 && existing[0].Type == consumerWorker {
		owner = "script " + existing[0].ScriptName
	}
	return cfapi.Consumer{}, fault.New(fault.Conflict, "queue %s is consumed by %s already (code 11004)", args.QueueID, owner).
		WithHint("a queue has at most one consumer: detach that one, or declare it instead")
}

// Update sets the consumer's settings; one that has gone meanwhile is attached again under a new id.
func (QueueConsumer) Update(
	ctx context.Context, req infer.UpdateRequest[QueueConsumerArgs, QueueConsumerState],
) (infer.UpdateResponse[QueueConsumerState], error) {
	out := infer.UpdateResponse[QueueConsumerState]{Output: QueueConsumerState{QueueConsumerArgs: req.Inputs, ConsumerID: req.State.ConsumerID}}
	if req.DryRun {
		return out, nil
	}
	client, err := clientFor(ctx, req.Inputs.AccountID)
	if err != nil {
		return out, err
	}
	consumer, err := attach(ctx, client, req.Inputs)
	if err != nil {
		return out, explain(err)
	}
	out.Output.ConsumerID = consumer.ID
	return out, verifyConsumer(ctx, client, req.Inputs, consumer.ID)
}

func verifyConsumer(ctx context.Context, client *cfapi.Client, args QueueConsumerArgs, id string) error {
	live, err := findConsumer(ctx, client, args, id)
	if err != nil {
		return incomplete("the consumer of queue %s is attached, and then: %v", args.QueueID, explain(err))
	}
	if differs := diffConsumer(fromConsumer(args, live), args); len(differs) > 0 {
		return incomplete("the consumer of queue %s reads back different from what was declared: %s", args.QueueID, strings.Join(differs.paths(), ", "))
	}
	return nil
}

// findConsumer looks for the id, then for the same script: one that was made anew outside of this program is still the one.
func findConsumer(ctx context.Context, client *cfapi.Client, args QueueConsumerArgs, id string) (cfapi.Consumer, error) {
	existing, err := client.Consumers(ctx, args.QueueID)
	if err != nil {
		return cfapi.Consumer{}, err
	}
	for _, c := range existing {
		if c.ID == id {
			return c, nil
		}
	}
	for _, c := range existing {
		if c.Type == args.Type && c.ScriptName == text(args.ScriptName) {
			return c, nil
		}
	}
	return cfapi.Consumer{}, fault.New(fault.NotFound, "queue %s has no such consumer", args.QueueID)
}

// Read finds the live consumer; when the queue or the consumer is gone it answers with no id.
func (QueueConsumer) Read(
	ctx context.Context, req infer.ReadRequest[QueueConsumerArgs, QueueConsumerState],
) (infer.ReadResponse[QueueConsumerArgs, QueueConsumerState], error) {
	var out infer.ReadResponse[QueueConsumerArgs, QueueConsumerState]
	parts := strings.Split(req.ID, "/")
	if len(parts) != 3 {
		return out, badID(req.ID, "<account id>/<queue id>/<consumer id>")
	}
	args := req.State.QueueConsumerArgs
	args.AccountID, args.QueueID = parts[0], parts[1]
	client, err := clientFor(ctx, args.AccountID)
	if err != nil {
		return out, err
	}
	live, err := findConsumer(ctx, client, args, parts[2])
	if gone(err) || cfapi.HasCode(err, 11000) {
		return out, nil
	}
	if err != nil {
		return out, explain(err)
	}
	out.ID = args.AccountID + "/" + args.QueueID + "/" + live.ID
	out.Inputs = fromConsumer(args, live)
	out.State = QueueConsumerState{QueueConsumerArgs: out.Inputs, ConsumerID: live.ID}
	return out, nil
}

// Delete detaches the consumer; one that is gone already, or whose queue is, is fine.
func (QueueConsumer) Delete(ctx context.Context, req infer.DeleteRequest[QueueConsumerState]) (infer.DeleteResponse, error) {
	client, err := clientFor(ctx, req.State.AccountID)
	if err != nil {
		return infer.DeleteResponse{}, err
	}
	live, err := findConsumer(ctx, client, req.State.QueueConsumerArgs, req.State.ConsumerID)
	if err == nil {
		err = client.DeleteConsumer(ctx, req.State.QueueID, live.ID)
	}
	if gone(err) || cfapi.HasCode(err, 11000) {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, explain(err)
}

package provider

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
)

// consumerNumbers are the numeric settings: their limits, and Cloudflare's defaults by type of consumer (nil: none, or not for that type).
var consumerNumbers = []struct {
	name         string
	of           func(*QueueConsumerArgs) **int
	wire         func(*cfapi.ConsumerSettings) **int
	least, most  int
	worker, pull *int
}{
	{
		"batchSize", func(q *QueueConsumerArgs) **int { return &q.BatchSize }, func(s *cfapi.ConsumerSettings) **int { return &s.BatchSize },
		1, 100, number(10), number(10),
	},
	{
		"maxRetries", func(q *QueueConsumerArgs) **int { return &q.MaxRetries }, func(s *cfapi.ConsumerSettings) **int { return &s.MaxRetries },
		0, 100, number(3), number(3),
	},
	{
		"maxWaitMs", func(q *QueueConsumerArgs) **int { return &q.MaxWaitMS }, func(s *cfapi.ConsumerSettings) **int { return &s.MaxWaitMS },
		0, 60_000, number(5000), nil,
	},
	{
		"maxConcurrency", func(q *QueueConsumerArgs) **int { return &q.MaxConcurrency }, func(s *cfapi.ConsumerSettings) **int { return &s.MaxConcurrency },
		1, 250, nil, nil,
	},
	{
		"retryDelaySeconds", func(q *QueueConsumerArgs) **int { return &q.RetryDelaySeconds }, func(s *cfapi.ConsumerSettings) **int { return &s.RetryDelaySeconds },
		0, 86_400, number(0), number(0),
	},
	{
		"visibilityTimeoutMs", func(q *QueueConsumerArgs) **int { return &q.VisibilityTimeoutMS }, func(s *cfapi.ConsumerSettings) **int { return &s.VisibilityTimeoutMS },
		0, 43_200_000, nil, number(30_000),
	},
}

func number(n int) *int { return &n }

// Check validates the inputs and completes them with the account and Cloudflare's defaults.
func (QueueConsumer) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[QueueConsumerArgs], error) {
	args, failures, err := infer.DefaultCheck[QueueConsumerArgs](ctx, req.NewInputs)
	if err != nil || len(failures) > 0 {
		return infer.CheckResponse[QueueConsumerArgs]{Inputs: args, Failures: failures}, err
	}
	c := &checker{inputs: req.NewInputs}
	c.account(ctx, &args.AccountID)
	if args.Type == "" && !c.unknown("type") {
		args.Type = consumerWorker
	}
	if args.QueueID == "" && !c.unknown("queueId") {
		c.fail("queueId", "is empty")
	}
	c.consumerType(args)
	c.consumerNumbers(&args)
	return infer.CheckResponse[QueueConsumerArgs]{Inputs: args, Failures: c.failures}, nil
}

func (c *checker) consumerType(args QueueConsumerArgs) {
	switch {
	case c.unknown("type") || c.unknown("scriptName"):
	case args.Type == consumerWorker && text(args.ScriptName) == "":
		c.fail("scriptName", "is missing: a worker consumer is a script's queue() handler")
	case args.Type == consumerPull && text(args.ScriptName) != "":
		c.fail("scriptName", "means nothing to an http_pull consumer")
	case args.Type != consumerWorker && args.Type != consumerPull:
		c.fail("type", `must be "worker" or "http_pull", is %q`, args.Type)
	}
}

func (c *checker) consumerNumbers(args *QueueConsumerArgs) {
	for _, f := range consumerNumbers {
		at := f.of(args)
		byDefault, applies := f.worker, f.name != "visibilityTimeoutMs"
		if args.Type == consumerPull {
			byDefault, applies = f.pull, f.name != "maxWaitMs" && f.name != "maxConcurrency"
		}
		switch {
		case *at == nil && !c.unknown(f.name):
			*at = byDefault
		case *at == nil || c.unknown(f.name):
		case !applies:
			c.fail(f.name, "means nothing to a consumer of type %s", args.Type)
		case **at < f.least || **at > f.most:
			c.fail(f.name, "must be between %d and %d, is %d", f.least, f.most, **at)
		}
	}
}

func (q QueueConsumerArgs) wire(id string) cfapi.Consumer {
	w := cfapi.Consumer{ID: id, Type: q.Type, ScriptName: text(q.ScriptName), DeadLetterQueue: text(q.DeadLetterQueue)}
	for _, f := range consumerNumbers {
		*f.wire(&w.Settings) = *f.of(&q)
	}
	return w
}

// fromConsumer is a live consumer in the form it would have been declared in. Settings that are not for its type are left out: answers may have zeros there.
func fromConsumer(args QueueConsumerArgs, live cfapi.Consumer) QueueConsumerArgs {
	out := QueueConsumerArgs{
		AccountID: args.AccountID, QueueID: args.QueueID, Type: live.Type,
		ScriptName: some(live.ScriptName), DeadLetterQueue: some(live.DeadLetterQueue),
	}
	for _, f := range consumerNumbers {
		byDefault := f.worker
		if live.Type == consumerPull {
			byDefault = f.pull
		}
		value := *f.wire(&live.Settings)
		switch {
		case value == nil, byDefault == nil && *value == 0:
			value = byDefault
		}
		*f.of(&out) = value
	}
	if live.Type == consumerPull {
		out.MaxWaitMS, out.MaxConcurrency = nil, nil
	} else {
		out.VisibilityTimeoutMS = nil
	}
	return out
}

package sdk

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// QueueConsumer attaches the one consumer that a queue can have.
type QueueConsumer struct {
	pulumi.CustomResourceState
	QueueID    pulumi.StringOutput `pulumi:"queueId"`
	ConsumerID pulumi.StringOutput `pulumi:"consumerId"`
}

// QueueConsumerArgs declares a consumer; nil settings are Cloudflare's defaults (batches of 10, 5 s wait, 3 retries).
// Pass a WorkerScript's Name output as ScriptName: the consumer is then created after the script and deleted before it.
type QueueConsumerArgs struct {
	AccountID           pulumi.StringPtrInput // else the provider's
	QueueID             pulumi.StringInput    // changing it replaces the consumer
	Type                string                // "worker" (the default) or "http_pull"
	ScriptName          pulumi.StringPtrInput // wanted for a worker
	DeadLetterQueue     pulumi.StringPtrInput // a queue's name
	BatchSize           pulumi.IntPtrInput
	MaxRetries          pulumi.IntPtrInput
	MaxWaitMS           pulumi.IntPtrInput
	MaxConcurrency      pulumi.IntPtrInput // nil scales by itself
	RetryDelaySeconds   pulumi.IntPtrInput
	VisibilityTimeoutMS pulumi.IntPtrInput // http_pull alone
}

// NewQueueConsumer declares a queue's consumer.
func NewQueueConsumer(ctx *pulumi.Context, name string, args *QueueConsumerArgs, opts ...pulumi.ResourceOption) (*QueueConsumer, error) {
	m := pulumi.Map{}
	setInput(m, "accountId", args.AccountID)
	setInput(m, "queueId", args.QueueID)
	setText(m, "type", args.Type)
	setInput(m, "scriptName", args.ScriptName)
	setInput(m, "deadLetterQueue", args.DeadLetterQueue)
	setInput(m, "batchSize", args.BatchSize)
	setInput(m, "maxRetries", args.MaxRetries)
	setInput(m, "maxWaitMs", args.MaxWaitMS)
	setInput(m, "maxConcurrency", args.MaxConcurrency)
	setInput(m, "retryDelaySeconds", args.RetryDelaySeconds)
	setInput(m, "visibilityTimeoutMs", args.VisibilityTimeoutMS)
	var r QueueConsumer
	return &r, register(ctx, "QueueConsumer", name, m, &r, opts)
}

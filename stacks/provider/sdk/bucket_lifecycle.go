package sdk

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// R2BucketLifecycle is the whole lifecycle rule set of one R2 bucket.
type R2BucketLifecycle struct {
	pulumi.CustomResourceState
	BucketName pulumi.StringOutput `pulumi:"bucketName"`
}

// R2BucketLifecycleArgs declares the rules; rules that are on the bucket and not here are removed.
type R2BucketLifecycleArgs struct {
	AccountID        pulumi.StringPtrInput // else the provider's
	BucketName       pulumi.StringInput    // changing it replaces the resource
	Rules            []LifecycleRule
	KeepDefaultAbort bool // keep Cloudflare's own rule that aborts multipart uploads after 7 days, unless a rule here aborts for every prefix
}

// LifecycleRule acts on the objects under a prefix; days count from an object's upload, and 0 leaves an action out.
type LifecycleRule struct {
	ID                 string
	Disabled           bool
	Prefix             string // "" is every object
	ExpireDays         int
	InfrequentDays     int // to the InfrequentAccess storage class
	AbortMultipartDays int
}

// NewR2BucketLifecycle declares a bucket's lifecycle rules.
func NewR2BucketLifecycle(ctx *pulumi.Context, name string, args *R2BucketLifecycleArgs, opts ...pulumi.ResourceOption) (*R2BucketLifecycle, error) {
	m := pulumi.Map{}
	setInput(m, "accountId", args.AccountID)
	setInput(m, "bucketName", args.BucketName)
	setFlag(m, "keepDefaultAbort", args.KeepDefaultAbort)
	rules := pulumi.Array{}
	for _, r := range args.Rules {
		rules = append(rules, r.toMap())
	}
	m["rules"] = rules
	var r R2BucketLifecycle
	return &r, register(ctx, "R2BucketLifecycle", name, m, &r, opts)
}

func (r LifecycleRule) toMap() pulumi.Map {
	m := pulumi.Map{"id": pulumi.String(r.ID)}
	setFlag(m, "disabled", r.Disabled)
	setText(m, "prefix", r.Prefix)
	setNumber(m, "expireDays", r.ExpireDays)
	setNumber(m, "infrequentDays", r.InfrequentDays)
	setNumber(m, "abortMultipartDays", r.AbortMultipartDays)
	return m
}

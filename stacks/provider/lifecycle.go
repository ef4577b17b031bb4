package provider

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
)

// R2BucketLifecycle owns the whole lifecycle rule set of a bucket: the API replaces all rules at once.
type R2BucketLifecycle struct{}

// R2BucketLifecycleArgs are the inputs.
type R2BucketLifecycleArgs struct {
	AccountID        string          `pulumi:"accountId,optional" provider:"replaceOnChanges"`
	BucketName       string          `pulumi:"bucketName" provider:"replaceOnChanges"`
	Rules            []LifecycleRule `pulumi:"rules"`
	KeepDefaultAbort bool            `pulumi:"keepDefaultAbort,optional"`
}

// LifecycleRule acts on the objects under a prefix, in days from their upload.
type LifecycleRule struct {
	ID                 string  `pulumi:"id"`
	Disabled           bool    `pulumi:"disabled,optional"`
	Prefix             string  `pulumi:"prefix,optional"`
	ExpireDays         *int    `pulumi:"expireDays,optional"`
	InfrequentDays     *int    `pulumi:"infrequentDays,optional"`
	AbortMultipartDays *int    `pulumi:"abortMultipartDays,optional"`
	Beyond             *string `pulumi:"beyond,optional"` // of a live rule: what it says that cannot be declared
}

// R2BucketLifecycleState is the rule set as it is live.
type R2BucketLifecycleState struct {
	R2BucketLifecycleArgs
}

// Annotate sets the token.
func (*R2BucketLifecycle) Annotate(a infer.Annotator) { a.SetToken("index", "R2BucketLifecycle") }

// Annotate documents the inputs.
func (l *R2BucketLifecycleArgs) Annotate(a infer.Annotator) {
	a.Describe(&l.Rules, "All rules of the bucket; live rules that are not here are removed.")
	a.Describe(&l.KeepDefaultAbort, "Keep Cloudflare's own rule that aborts multipart uploads after 7 days.")
}

// Diff compares rule by rule.
func (R2BucketLifecycle) Diff(
	_ context.Context, req infer.DiffRequest[R2BucketLifecycleArgs, R2BucketLifecycleState],
) (infer.DiffResponse, error) {
	return diffLifecycle(req.State.R2BucketLifecycleArgs, req.Inputs).response(false), nil
}

// Create replaces whatever rules the bucket has: a new bucket has Cloudflare's default one.
func (R2BucketLifecycle) Create(
	ctx context.Context, req infer.CreateRequest[R2BucketLifecycleArgs],
) (infer.CreateResponse[R2BucketLifecycleState], error) {
	out := infer.CreateResponse[R2BucketLifecycleState]{
		ID: req.Inputs.AccountID + "/" + req.Inputs.BucketName, Output: R2BucketLifecycleState{req.Inputs},
	}
	if req.DryRun {
		return out, nil
	}
	return out, putLifecycle(ctx, req.Inputs)
}

// Update replaces the rules.
func (R2BucketLifecycle) Update(
	ctx context.Context, req infer.UpdateRequest[R2BucketLifecycleArgs, R2BucketLifecycleState],
) (infer.UpdateResponse[R2BucketLifecycleState], error) {
	out := infer.UpdateResponse[R2BucketLifecycleState]{Output: R2BucketLifecycleState{req.Inputs}}
	if req.DryRun {
		return out, nil
	}
	return out, putLifecycle(ctx, req.Inputs)
}

func putLifecycle(ctx context.Context, args R2BucketLifecycleArgs) error {
	client, err := clientFor(ctx, args.AccountID)
	if err != nil {
		return err
	}
	if err := client.PutBucketLifecycle(ctx, args.BucketName, args.wire()); err != nil {
		return explain(err)
	}
	rules, err := client.BucketLifecycle(ctx, args.BucketName)
	if err != nil {
		return incomplete("the rules of bucket %s are written, and then: %v", args.BucketName, explain(err))
	}
	if differs := diffLifecycle(fromRules(args, rules), args); len(differs) > 0 {
		return incomplete("the rules of bucket %s read back different from what was declared: %s", args.BucketName, strings.Join(differs.paths(), ", "))
	}
	return nil
}

// Read finds the live rules; a bucket that is not there answers with no id.
func (R2BucketLifecycle) Read(
	ctx context.Context, req infer.ReadRequest[R2BucketLifecycleArgs, R2BucketLifecycleState],
) (infer.ReadResponse[R2BucketLifecycleArgs, R2BucketLifecycleState], error) {
	var out infer.ReadResponse[R2BucketLifecycleArgs, R2BucketLifecycleState]
	account, bucket := splitID(req.ID)
	if account == "" || bucket == "" {
		return out, badID(req.ID, "<account id>/<bucket name>")
	}
	client, err := clientFor(ctx, account)
	if err != nil {
		return out, err
	}
	rules, err := client.BucketLifecycle(ctx, bucket)
	if noBucket(err) {
		return out, nil
	}
	if err != nil {
		return out, explain(err)
	}
	args := req.State.R2BucketLifecycleArgs
	args.AccountID, args.BucketName = account, bucket
	out.ID, out.Inputs = req.ID, fromRules(args, rules)
	out.State = R2BucketLifecycleState{out.Inputs}
	return out, nil
}

// Delete gives the bucket back the rule that Cloudflare gives a new one; a bucket that is gone already is fine.
func (R2BucketLifecycle) Delete(ctx context.Context, req infer.DeleteRequest[R2BucketLifecycleState]) (infer.DeleteResponse, error) {
	account, bucket := splitID(req.ID)
	client, err := clientFor(ctx, account)
	if err != nil {
		return infer.DeleteResponse{}, err
	}
	err = client.PutBucketLifecycle(ctx, bucket, []cfapi.LifecycleRule{defaultAbort()})
	if noBucket(err) {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, explain(err)
}

func noBucket(err error) bool { return gone(err) || cfapi.HasCode(err, 10006) }

package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
)

const (
	daySeconds       = 86_400
	infrequentAccess = "InfrequentAccess"
	defaultAbortID   = "Default Multipart Abort Rule"
)

// defaultAbort is the rule that Cloudflare puts on every new bucket.
func defaultAbort() cfapi.LifecycleRule {
	return cfapi.LifecycleRule{ID: defaultAbortID, Enabled: true, AbortMultipart: after(7)}
}

func after(days int) *cfapi.LifecycleAction {
	return &cfapi.LifecycleAction{Condition: &cfapi.LifecycleCondition{Type: "Age", MaxAge: int64(days) * daySeconds}}
}

// wire is the whole rule set to be written.
func (l R2BucketLifecycleArgs) wire() []cfapi.LifecycleRule {
	rules := []cfapi.LifecycleRule{}
	for _, r := range l.Rules {
		rules = append(rules, r.wire())
	}
	if l.wantsDefault() {
		rules = append(rules, defaultAbort())
	}
	return rules
}

// wantsDefault is false when a declared rule aborts uploads everywhere, sooner or later: that one replaces Cloudflare's.
func (l R2BucketLifecycleArgs) wantsDefault() bool {
	return l.KeepDefaultAbort && !slices.ContainsFunc(l.Rules, func(r LifecycleRule) bool {
		return r.ID == defaultAbortID || r.AbortMultipartDays != nil && r.Prefix == "" && !r.Disabled
	})
}

func (r LifecycleRule) wire() cfapi.LifecycleRule {
	w := cfapi.LifecycleRule{ID: r.ID, Enabled: !r.Disabled, Conditions: cfapi.LifecycleConditions{Prefix: r.Prefix}}
	if r.ExpireDays != nil {
		w.Delete = after(*r.ExpireDays)
	}
	if r.InfrequentDays != nil {
		transition := after(*r.InfrequentDays)
		transition.StorageClass = infrequentAccess
		w.Transitions = []cfapi.LifecycleAction{*transition}
	}
	if r.AbortMultipartDays != nil {
		w.AbortMultipart = after(*r.AbortMultipartDays)
	}
	return w
}

// fromRules is a live rule set in the form it would have been declared in, in the declared order.
func fromRules(args R2BucketLifecycleArgs, live []cfapi.LifecycleRule) R2BucketLifecycleArgs {
	out := R2BucketLifecycleArgs{AccountID: args.AccountID, BucketName: args.BucketName, Rules: []LifecycleRule{}, KeepDefaultAbort: args.KeepDefaultAbort}
	found := false
	for _, w := range live {
		r := fromRule(w)
		if args.wantsDefault() && r.ID == defaultAbortID && sameRule(r, fromRule(defaultAbort())) {
			found = true
			continue
		}
		out.Rules = append(out.Rules, r)
	}
	if args.wantsDefault() && !found {
		out.KeepDefaultAbort = false
	}
	rank := map[string]int{}
	for i, r := range args.Rules {
		rank[r.ID] = i - len(args.Rules)
	}
	slices.SortStableFunc(out.Rules, func(a, b LifecycleRule) int {
		return cmp.Or(cmp.Compare(rank[a.ID], rank[b.ID]), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// fromRule takes an action without a condition for none: answers may have empty ones.
func fromRule(w cfapi.LifecycleRule) LifecycleRule {
	r := LifecycleRule{ID: w.ID, Disabled: !w.Enabled, Prefix: w.Conditions.Prefix}
	beyond := map[string]any{}
	take(beyond, "deleteObjectsTransition", w.Delete, &r.ExpireDays)
	take(beyond, "abortMultipartUploadsTransition", w.AbortMultipart, &r.AbortMultipartDays)
	for i := range w.Transitions {
		name := "storageClassTransitions[" + strconv.Itoa(i) + "]"
		if w.Transitions[i].StorageClass != infrequentAccess {
			beyond[name] = w.Transitions[i]
			continue
		}
		take(beyond, name, &w.Transitions[i], &r.InfrequentDays)
	}
	if len(beyond) > 0 {
		encoded, err := json.Marshal(beyond)
		if err != nil {
			encoded = []byte(err.Error())
		}
		r.Beyond = some(string(encoded))
	}
	return r
}

// take puts an action's age into days, or the action into beyond when whole days cannot say it.
func take(beyond map[string]any, name string, action *cfapi.LifecycleAction, days **int) {
	switch {
	case action == nil || action.Condition == nil:
	case *days == nil && action.Condition.Type == "Age" && action.Condition.MaxAge%daySeconds == 0:
		*days = number(int(action.Condition.MaxAge / daySeconds))
	default:
		beyond[name] = action
	}
}

func diffLifecycle(live, want R2BucketLifecycleArgs) changes {
	c := changes{}
	c.replaceText("accountId", live.AccountID, want.AccountID)
	c.replaceText("bucketName", live.BucketName, want.BucketName)
	c.flag("keepDefaultAbort", live.KeepDefaultAbort, want.KeepDefaultAbort)
	place := map[string]int{}
	for i, r := range live.Rules {
		place[r.ID] = i
	}
	for i, r := range want.Rules {
		at := "rules[" + strconv.Itoa(i) + "]"
		old, known := place[r.ID]
		delete(place, r.ID)
		if !known {
			c.mark(at, p.Add)
			continue
		}
		c.rule(at, live.Rules[old], r)
	}
	for _, i := range place {
		c.mark("rules["+strconv.Itoa(i)+"]", p.Delete)
	}
	return c
}

func (c changes) rule(at string, live, want LifecycleRule) {
	c.flag(at+".disabled", live.Disabled, want.Disabled)
	c.text(at+".prefix", live.Prefix, want.Prefix)
	c.number(at+".expireDays", live.ExpireDays, want.ExpireDays)
	c.number(at+".infrequentDays", live.InfrequentDays, want.InfrequentDays)
	c.number(at+".abortMultipartDays", live.AbortMultipartDays, want.AbortMultipartDays)
	c.optional(at+".beyond", live.Beyond, want.Beyond)
}

func sameRule(a, b LifecycleRule) bool {
	c := changes{}
	c.rule("", a, b)
	return len(c) == 0
}

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// Check validates the inputs and completes the account.
func (R2BucketLifecycle) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[R2BucketLifecycleArgs], error) {
	args, failures, err := infer.DefaultCheck[R2BucketLifecycleArgs](ctx, req.NewInputs)
	if err != nil || len(failures) > 0 {
		return infer.CheckResponse[R2BucketLifecycleArgs]{Inputs: args, Failures: failures}, err
	}
	c := &checker{inputs: req.NewInputs}
	c.account(ctx, &args.AccountID)
	c.match("bucketName", args.BucketName, bucketForm, "must be 3 to 63 of a-z, 0-9 and -, not starting or ending with -")
	first := map[string]int{}
	for i, r := range args.Rules {
		if c.unknown("rules") || c.unknown("rules", i) {
			continue
		}
		at := "rules[" + strconv.Itoa(i) + "]"
		if earlier, twice := first[r.ID]; twice {
			c.fail(at+".id", "%q is the id of rules[%d] as well", r.ID, earlier)
		}
		first[r.ID] = i
		c.rule(at, i, r)
	}
	return infer.CheckResponse[R2BucketLifecycleArgs]{Inputs: args, Failures: c.failures}, nil
}

func (c *checker) rule(at string, i int, r LifecycleRule) {
	if (r.ID == "" || len(r.ID) > 255) && !c.unknown("rules", i, "id") {
		c.fail(at+".id", "must be 1 to 255 characters")
	}
	if r.Beyond != nil {
		c.fail(at+".beyond", "is an output: it says what a live rule has that cannot be declared")
	}
	if r.ExpireDays == nil && r.InfrequentDays == nil && r.AbortMultipartDays == nil {
		c.fail(at, "does nothing: set expireDays, infrequentDays or abortMultipartDays")
	}
	for name, days := range map[string]*int{"expireDays": r.ExpireDays, "infrequentDays": r.InfrequentDays, "abortMultipartDays": r.AbortMultipartDays} {
		if days != nil && *days < 1 && !c.unknown("rules", i, name) {
			c.fail(at+"."+name, "must be at least 1, is %d", *days)
		}
	}
	if r.ExpireDays != nil && r.InfrequentDays != nil && *r.InfrequentDays >= *r.ExpireDays && *r.ExpireDays > 0 {
		c.fail(at+".infrequentDays", "is %d, and the objects are gone after %d", *r.InfrequentDays, *r.ExpireDays)
	}
}

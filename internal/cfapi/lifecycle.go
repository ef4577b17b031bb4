package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// LifecycleRule is an R2 object lifecycle rule in the API's own shape.
type LifecycleRule struct {
	ID             string              `json:"id"`
	Enabled        bool                `json:"enabled"`
	Conditions     LifecycleConditions `json:"conditions"`
	Delete         *LifecycleAction    `json:"deleteObjectsTransition,omitempty"`
	Transitions    []LifecycleAction   `json:"storageClassTransitions,omitempty"`
	AbortMultipart *LifecycleAction    `json:"abortMultipartUploadsTransition,omitempty"`
}

// LifecycleConditions choose the objects a rule acts on; an empty prefix is all of them.
type LifecycleConditions struct {
	Prefix string `json:"prefix"`
}

// LifecycleAction happens to an object when its condition is met.
type LifecycleAction struct {
	Condition    *LifecycleCondition `json:"condition,omitempty"`
	StorageClass string              `json:"storageClass,omitempty"`
}

// LifecycleCondition is an age in seconds, or a date.
type LifecycleCondition struct {
	Type   string `json:"type"` // Age, Date
	MaxAge int64  `json:"maxAge,omitempty"`
	Date   string `json:"date,omitempty"`
}

// BucketLifecycle reads a bucket's lifecycle rules; fault.NotFound when there is no such bucket.
func (c *Client) BucketLifecycle(ctx context.Context, bucket string) ([]LifecycleRule, error) {
	var out struct {
		Rules []LifecycleRule `json:"rules"`
	}
	_, err := c.do(ctx, call{doing: "read lifecycle rules of bucket " + bucket, method: http.MethodGet, path: c.lifecyclePath(bucket)}, &out)
	return out.Rules, err
}

// PutBucketLifecycle replaces all of a bucket's lifecycle rules.
func (c *Client) PutBucketLifecycle(ctx context.Context, bucket string, rules []LifecycleRule) error {
	if rules == nil {
		rules = []LifecycleRule{}
	}
	_, err := c.do(ctx, call{
		doing: "replace lifecycle rules of bucket " + bucket, method: http.MethodPut, path: c.lifecyclePath(bucket),
		body: map[string]any{"rules": rules},
	}, nil)
	return err
}

func (c *Client) lifecyclePath(bucket string) string {
	return "/accounts/" + url.PathEscape(c.account) + "/r2/buckets/" + url.PathEscape(bucket) + "/lifecycle"
}

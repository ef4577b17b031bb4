package store

import (
	"bytes"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// lifecyclePage is how many objects are looked at in one transaction.
const lifecyclePage = 1000

// RunLifecycle applies the enabled rules of every bucket as of now: it deletes objects, moves them to another storage class
// and aborts multipart uploads. Of rules that meet in an object a deletion wins. Running it again changes nothing more.
func (r *R2) RunLifecycle(now time.Time) (LifecycleReport, error) {
	var buckets []Bucket
	err := r.s.View(func(tx *Tx) (err error) {
		buckets, err = All[Bucket](tx, Buckets, "")
		return err
	})
	var report LifecycleReport
	for _, b := range buckets {
		run := lifecycleRun{r: r, bucket: b.Name, now: now, rules: enabled(b.Lifecycle)}
		if err == nil && len(run.rules) > 0 {
			run.done = make([]LifecycleApplied, len(run.rules))
			if err = run.objects(); err == nil {
				err = run.uploads()
			}
			report.Actions = append(report.Actions, run.applied()...)
		}
	}
	return report, asFault(err, "run lifecycle rules")
}

func enabled(rules []LifecycleRule) (on []LifecycleRule) {
	for _, rule := range rules {
		if rule.Enabled {
			on = append(on, rule)
		}
	}
	return on
}

// lifecycleRun is one run over one bucket.
type lifecycleRun struct {
	r      *R2
	bucket string
	now    time.Time
	rules  []LifecycleRule
	done   []LifecycleApplied // by rule
}

func (run *lifecycleRun) applied() (all []LifecycleApplied) {
	for i, one := range run.done {
		if one.Deleted+one.Transitioned+one.Aborted > 0 {
			one.Bucket, one.Rule = run.bucket, run.rules[i].ID
			all = append(all, one)
		}
	}
	return all
}

// verdict is what the rules say of an object: nothing (rule -1), deletion (no class), or another class.
type verdict struct {
	rule  int
	class string
}

func (run *lifecycleRun) judge(o Object) verdict {
	v := verdict{rule: -1}
	for i, rule := range run.rules {
		if !strings.HasPrefix(o.Key, rule.Conditions.Prefix) {
			continue
		}
		if rule.Delete != nil && rule.Delete.Condition.met(o.Uploaded, run.now) {
			return verdict{rule: i}
		}
		for _, t := range rule.Transition {
			if v.rule < 0 && t.StorageClass != o.StorageClass && t.Condition.met(o.Uploaded, run.now) {
				v = verdict{rule: i, class: t.StorageClass}
			}
		}
	}
	return v
}

// met says whether an object or upload of that date is due.
func (c LifecycleCondition) met(since, now time.Time) bool {
	switch c.Type {
	case "Age":
		return !now.Before(since.Add(time.Duration(c.MaxAge) * time.Second))
	case "Date":
		return c.Date != nil && !now.Before(*c.Date)
	}
	return false
}

// objects reads page by page, and writes only where there is something to do.
func (run *lifecycleRun) objects() error {
	for from := []byte{}; from != nil; {
		var due []string
		err := run.r.s.db.View(func(tx *bolt.Tx) (err error) {
			b, err := openBucket(tx, run.bucket)
			if err != nil || b.objects == nil {
				from = nil
				return err
			}
			due, from, err = run.scan(b.objects.Cursor(), from)
			return err
		})
		if err == nil && len(due) > 0 {
			err = run.apply(due)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scan names the keys of a page that a rule is due for, and where the next page starts.
func (run *lifecycleRun) scan(cur *bolt.Cursor, from []byte) (due []string, next []byte, err error) {
	seen := 0
	for k, raw := cur.Seek(from); k != nil; k, raw = cur.Next() {
		if seen++; seen > lifecyclePage {
			return due, bytes.Clone(k), nil
		}
		var one objectRecord
		if err := decodeR2(raw, &one); err != nil {
			return nil, nil, err
		}
		if run.judge(one.Object).rule >= 0 {
			due = append(due, one.Key)
		}
	}
	return due, nil, nil
}

// apply judges each object anew: it may have been replaced since it was scanned.
func (run *lifecycleRun) apply(keys []string) error {
	var verdicts []verdict
	err := run.r.change(run.bucket, func(b *bucketTable, _ time.Time) error {
		verdicts = nil
		for _, key := range keys {
			one, found, err := b.find(key)
			if err != nil {
				return err
			}
			v := run.judge(one.Object)
			if !found || v.rule < 0 {
				continue
			}
			if v.class == "" {
				err = b.delete(key)
			} else {
				one.StorageClass = v.class
				err = putJSON(b.objects, []byte(key), one)
			}
			if err != nil {
				return err
			}
			verdicts = append(verdicts, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.class == "" {
			run.done[v.rule].Deleted++
		} else {
			run.done[v.rule].Transitioned++
		}
	}
	return nil
}

// uploads aborts those that are too old.
func (run *lifecycleRun) uploads() error {
	all, err := run.r.Uploads(run.bucket)
	if err != nil {
		return err
	}
	for _, up := range all {
		rule := run.abortRule(up)
		if rule < 0 {
			continue
		}
		gone := false
		err := run.r.change(run.bucket, func(b *bucketTable, _ time.Time) error {
			if gone = b.uploads.Get([]byte(up.ID)) == nil; gone {
				return nil // completed meanwhile
			}
			return b.endUpload(up.ID, nil)
		})
		if err != nil {
			return err
		}
		if !gone {
			run.done[rule].Aborted++
		}
	}
	return nil
}

func (run *lifecycleRun) abortRule(up Upload) int {
	for i, rule := range run.rules {
		if rule.AbortMultipart != nil && strings.HasPrefix(up.Key, rule.Conditions.Prefix) && rule.AbortMultipart.Condition.met(up.Started, run.now) {
			return i
		}
	}
	return -1
}

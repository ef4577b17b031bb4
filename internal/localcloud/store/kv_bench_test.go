package store_test

import (
	"fmt"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// Decides maxInlineValue: a value in the database is copied into its pages, a file costs two syncs of its own.
func BenchmarkKVPutSizes(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10, 64<<10 + 1, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := account(b, b.TempDir(), store.Options{})
			value := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				must(b, s.KV().Put("ns", fmt.Sprint("k", i%100), value, store.PutOptions{}))
			}
		})
	}
}

func BenchmarkKVGet(b *testing.B) {
	s := account(b, b.TempDir(), store.Options{})
	must(b, s.KV().Put("ns", "k", make([]byte, 1000), store.PutOptions{}))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.KV().GetVisible("ns", "k"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

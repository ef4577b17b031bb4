package store

import (
	"fmt"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Open(s.dir, Options{}); err == nil {
		t.Fatal()
	} else {
		fmt.Println(err)
	}
	if err := s.Update(func(tx *Tx) error { tx.Put(Namespaces, "n", KVNamespace{}); return tx.Put(Queues, "q", Queue{}) }); err != nil {
		t.Fatal(err)
	}
	fmt.Println(s.KV().Put("n", "k", []byte("v"), PutOptions{}))
	fmt.Println(s.KV().Get("n", "k"))
	fmt.Println(s.KV().List("n", ListOptions{}))
	q := s.Queues()
	fmt.Println(q.Send("q", []Message{{Body: []byte("x")}, {Body: []byte("y"), Delay: time.Millisecond * 50}}))
	<-q.Ready("q")
	l, err := q.Lease("q", 10, 0, time.Second)
	fmt.Println(l, err)
	fmt.Println(q.Depth("q"))
	<-q.Ready("q")
	l2, err := q.Lease("q", 10, 0, time.Second)
	fmt.Println(l2, err)
	fmt.Println(q.Ack("q", l[0].ID))
	fmt.Println(q.Retry("q", l2[0].ID, 0), q.Ack("q", "zz"))
	fmt.Println(q.Depth("q"))
}

func BenchmarkQ(b *testing.B) {
	s, _ := Open(b.TempDir(), Options{})
	defer s.Close()
	s.Update(func(tx *Tx) error { return tx.Put(Queues, "q", Queue{}) })
	q := s.Queues()
	ms := make([]Message, 100)
	for i := range ms {
		ms[i].Body = make([]byte, 1000)
	}
	for b.Loop() {
		q.Send("q", ms)
		l, _ := q.Lease("q", 100, 0, time.Second*10)
		if len(l) != 100 {
			b.Fatal(len(l))
		}
		ids := make([]string, 100)
		for i := range l {
			ids[i] = l[i].ID
		}
		if err := q.Ack("q", ids...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "events/s")
}

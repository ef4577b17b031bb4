package edge

import "strings"

// radix is a compressed trie. A walk along a key costs the key's length however many keys there are, which is what
// answers "which prefixes of this URL are routes" among 10,000 of them.
type radix[T any] struct {
	label string // bytes between the parent and this node
	first string // first byte of each kid's label, in the order of kids
	kids  []*radix[T]
	value *T
}

// at is the value of key, made on first use.
func (n *radix[T]) at(key string) *T {
	for key != "" {
		i := strings.IndexByte(n.first, key[0])
		if i < 0 {
			kid := &radix[T]{label: key}
			n.first, n.kids = n.first+key[:1], append(n.kids, kid)
			n = kid
			break
		}
		kid := n.kids[i]
		common := commonPrefix(kid.label, key)
		if common < len(kid.label) {
			kid = kid.split(common)
			n.kids[i] = kid
		}
		n, key = kid, key[common:]
	}
	if n.value == nil {
		n.value = new(T)
	}
	return n.value
}

// split makes a parent for n that holds the first size bytes of its label.
func (n *radix[T]) split(size int) *radix[T] {
	parent := &radix[T]{label: n.label[:size], first: n.label[size : size+1], kids: []*radix[T]{n}}
	n.label = n.label[size:]
	return parent
}

// walk visits the values whose key is a prefix of key, shortest first; whole is true for the one that is all of it.
func (n *radix[T]) walk(key string, visit func(v *T, whole bool)) {
	for {
		if n.value != nil {
			visit(n.value, key == "")
		}
		if key == "" {
			return
		}
		i := strings.IndexByte(n.first, key[0])
		if i < 0 || !strings.HasPrefix(key, n.kids[i].label) {
			return
		}
		n = n.kids[i]
		key = key[len(n.label):]
	}
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

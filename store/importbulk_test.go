package store

import (
	"crypto/rand"
	"fmt"
	"testing"

	"oshirase/store/seal"
)

func TestPersonFilter(t *testing.T) {
	keys, err := seal.Derive(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := make(personFilter, filterBlocks*32)
	s := seal.NewSealer(keys, 1, 1, rand.Reader)
	const n = 200_000
	held := 0
	for i := range n {
		if !f.add(s.CustomerKey(fmt.Sprint(i))) {
			held++
		}
	}
	if held > 2 {
		t.Errorf("%d of %d new keys are held for known", held, n)
	}
	for i := range n {
		if f.add(s.CustomerKey(fmt.Sprint(i))) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
}

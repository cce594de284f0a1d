//go:build race

package storetest

import "flag"

// Under the race detector everything takes many times as long, and a race shows in a
// few of a machine's ways as in all of them.
func init() {
	if f := flag.Lookup("rapid.checks"); f != nil {
		_ = f.Value.Set("15")
	}
}

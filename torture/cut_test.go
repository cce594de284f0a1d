package torture

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestCutBehindDot cuts the connection behind the final dot for some people, in
// half of the cases after the message was taken. Exactly these become unknown,
// are held whatever is run, and are decided by what the receiver knows.
func TestCutBehindDot(t *testing.T) {
	t.Parallel()
	s, each := settings{people: 300, connections: 4}, 25
	if *longFlag {
		s.people, s.connections, each = 20000, 10, 400
	}
	s.mark = func(i int) string { return map[int]string{5: "taken", 11: "dropped"}[i%each] + "x" }
	s.rules = []string{"dot=taken*@*:take-drop", "dot=dropped*@*:drop"}
	w := newWorld(t, "cut", s)
	w.start("run").succeeded(w.limit())
	w.recv.settle()
	want := map[string]string{}
	for i := range w.people {
		switch i % each {
		case 5, 11:
			want[w.address(i)] = "unknown"
		}
	}
	got := map[string]string{}
	for _, d := range w.audit("after one run") {
		if d.State != "accepted" {
			got[d.Email] = d.State
		}
		if taken := strings.HasPrefix(d.Email, "taken"); d.State == "unknown" && taken != w.recv.has(d.MessageID) {
			t.Errorf("%s: taken %t, the receiver says %t", d.Email, taken, !taken)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("seed %d: unknown are %d people, cut were %d: %v", seed, len(got), len(want), slices.Sorted(maps.Keys(got)))
	}
	before := w.recv.count()
	w.start("run").succeeded(w.limit())
	if w.recv.count() != before || w.phase() != "running" {
		t.Errorf("seed %d: %d unknown deliveries were sent again; phase %s", seed, w.recv.count()-before, w.phase())
	}
	w.recv.opt.Rules = nil // from its next life on
	w.recv.settle()
	w.finish()
	if w.done.unknown != len(want) {
		t.Errorf("seed %d: %d became unknown, %d were cut", seed, w.done.unknown, len(want))
	}
}

package workload

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// after returns the owners of the ReplicaSets after a write.
func after(w handOverWrite, incoming, outgoing owner) (owner, owner) {
	switch w {
	case writeFree:
		return incoming, ownerNobody
	case writeGiveNew:
		return ownerUser, outgoing
	case writeGiveOld:
		return incoming, ownerCanary
	default:
		return incoming, outgoing
	}
}

func TestTheHandOverInItsOrder(t *testing.T) {
	t.Parallel()
	want := []handOverWrite{writeNarrow, writePause, writeSize, writeLabels, writeFree, writeGiveNew, writeSettleUser,
		writeGiveOld, writeSettleCanary, writeReturnHistory, writeWiden, writeResume}
	if diff := cmp.Diff(want, remainingWrites(ownerCanary, ownerUser)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// After a process dies at any write, the next one executes exactly the
// remaining writes that change owners, in the same order, and never takes a
// ReplicaSet from its final owner.
func TestAKilledHandOverIsFinished(t *testing.T) {
	t.Parallel()
	changes := []handOverWrite{writeFree, writeGiveNew, writeGiveOld}
	all := remainingWrites(ownerCanary, ownerUser)
	in, out := ownerCanary, ownerUser
	for done, w := range all {
		rest := remainingWrites(in, out)
		want := slices.DeleteFunc(slices.Clone(all[done:]), func(w handOverWrite) bool { return !slices.Contains(changes, w) })
		got := slices.DeleteFunc(slices.Clone(rest), func(w handOverWrite) bool { return !slices.Contains(changes, w) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("killed before %q: changes of owners that are left (-want +got)\n%s", w, diff)
		}
		if rest[0] != writeNarrow || rest[1] != writePause {
			t.Errorf("killed before %q: begins with %q, want the services and the pause", w, rest[:2])
		}
		if end := rest[len(rest)-4:]; end[0] != writeSettleCanary || end[3] != writeResume {
			t.Errorf("killed before %q: ends with %q", w, end)
		}
		if labels := slices.Contains(rest, writeLabels); labels != (in == ownerCanary && out == ownerUser) {
			t.Errorf("killed before %q: labels change hands %t with owners %d and %d", w, labels, in, out)
		}
		in, out = after(w, in, out)
	}
	if in != ownerUser || out != ownerCanary {
		t.Errorf("in the end the owners are %d and %d", in, out)
	}
}

package supervisor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	const info = `20 1 8:1 / / rw - ext4 /dev/a rw
21 20 0:1 / /s/containerd/x rw - overlay overlay rw
22 20 0:1 / /sandbox rw - tmpfs t rw
23 21 0:1 / /s/containerd/x/y rw - tmpfs t rw
24 20 0:1 / /s rw - tmpfs t rw
`
	if diff := cmp.Diff([]string{"/s/containerd/x", "/s/containerd/x/y"}, mountsBelow(info, "/s")); diff != "" {
		t.Errorf("mountsBelow (-want +got):\n%s", diff)
	}
}

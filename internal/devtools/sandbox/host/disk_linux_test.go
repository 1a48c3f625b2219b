package host

import "testing"

func TestFreeBytesLooksAboveWhatIsNotThere(t *testing.T) {
	t.Parallel()
	if got := freeBytes(t.TempDir() + "/not/there/yet"); got == 0 {
		t.Error("freeBytes of a folder to be made = 0, want what its disk has")
	}
}

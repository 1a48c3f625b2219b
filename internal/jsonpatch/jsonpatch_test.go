package jsonpatch

import (
	"fmt"
	"testing"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	base := Guarded("41").Replace("/spec/replicas", 0)
	one, two := base.Remove("/spec/paused"), base.Add(Pointer("metadata", "labels", "a/b~c"), "")
	for _, c := range []struct {
		patch Patch
		want  string
	}{
		{Patch{}, `[]`},
		{base, `[{"op":"replace","path":"/metadata/resourceVersion","value":"41"},{"op":"replace","path":"/spec/replicas","value":0}]`},
		{one, `[{"op":"replace","path":"/metadata/resourceVersion","value":"41"},{"op":"replace","path":"/spec/replicas","value":0},{"op":"remove","path":"/spec/paused"}]`},
		{two, `[{"op":"replace","path":"/metadata/resourceVersion","value":"41"},{"op":"replace","path":"/spec/replicas","value":0},{"op":"add","path":"/metadata/labels/a~1b~0c","value":""}]`},
	} {
		if got := string(c.patch.JSON()); got != c.want {
			t.Errorf("JSON() = %s\nwant %s", got, c.want)
		}
	}
	if !Guarded("1").Empty() || base.Empty() {
		t.Error("a guard alone is not a change, an operation is")
	}
}

func ExamplePatch() {
	p := Guarded("7").Add(Pointer("metadata", "annotations", "example.com/role"), "canary").Remove("/spec/paused")
	fmt.Println(string(p.JSON()))
	// Output: [{"op":"replace","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/metadata/annotations/example.com~1role","value":"canary"},{"op":"remove","path":"/spec/paused"}]
}

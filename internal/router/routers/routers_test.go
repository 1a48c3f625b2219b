package routers

import "testing"

func TestEveryRouterIsFoundByItsName(t *testing.T) {
	t.Parallel()
	for i, r := range All() {
		if got := Of(r.Name()); got != r || Names()[i] != r.Name() {
			t.Errorf("Of(%q) = %v", r.Name(), got)
		}
	}
	if Of("") != All()[0] || Of("none") != nil {
		t.Errorf("Of of no name = %v, of an unknown one = %v", Of(""), Of("none"))
	}
}

package release

import "testing"

func TestImages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ image, repository, byDigest string }{
		{"web", "web", "web@sha256:aa"},
		{"web:1", "web", "web@sha256:aa"},
		{"registry.example:5000/shop/web", "registry.example:5000/shop/web", "registry.example:5000/shop/web@sha256:aa"},
		{"registry.example:5000/shop/web:1.2", "registry.example:5000/shop/web", "registry.example:5000/shop/web@sha256:aa"},
		{"web@sha256:bb", "web", "web@sha256:aa"},
		{"web:1@sha256:bb", "web", "web@sha256:aa"},
		{"", "", ""},
	} {
		if got := Repository(c.image); got != c.repository {
			t.Errorf("Repository(%q) = %q, want %q", c.image, got, c.repository)
		}
		if got := ByDigest(c.image, []string{"sha256:aa"}); got != c.byDigest {
			t.Errorf("ByDigest(%q) = %q, want %q", c.image, got, c.byDigest)
		}
		for _, digests := range [][]string{nil, {"sha256:aa", "sha256:bb"}} {
			if got := ByDigest(c.image, digests); got != c.image {
				t.Errorf("ByDigest(%q, %q) = %q: one digest does not say what all pods run", c.image, digests, got)
			}
		}
	}
}

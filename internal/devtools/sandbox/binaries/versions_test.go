package binaries

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSharedVersions: what this project and the sandbox's programs both link of Kubernetes' libraries and below them has one version, or all
// that depends on it would be compiled twice.
func TestSharedVersions(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	versions := func(dir string) map[string]string {
		text, err := goOutput(t.Context(), dir, "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{with .Replace}}{{.Version}}{{else}}{{.Version}}{{end}}{{end}}", "k8s.io/client-go/kubernetes", "k8s.io/client-go/tools/clientcmd")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for line := range strings.Lines(text) {
			if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				found[path] = version
			}
		}
		return found
	}
	ours, theirs := versions(root), versions(filepath.Join(root, cluster.module))
	if len(ours) < 10 {
		t.Errorf("client-go depends on %d modules only: %v", len(ours), ours)
	}
	for path, version := range ours {
		if theirs[path] != version {
			t.Errorf("%s is %s here and %s in %s/go.mod: keep them equal", path, version, theirs[path], cluster.module)
		}
	}
}

package inputs

import (
	"strings"
	"testing"
)

// Everything that is wrong with the write-back is found before a release.
func TestGitOpsInputsFitTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args string
		want []string // none for valid inputs
	}{
		"none":               {"", nil},
		"all":                {"--gitops-repo=acme/config --gitops-path=a.yaml --gitops-field=kustomize:web --gitops-token=x", nil},
		"the workflow's own": {"--gitops-repo=acme/config --gitops-path=a.yaml --gitops-field=image.tag --github-token=x", nil},
		"a plan":             {"--dry-run --gitops-repo=acme/config --gitops-path=a.yaml --gitops-field=image.tag", nil},
		"a promotion":        {"--command=promote --gitops-repo=acme/config --gitops-path=a.yaml --gitops-field=image.tag", nil},
		"without a repo":     {"--gitops-path=a.yaml --gitops-mode=pull-request", []string{"gitops-path (flag --gitops-path): \"a.yaml\": has an effect only with gitops-repo", "gitops-mode"}},
		"only a repo":        {"--gitops-repo=acme/config", []string{"gitops-path: is required with gitops-repo", "gitops-field: is required", "gitops-token: is required"}},
		"a URL and a field":  {"--gitops-repo=https://x --gitops-path=a --gitops-field=a..b --gitops-token=x", []string{"want owner/name", "is no part of a path", "allowed: kustomize:<name of the image>"}},
		"in the cluster":     {"--run-in=cluster --run-image=x:1 --gitops-repo=a/b --gitops-path=a --gitops-field=a --gitops-token=x --github-deployment=true", []string{"gitops-repo (flag --gitops-repo): \"a/b\": has no effect with run-in cluster", "github-deployment"}},
		"several":            {"--clusters=a --gitops-repo=a/b --gitops-path=a --gitops-field=a --gitops-token=x --github-deployment=true", []string{"gitops-repo (flag --gitops-repo): \"a/b\": has no effect with several deployments or clusters yet", "github-deployment"}},
	} {
		_, err := Spec().Parse(append(strings.Fields(c.args), "--image=web:2"), none)
		if len(c.want) == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

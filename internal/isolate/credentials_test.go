package isolate

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCleanGitConfig(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"[core]\n\tbare = false\n":                                                 "[core]\n\tbare = false\n",
		"[http \"https://x/\"]\n\textraheader = A\n\tproxy = p\n":                  "[http \"https://x/\"]\n\tproxy = p\n",
		"[http] ExtraHeader = A\n\tproxy = p\n":                                    "[http]\n\tproxy = p\n",
		"[http]\n\textraheader = A\\\nB\n\tproxy = p\n":                            "[http]\n\tproxy = p\n",
		"[credential \"https://x\"]\n\tusername = u\n[core]\n\tbare = false\n":     "[core]\n\tbare = false\n",
		"[includeIf \"gitdir:/a\"]\n\tpath = /tmp/creds\n[a]\nb = c\n":             "[a]\nb = c\n",
		"[remote \"o\"]\n\turl = https://u:p@x/y.git\n":                            "[remote \"o\"]\n\turl = https://x/y.git\n",
		"[url \"https://x-access-token:t@github.com/\"]\n\tinsteadOf = git@g:\n":   "[url \"https://github.com/\"]\n\tinsteadOf = git@g:\n",
		"[remote \"o\"]\n\turl = https://u:p%zz@x/y.git\n":                         "[remote \"o\"]\n\turl = https://x/y.git\n",
		"[core]\n\tsshCommand = ssh -i key\n\taskPass = cat token\n\teditor = v\n": "[core]\n\teditor = v\n",
		"": "",
	} {
		if got := string(cleanGitConfig([]byte(in))); got != want {
			t.Errorf("of %q: %q, want %q", in, got, want)
		}
	}
}

// google-github-actions/auth writes its key into the workspace.
func TestCredentialFilesInTheWorkspace(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	key := put(t, dir, "gha-creds-0.json", "a key")
	environ := []string{"GOOGLE_APPLICATION_CREDENTIALS=" + key, "KUBECONFIG=" + put(t, outside, "config", "c") + string(filepath.ListSeparator) + filepath.Join(dir, "missing")}
	s := open(t, dir, environ...)
	if got := s.Credentials(); len(got) != 1 || got[0] != key {
		t.Errorf("credentials: %q, want %q alone", got, key)
	}
	c := self(t, "read", key)
	got := s.Run(t.Context(), c)
	if want := key + `: "" <nil>` + "\n"; string(got.Stdout) != want {
		t.Errorf("it read %q, want %q", got.Stdout, want)
	}
	if raw, err := os.ReadFile(key); string(raw) != "a key" {
		t.Errorf("our own file is %q, %v", raw, err)
	}
}

func TestWhereASandboxCannotBe(t *testing.T) {
	t.Parallel()
	for _, workspace := range []string{"relative", filepath.Join(t.TempDir(), "missing")} {
		if _, err := Open(workspace, nil); err == nil {
			t.Errorf("%s: no error", workspace)
		}
	}
}

package change

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func payload(t testing.TB, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../testdata/events", file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

func TestParse(t *testing.T) {
	t.Parallel()
	const (
		hello = "Codertocat/Hello-World"
		head  = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
		base  = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
		tag   = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	)
	for _, test := range []struct {
		file string
		want Change
	}{
		{"pull_request.opened.json", Change{Name: "pull_request", Repo: hello, Number: 2, Base: base, Head: head}},
		{"pull_request.opened.fork.json", Change{Name: "pull_request_target", Repo: hello, Number: 2, Base: base, Head: head, Fork: true}},
		{"push.json", Change{Name: "push", Repo: hello, Base: base, Head: tag}},
		{"push.tag.json", Change{Name: "push", Repo: hello, Head: tag}},
		{"push.deleted.json", Change{Name: "push", Repo: hello, Base: tag, Deleted: true}},
		{"merge_group.json", Change{Name: "merge_group", Repo: "octo-org/octo-repo", Base: "380387fbc80638b734a49e1be1c4dfec1c01b33c", Head: "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d"}},
		{"schedule.json", Change{Name: "schedule", Repo: "octo-org/octo-repo"}},
		{"workflow_dispatch.json", Change{Name: "workflow_dispatch", Repo: "octo-org/octo-repo"}},
	} {
		got, err := Parse(test.want.Name, payload(t, test.file))
		if test.want.DefaultBranch = "master"; test.want.Name == "merge_group" {
			test.want.DefaultBranch = "main"
		}
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", test.file, err, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload string }{
		"no JSON":               {"push", `{`},
		"no repository":         {"push", `{}`},
		"a name for a commit":   {"push", `{"repository":{"full_name":"a/b"},"before":"main","after":"HEAD"}`},
		"an option as a commit": {"merge_group", `{"repository":{"full_name":"a/b"},"merge_group":{"base_sha":"--output=x","head_sha":"` + sha1 + `"}}`},
		"no merge group":        {"merge_group", `{"repository":{"full_name":"a/b"}}`},
		"no pull request":       {"pull_request", `{"repository":{"full_name":"a/b"}}`},
	} {
		if got, err := Parse(test.event, []byte(test.payload)); err == nil {
			t.Errorf("%s: parsed as %+v", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"pull_request.opened.json", "push.json", "merge_group.json"} {
		f.Add("push", payload(f, file))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		c, err := Parse(name, raw)
		if err == nil && c.Repo == "" {
			t.Errorf("a change without a repository: %+v", c)
		}
	})
}

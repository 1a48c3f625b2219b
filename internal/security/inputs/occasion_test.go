package inputs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github/change"
	"github.com/candlefish/deploy-action/internal/input"
)

func values(t *testing.T, args ...string) input.Values {
	t.Helper()
	v, err := Spec().Parse(args, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSpec(t *testing.T) {
	t.Parallel()
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}

// What a scan does follows from the event, and an input overrides it.
func TestOccasion(t *testing.T) {
	t.Parallel()
	pull := change.Change{Name: "pull_request", Number: 7, Base: "aaa", Head: "bbb", Repo: "a/b"}
	push := change.Change{Name: "push", Base: "aaa", Head: "bbb", Repo: "a/b"}
	night := change.Change{Name: "schedule", Repo: "a/b"}
	for name, test := range map[string]struct {
		change   change.Change
		args     []string
		baseline bool
		want     Occasion
	}{
		"a pull request":                 {change: pull, want: Occasion{Level: verdict.Quick, Base: "aaa", Head: "bbb", OnlyNew: true, Compare: CompareBase}},
		"a deep one":                     {change: pull, args: []string{"--level=deep"}, want: Occasion{Level: verdict.Deep, Head: "bbb", OnlyNew: true, Compare: CompareBase}},
		"a push":                         {change: push, want: Occasion{Level: verdict.Standard, Base: "aaa", Head: "bbb", Compare: CompareNone}},
		"a push with a baseline":         {change: push, baseline: true, want: Occasion{Level: verdict.Standard, Base: "aaa", Head: "bbb", Compare: CompareFile}},
		"a new branch":                   {change: change.Change{Name: "push", Head: "bbb"}, want: Occasion{Level: verdict.Standard, Head: "bbb", Compare: CompareNone}},
		"a night":                        {change: night, want: Occasion{Level: verdict.Deep, Head: "ccc", Compare: CompareNone}},
		"a laptop":                       {args: []string{"--base=main", "--level=quick"}, want: Occasion{Level: verdict.Quick, Base: "main", Head: "ccc", Compare: CompareNone}},
		"all findings of a pull request": {change: pull, args: []string{"--only-new=false"}, want: Occasion{Level: verdict.Quick, Base: "aaa", Head: "bbb", Compare: CompareBase}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := OccasionOf(values(t, test.args...), test.change, "ccc", test.baseline)
			if got.Level != test.want.Level || got.Base != test.want.Base || got.Head != test.want.Head || got.OnlyNew != test.want.OnlyNew || got.Compare != test.want.Compare {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
		})
	}
}

// All problems come at once, and each says what to do.
func TestProblemsOfAnOccasion(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone")
	v := values(t, "--compare=base", "--waivers="+gone, "--kev-file="+gone, "--sarif-files="+gone)
	ps := OccasionOf(v, change.Change{}, "", false).Problems(v, false)
	text := ps.Error()
	for _, want := range []string{"compare", "waivers", "kev-file", "sarif-files"} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem with %s in:\n%s", want, text)
		}
	}
	v = values(t, "--only-new=true")
	if ps := OccasionOf(v, change.Change{}, "", false).Problems(v, false); len(ps) != 1 || ps[0].Name != "only-new" {
		t.Errorf("problems %v", ps)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	got, err := Settings(values(t, "--settings=a=1\nb = x=y"), []string{"a", "b"})
	if err != nil || got["a"] != "1" || got["b"] != "x=y" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = Settings(values(t, "--settings=a\nc=1"), []string{"a", "b"})
	if err == nil || !strings.Contains(err.Error(), `no setting "c"; there are a, b`) || !strings.Contains(err.Error(), `"a" is not NAME=value`) {
		t.Errorf("error %v", err)
	}
}

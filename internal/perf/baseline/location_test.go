package baseline

import (
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Location{
		"folder:.perf/base/":         {Kind: Folder, Path: ".perf/base"},
		"folder:/var/perf":           {Kind: Folder, Path: "/var/perf"},
		"git:performance-baseline":   {Kind: Git, Branch: "performance-baseline"},
		"git:perf/base":              {Kind: Git, Branch: "perf/base"},
		"s3:acme-baselines/shop/web": {Kind: S3, Bucket: "acme-baselines", Prefix: "shop/web"},
		"s3://acme-baselines":        {Kind: S3, Bucket: "acme-baselines"},
	} {
		if got, err := ParseLocation(text); err != nil || got != want {
			t.Errorf("ParseLocation(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "folder:", "file:x", "git:", "git:a..b", "git:-x", "git:a b", "git:x.lock", "git:HEAD", "git:a//b", "git:.a", "git:a/", "s3:", "s3:A_B", "s3:ok/a b", "main"} {
		if got, err := ParseLocation(text); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("ParseLocation(%q) = %+v, %v", text, got, err)
		}
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, env := range []string{"staging", "staging eu", "staging-eu", "review/7", "review%2F7", `a:b"c`, "é"} {
		name := FileName(env)
		if other, twice := seen[name]; twice || strings.ContainsAny(name, `/\":<>|*? `) {
			t.Errorf("FileName(%q) = %q, also of %q", env, name, other)
		}
		seen[name] = env
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()
	main := Occasion{Event: "push", Ref: "refs/heads/main", DefaultBranch: "main"}
	with := func(change func(*Occasion)) Occasion { o := main; change(&o); return o }
	release := func(event, ref string) Occasion {
		return with(func(o *Occasion) { o.Event, o.Ref, o.Branches = event, ref, []string{"main", "release/*"} })
	}
	for name, c := range map[string]struct {
		o    Occasion
		want bool
		why  string
	}{
		"push":               {main, true, "it is a push of the default branch main"},
		"schedule":           {with(func(o *Occasion) { o.Event = "schedule" }), true, "schedule"},
		"dispatch":           {with(func(o *Occasion) { o.Event = "workflow_dispatch" }), false, "only pushes and schedules"},
		"another branch":     {with(func(o *Occasion) { o.Ref = "refs/heads/x" }), false, "branch x is not the default branch main"},
		"a tag":              {with(func(o *Occasion) { o.Ref = "refs/tags/main" }), false, "is no branch"},
		"no ref":             {with(func(o *Occasion) { o.Ref = "" }), false, "is no branch"},
		"no default":         {with(func(o *Occasion) { o.DefaultBranch = "" }), false, "not known"},
		"pull request":       {with(func(o *Occasion) { o.Event, o.Ref = "pull_request", "refs/pull/7/merge" }), false, "pull request"},
		"target":             {with(func(o *Occasion) { o.Event = "pull_request_target" }), false, "pull request"},
		"fork":               {with(func(o *Occasion) { o.Event, o.Fork = "pull_request", true }), false, "fork"},
		"fork of push":       {with(func(o *Occasion) { o.Fork = true }), false, "fork"},
		"queue":              {with(func(o *Occasion) { o.Event = "merge_group" }), false, "pull request"},
		"workflow_run":       {with(func(o *Occasion) { o.Event = "workflow_run" }), false, "something else"},
		"comment":            {release("issue_comment", "refs/heads/main"), false, "something else"},
		"listed":             {release("push", "refs/heads/release/1.2"), true, "one of those"},
		"listed, dispatched": {release("workflow_dispatch", "refs/heads/main"), true, "one of those"},
		"listed, deployed":   {release("deployment_status", "refs/heads/main"), true, "one of those"},
		"not listed":         {release("push", "refs/heads/feature"), false, "none of main, release/*"},
		"listed, deeper":     {release("push", "refs/heads/release/1/2"), false, "none of"},
		"listed, and a fork": {with(func(o *Occasion) { o.Branches, o.Fork = []string{"*"}, true }), false, "fork"},
		"laptop":             {Occasion{}, true, "no workflow"},
	} {
		if got, why := c.o.Writes(); got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %q, want %v, %q", name, got, why, c.want, c.why)
		}
	}
	if err := CheckBranches([]string{"main", "release/*"}); err != nil {
		t.Error(err)
	}
	for _, p := range []string{"", "[", "refs/heads/main"} {
		if err := CheckBranches([]string{p}); err == nil {
			t.Errorf("CheckBranches(%q): no error", p)
		}
	}
}

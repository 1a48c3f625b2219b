package forge

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const (
	shop   = "acme/shop"
	config = "acme/config"
	file   = "apps/web/values.yaml"
	secret = "ghs-token-of-a-test-0123456789"
)

var commit = strings.Repeat("a", 40)

// hub starts a GitHub with the commit of the workflow and the GitOps repository.
func hub(t *testing.T, o githubtest.Options) *githubtest.Server {
	t.Helper()
	o.Token = secret
	server := githubtest.Start(t, o)
	server.AddBranch(shop, "main", commit)
	server.Files(config).Set("main", file, []byte("image:\n  tag: v1 # ours\n"))
	return server
}

// A life is one process: a command, the states of its rollout, and its end.
type life struct {
	run    string // "1.1" by default
	of     string // whose release it drives, its own by default
	image  string
	args   []string
	states []rollout.Phase
	end    rollout.State
	change func(*view.Delivery)
	err    error
	cancel bool // it got a signal before its end
	local  bool // not on a runner
}

// live lives through l as the deploy does around its rollout.
func live(t *testing.T, server *githubtest.Server, l life) (warnings []string, told view.Told) {
	t.Helper()
	step := actiontest.NewStep(t, map[string]string{
		"image": "web:v2", "namespace": "shop", "deployment-name": "web", "github-token": secret, "github-api-url": server.URL(), "environment-url": "https://shop.example",
	})
	step.Setenv("GITHUB_REPOSITORY", shop)
	step.Setenv("GITHUB_SHA", commit)
	step.Setenv("GITHUB_RUN_ID", "77")
	if l.local {
		step.Setenv("GITHUB_ACTIONS", "")
	}
	if l.run == "" {
		l.run = "1.1"
	}
	if l.of == "" {
		l.of = l.run
	}
	if l.image == "" {
		l.image = "web:v2"
	}
	step.Run(func(env action.Env, args []string) int {
		return action.Run(env, args, inputs.Spec(), func(ctx context.Context, a *action.Action, v input.Values) (action.Result, error) {
			out := console.Start(a.Redact, nil)
			defer out.Close()
			r := &engine.Run{Run: view.Run{Cfg: inputs.ConfigOf(v), ID: release.Run{ID: l.run}, Console: out, Action: a}}
			r.Cfg.RunURL = "https://github.com/acme/shop/actions/runs/77"
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			f := Open(ctx, r)
			record := &release.Record{Namespace: "shop", Deployment: "web", Image: l.image, PreviousImage: "web:v1", Run: release.Run{ID: l.of}}
			for _, phase := range l.states {
				if r.Follow != nil {
					r.Follow(record, rollout.State{Phase: phase})
				}
			}
			if l.cancel {
				cancel()
			}
			var d *view.Delivery
			if l.err == nil {
				d = &view.Delivery{Found: &discover.Found{Record: record}, State: l.end, Previous: "web:v1"}
				if l.change != nil {
					l.change(d)
				}
			}
			f.Close(ctx, d, l.err)
			warnings, told = out.Warnings(), r.Told
			return action.Result{}, nil
		})
	}, l.args...)
	return warnings, told
}

// history returns the states of each deployment of the shop.
func history(server *githubtest.Server) []string {
	var all []string
	for _, d := range server.Deployments(shop) {
		var states []string
		for _, s := range d.Statuses {
			states = append(states, s.State)
		}
		all = append(all, strings.Join(states, " "))
	}
	return all
}

// ends checks the last state of each deployment: of those before it, it depends on
// how fast GitHub answered which are recorded.
func ends(t *testing.T, server *githubtest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, states := range history(server) {
		words := strings.Fields(states)
		got = append(got, words[len(words)-1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the last states of the deployments (-want +got):\n%s", diff)
	}
}

func quiet(t *testing.T, warnings []string) {
	t.Helper()
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
}

var (
	rise     = []rollout.Phase{rollout.PhasePending, rollout.PhaseProgressing, rollout.PhaseProgressing, rollout.PhasePromoting}
	promoted = rollout.State{Phase: rollout.PhasePromoted, Reason: "serves all traffic"}
	aborted  = rollout.State{Phase: rollout.PhaseAborted, Reason: "5 of 100 requests failed", Written: true}
)

// Releases one after another: promoted, aborted, promoted by another process after a
// pause, rolled back. One deployment is active at each time.
func TestOneDeploymentIsActive(t *testing.T) {
	t.Parallel()
	server := hub(t, githubtest.Options{})
	w, told := live(t, server, life{states: rise, end: promoted})
	quiet(t, w)
	ends(t, server, "success")
	d := server.Deployments(shop)[0]
	s := d.Statuses[len(d.Statuses)-1]
	if told.Deployment != d.ID || d.Environment != "production" || d.SHA != commit || s.EnvironmentURL != "https://shop.example" || !strings.HasSuffix(s.LogURL, "/runs/77") {
		t.Errorf("deployment %+v, output %d", d, told.Deployment)
	}

	w, _ = live(t, server, life{run: "2.1", image: "web:v3", states: rise, end: aborted})
	quiet(t, w)
	ends(t, server, "success", "failure") // the first one stays active

	paused := rollout.State{Phase: rollout.PhasePaused, Asked: true, Weight: 25, Reason: "paused at 25 % as planned"}
	w, _ = live(t, server, life{run: "3.1", image: "web:v3", states: rise[:2], end: paused})
	quiet(t, w)
	ends(t, server, "success", "failure", "queued")
	d = server.Deployments(shop)[2]
	if got, want := d.Statuses[len(d.Statuses)-1].Description, "paused at 25 %; type: deploy --command promote --namespace shop --deployment-name web"; got != want {
		t.Errorf("description %q, want %q", got, want)
	}

	w, _ = live(t, server, life{run: "4.1", of: "3.1", image: "web:v3", args: []string{"--command=promote"}, states: rise[1:], end: promoted})
	quiet(t, w)
	ends(t, server, "inactive", "failure", "success")

	w, _ = live(t, server, life{run: "5.1", of: "3.1", image: "web:v3", args: []string{"--command=rollback"}, states: []rollout.Phase{rollout.PhaseReverting},
		end: rollout.State{Phase: rollout.PhaseAborted, Written: true, Reverted: true, Reason: "rollback by run 5.1"}, change: func(d *view.Delivery) { d.Previous = "web:v2" }})
	quiet(t, w)
	ends(t, server, "success", "failure", "inactive")
}

// Nothing is recorded where nothing is released, and where it is not wanted.
func TestNoDeployment(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]life{
		"unchanged":        {end: rollout.State{}, change: func(d *view.Delivery) { d.Unchanged = true }},
		"a plan":           {args: []string{"--dry-run"}, change: func(d *view.Delivery) { d.Planned = true }},
		"no permission":    {err: errors.New("permissions are missing")},
		"not wanted":       {args: []string{"--github-deployment=false"}, states: rise, end: promoted},
		"on a laptop":      {local: true, states: rise, end: promoted},
		"another process":  {states: nil, end: promoted, change: func(d *view.Delivery) { d.Asked = true }},
		"an older release": {of: "0.1", args: []string{"--command=promote"}, states: rise, end: promoted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hub(t, githubtest.Options{})
			w, told := live(t, server, l)
			quiet(t, w)
			if n := len(server.Deployments(shop)); n != 0 || told.Deployment != 0 {
				t.Errorf("%d deployments: %q", n, history(server))
			}
		})
	}
}

// A job with an environment has a deployment already: there are not two. The one of
// the job that paused gives way to the one of the job that promotes.
func TestAJobWithAnEnvironment(t *testing.T) {
	t.Parallel()
	own := githubtest.Deployment{Environment: "production", SHA: commit, Payload: "{}", Statuses: []githubtest.Status{{State: "in_progress", LogURL: "https://github.com/acme/shop/actions/runs/77/job/5"}}}
	server := hub(t, githubtest.Options{})
	server.AddDeployment(shop, own)
	w, told := live(t, server, life{states: rise, end: promoted})
	quiet(t, w)
	if n := len(server.Deployments(shop)); n != 1 || told.Deployment != 0 {
		t.Errorf("%d deployments, want GitHub's own alone", n)
	}
	w, _ = live(t, server, life{args: []string{"--github-deployment=true"}, states: rise, end: promoted})
	quiet(t, w)
	ends(t, server, "in_progress", "success") // asked for

	server = hub(t, githubtest.Options{})
	live(t, server, life{states: rise[:2], end: rollout.State{Phase: rollout.PhasePaused, Asked: true, Weight: 25}})
	server.AddDeployment(shop, own)
	w, _ = live(t, server, life{run: "1.2", of: "1.1", args: []string{"--command=promote"}, states: rise, end: promoted})
	quiet(t, w)
	ends(t, server, "inactive", "in_progress")
}

// A run that fails or is cancelled leaves no deployment in progress.
func TestFailuresOfTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		life life
		want string
	}{
		"before the first change": {life{states: rise[:1], err: errors.New("stable does not answer")}, "failure"},
		"a signal":                {life{states: rise[:2], end: aborted, cancel: true}, "failure"},
		"the abort failed":        {life{states: rise, end: rollout.State{Phase: rollout.PhaseFailed, Reason: "the route cannot be written"}}, "error"},
		"a lost proof":            {life{states: rise, end: promoted, change: func(d *view.Delivery) { d.Unproven = errors.New("the pods cannot be read") }}, "failure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hub(t, githubtest.Options{})
			w, _ := live(t, server, c.life)
			quiet(t, w)
			ends(t, server, c.want)
		})
	}
}

// Whatever GitHub does, the release goes on, and a warning says what is missing.
func TestGitHubDoesNotAnswer(t *testing.T) {
	t.Parallel()
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		server := hub(t, githubtest.Options{ReadOnly: true})
		w, _ := live(t, server, life{states: rise, end: promoted})
		if len(w) != 1 || !strings.Contains(w[0], "the GitHub deployment is not up to date") || !strings.Contains(w[0], "403") {
			t.Errorf("warnings %q", w)
		}
	})
	t.Run("slow, after a signal", func(t *testing.T) {
		t.Parallel()
		server := hub(t, githubtest.Options{})
		server.Inject(githubtest.Fault{Method: http.MethodPost, Skip: 1, Do: githubtest.Held(nil)})
		w, _ := live(t, server, life{states: rise[:2], end: aborted, cancel: true})
		if len(w) != 1 || !strings.Contains(w[0], "GitHub did not answer in time; to set it, type: gh api repos/acme/shop/deployments/") || !strings.HasSuffix(w[0], "/statuses -f state=failure") {
			t.Errorf("warnings %q", w)
		}
	})
}

// Rollouts of the same state are one event, and those that wait give way.
func TestAFollowerTellsTheNewest(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	rec := &recording{gate: gate, began: make(chan struct{}, 9)}
	f := follow(t.Context(), rec)
	of := func(run, state string, fresh bool) event {
		return event{run: run, fresh: fresh, status: statusOf(state)}
	}
	f.tell(of("1", "queued", true))
	<-rec.began
	for _, state := range []string{"in_progress", "in_progress", "queued", "failure"} {
		f.tell(of("1", state, true))
	}
	f.tell(of("2", "queued", true))
	f.tell(of("2", "success", false))
	close(gate)
	f.end(time.Minute)
	if diff := cmp.Diff([]string{"1 queued", "1 failure", "2 success"}, rec.all); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	f.tell(of("3", "queued", true)) // too late, and it blocks nobody
}

// writing returns the inputs of a write-back.
func writing(more ...string) []string {
	return append([]string{"--gitops-repo=" + config, "--gitops-path=" + file, "--gitops-field=image.tag", "--github-deployment=false"}, more...)
}

// The image gets into the repository once it is proven to serve, once, and the
// previous one after a rollback.
func TestWriteBack(t *testing.T) {
	t.Parallel()
	server := hub(t, githubtest.Options{})
	has := func(want string) {
		t.Helper()
		if got := string(server.Files(config).Get("main", file)); got != "image:\n  tag: "+want+" # ours\n" {
			t.Errorf("the file is %q, want tag %s", got, want)
		}
	}
	step := func(l life, status, tag string) {
		t.Helper()
		l.args = writing(l.args...)
		w, told := live(t, server, l)
		quiet(t, w)
		if told.GitOps != status || (status == committed) != strings.Contains(told.GitOpsPage, "/acme/config/commit/") {
			t.Errorf("told %+v, want %q", told, status)
		}
		has(tag)
	}
	step(life{end: aborted}, "", "v1")
	step(life{end: rollout.State{Phase: rollout.PhasePaused, Asked: true}}, "", "v1")
	step(life{args: []string{"--dry-run"}, change: func(d *view.Delivery) { d.Planned = true }}, "", "v1")
	step(life{end: promoted}, committed, "v2")
	step(life{end: promoted}, same, "v2")
	step(life{change: func(d *view.Delivery) { d.Unchanged = true }}, same, "v2")
	step(life{args: []string{"--command=rollback"}, end: rollout.State{Phase: rollout.PhaseAborted, Written: true, Reverted: true}}, committed, "v1")
	if n := len(server.Files(config).Commits()); n != 2 {
		t.Errorf("%d commits, want 2: %+v", n, server.Files(config).Commits())
	}
	// a release of the same image mends what a failed write left
	step(life{change: func(d *view.Delivery) { d.Unchanged = true }}, committed, "v2")
}

func TestWriteBackAsAPullRequest(t *testing.T) {
	t.Parallel()
	server := hub(t, githubtest.Options{})
	w, told := live(t, server, life{run: "1234.1", args: writing("--gitops-mode=pull-request"), end: promoted})
	quiet(t, w)
	pulls := server.Pulls(config)
	if told.GitOps != proposed || !strings.HasSuffix(told.GitOpsPage, "/pull/1") || len(pulls) != 1 || pulls[0].HeadRef != "candlefish/web-1234-1" || pulls[0].Title != "shop/web: web:v2" {
		t.Errorf("told %+v, pull requests %+v", told, pulls)
	}
}

// A failed write is a warning with what to type, and no secret in it.
func TestWriteBackFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options githubtest.Options
		life    life
		fault   githubtest.Failure
		want    string
	}{
		"no permission":   {options: githubtest.Options{ReadOnly: true}, want: "403 Forbidden"},
		"not proven":      {life: life{change: func(d *view.Delivery) { d.Unproven = errors.New("x") }}},
		"after a signal":  {life: life{cancel: true}, want: "not written"},
		"another file":    {life: life{image: "web@sha256:" + strings.Repeat("0", 64)}, want: "it takes a tag alone"},
		"the token in it": {fault: githubtest.Answer(http.StatusBadRequest, `{"message":"bad `+secret+`"}`), want: "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hub(t, c.options)
			if c.fault != nil {
				server.Inject(githubtest.Fault{Do: c.fault})
			}
			c.life.args, c.life.end = append(writing(), c.life.args...), promoted
			w, told := live(t, server, c.life)
			if c.want == "" {
				if len(w) != 0 || told.GitOps != "" {
					t.Errorf("told %+v, warnings %q", told, w)
				}
				return
			}
			if told.GitOps != failed || len(w) != 1 || !strings.Contains(w[0], c.want) ||
				!strings.Contains(w[0], "again, which changes nothing in the cluster; or set image.tag in "+file) || strings.Contains(w[0], secret) {
				t.Errorf("told %+v, warnings %q; want %q", told, w, c.want)
			}
			if c.life.image == "" && !strings.Contains(w[0], "to write it, release web:v2 again") {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

func TestByHandForKustomize(t *testing.T) {
	t.Parallel()
	v, err := inputs.Spec().Parse([]string{"web:v2", "--gitops-repo=a/b", "--gitops-path=apps/web/kustomization.yaml", "--gitops-field=kustomize:web", "--gitops-token=x"}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := byHand(inputs.ConfigOf(v).Forge, "web:v2"), "in apps/web, type: kustomize edit set image web=web:v2"; !strings.HasSuffix(got, want) {
		t.Errorf("%q does not end with %q", got, want)
	}
}

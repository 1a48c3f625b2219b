// Package previewlocal runs a preview on a machine without accounts, from up to down:
// servers in this process replace GitHub and Netlify, moto_server replaces AWS, and the
// use case runs against them as against the real services. It is not part of the
// action's programs.
package previewlocal

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/aws/awstest"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview"
)

// The preview of the local run, unless arguments say otherwise.
const (
	repository = "you/sample"
	number     = 1
	commit     = "5a3c1e0000000000000000000000000000000001"
	sampleSite = "testdata/preview/site"
	sampleAPI  = "testdata/preview/api"
)

// Main runs the use case if it is configured, and otherwise demonstrates a preview. It
// returns the exit status.
func Main(ctx context.Context, env action.Env, args []string) int {
	if env.Getenv("GITHUB_TOKEN") != "" || env.Getenv("GITHUB_ACTIONS") == "true" {
		return preview.Main(env, args)
	}
	goal := ""
	if i := slices.Index(args, "--goal"); i >= 0 && i+1 < len(args) {
		goal = args[i+1]
	}
	if goal != "up" {
		fmt.Fprintf(env.Stderr, "Error: goal %s needs GITHUB_TOKEN: without it there is no preview\n", goal)
		return exit.BadInput.Code()
	}
	values, err := preview.Spec().Parse(args, env.Getenv)
	if err != nil {
		return preview.Main(env, args) // which reports what is wrong, or shows the help
	}
	if err := show(ctx, env, args, values); err != nil {
		fmt.Fprintln(env.Stderr, "Error:", err)
		code, _ := exit.Of(err)
		return code.Code()
	}
	return exit.Done.Code()
}

// A demo is the local servers and what is shown on them.
type demo struct {
	out     io.Writer
	github  *githubtest.Server
	netlify *netlifytest.Server
	api     *functions // nil without moto_server or without an API
	dir     string     // of this run
	own     []string   // arguments that take the place of the user's
	number  int
	env     action.Env
}

// show brings a preview up and down, and verifies that nothing is left.
func show(ctx context.Context, env action.Env, args []string, v input.Values) error {
	l, err := newDemo(ctx, env, v)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Fprintln(l.out, "nothing is configured (no GITHUB_TOKEN): running a preview on local servers instead of GitHub, Netlify and AWS")
	if l.api == nil && apiCode(v) != "" {
		fmt.Fprintln(l.out, "moto_server is not installed, so the API part is skipped; to install it: pip install 'moto[server]'")
	}
	if code := l.run(args); code != 0 {
		return &exit.Error{Status: exit.Status(code), Err: fmt.Errorf("the preview did not come up (exit status %d)", code)}
	}
	fmt.Fprintf(l.out, "\nthe site is at %s\n", l.netlify.SiteURL("pr-"+strconv.Itoa(l.number)))
	if console.IsTerminal(os.Stdout) { // somebody can press Ctrl-C
		fmt.Fprintln(l.out, "press Ctrl-C to close the pull request and remove the preview")
		<-ctx.Done()
	}
	l.github.ChangePull(repository, l.number, func(p *githubtest.Pull) { p.State = "closed" })
	fmt.Fprintln(l.out, "\nthe pull request is closed")
	l.env.Notify = nil // the signal that ended the wait must not end this run
	if code := l.run([]string{"--goal", "down", "--pr-number", strconv.Itoa(l.number)}); code != 0 {
		return fmt.Errorf("the preview did not come down (exit status %d)", code)
	}
	return l.verifyGone(context.WithoutCancel(ctx))
}

func newDemo(ctx context.Context, env action.Env, v input.Values) (_ *demo, err error) {
	l := &demo{out: env.Stdout, number: number}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if v.IsSet("pr-number") {
		l.number = v.Int("pr-number")
	}
	if l.dir, err = os.MkdirTemp("", "preview-"); err != nil {
		return nil, err
	}
	if err := l.takeSite(v); err != nil {
		return nil, err
	}
	if l.github, err = githubtest.New(githubtest.Options{}); err != nil {
		return nil, err
	}
	head := commit
	if v.IsSet("commit") {
		head = v.String("commit")
	}
	l.github.AddPull(repository, githubtest.Pull{Number: l.number, HeadSHA: head, HeadRef: "feature"})
	if l.netlify, err = netlifytest.New(netlifytest.Options{}); err != nil {
		return nil, err
	}
	vars := map[string]string{
		"GITHUB_TOKEN": rand.Text(), "GITHUB_API_URL": l.github.URL(), "GITHUB_REPOSITORY": repository, "PR_NUMBER": strconv.Itoa(l.number),
		"NETLIFY_AUTH_TOKEN": rand.Text(), "NETLIFY_API_URL": l.netlify.URL(), "NETLIFY_PREVIEW_SITE_ID": "site",
	}
	if code := apiCode(v); code != "" {
		if err := l.serveAPI(ctx, vars, v, code, head); err != nil {
			return nil, err
		}
	}
	l.env = env
	l.env.Getenv = func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return env.Getenv(name)
	}
	return l, nil
}

// takeSite copies the site, which a run adds its manifest to: the user's, or the sample.
func (l *demo) takeSite(v input.Values) error {
	from := sampleSite
	if v.IsSet("dir") {
		from = v.String("dir")
	}
	site := filepath.Join(l.dir, "site")
	_, err := os.Stat(from) // CopyFS does not name the folder
	if err == nil {
		err = os.CopyFS(site, os.DirFS(from))
	}
	if err != nil {
		if !v.IsSet("dir") {
			return fmt.Errorf("the sample is missing, run this in the repository's folder: %w", err)
		}
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("dir: %w", err)}
	}
	reports := l.dir
	if v.IsSet("report-dir") {
		reports = v.String("report-dir")
	}
	l.own = append(l.own, "--dir", site, "--report-dir", reports)
	return nil
}

// apiCode is the folder of the API's code: the user's; the sample's beside the sample; none
// beside the user's own site.
func apiCode(v input.Values) string {
	switch {
	case v.String("parts") == "frontend":
		return ""
	case v.IsSet("api-code") || v.IsSet("dir"):
		return v.String("api-code")
	}
	return sampleAPI
}

// serveAPI starts the servers of the API, if moto_server is there, and adds what a run needs
// to know of them to vars.
func (l *demo) serveAPI(ctx context.Context, vars map[string]string, v input.Values, code, head string) error {
	endpoint, stop, err := awstest.Serve(ctx)
	if err != nil {
		return ctx.Err() // without moto_server there is no API
	}
	module, _, _ := strings.Cut(v.String("api-handler"), ".")
	if l.api, err = newFunctions(ctx, endpoint, stop, code, module); err != nil {
		stop()
		return err
	}
	l.api.env = []string{"COMMIT_SHA=" + head, fmt.Sprintf("PR_NUMBER=%d", l.number)}
	l.own = append(l.own, "--api-code", code)
	vars["AWS_ENDPOINT_URL"], vars["AWS_REGION"] = l.api.url, "us-east-1"
	vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = rand.Text(), rand.Text()
	// The SDK reads them from the process's environment.
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if err := os.Setenv(name, vars[name]); err != nil {
			return err
		}
	}
	return nil
}

// run is one run of the action, with what the demo puts in the place of the user's arguments.
func (l *demo) run(args []string) int {
	return preview.Main(l.env, append(slices.Clone(l.own), without(args, "dir", "report-dir", "api-code")...))
}

// without returns args without some flags and their values.
func without(args []string, names ...string) (rest []string) {
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(strings.TrimPrefix(args[i], "--"), "=")
		switch {
		case !slices.Contains(names, name):
			rest = append(rest, args[i])
		case !joined:
			i++ // its value
		}
	}
	return rest
}

// verifyGone verifies that no resource is left.
func (l *demo) verifyGone(ctx context.Context) error {
	var left []string
	for _, d := range l.netlify.Deploys() {
		left = append(left, "netlify deploy "+d.ID)
	}
	if l.api != nil {
		found, err := l.api.inventory(ctx)
		if err != nil {
			return err
		}
		left = append(left, found...)
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %s", strings.Join(left, ", "))
	}
	asked := "deploy"
	if l.api != nil {
		asked += ", stack, bucket, table, function, role, log group or API"
	}
	fmt.Fprintf(l.out, "verified: no %s is left\n", asked)
	return nil
}

// closeLimit bounds the shutdown of the servers.
const closeLimit = 10 * time.Second

func (l *demo) close() {
	if l.github != nil {
		l.github.Close()
	}
	if l.netlify != nil {
		_ = l.netlify.Close()
	}
	if l.api != nil {
		l.api.close()
	}
	_ = os.RemoveAll(l.dir)
}

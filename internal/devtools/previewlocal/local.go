// Package previewlocal runs a preview on a machine without accounts, from up to down:
// servers in this process replace GitHub and Netlify, moto_server replaces AWS, and the
// use case runs against them as against the real services. It is not part of the
// action's programs.
package previewlocal

import (
	"context"
	"crypto/rand"
	"errors"
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
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/preview"
)

// The preview of the local run.
const (
	repository = "you/sample"
	number     = 1
	commit     = "5a3c1e0000000000000000000000000000000001"
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
	if err := show(ctx, env, args); err != nil {
		fmt.Fprintln(env.Stderr, "Error:", err)
		return exit.CouldNotRun.Code()
	}
	return exit.Done.Code()
}

// A demo is the local servers and the sample.
type demo struct {
	out     io.Writer
	github  *githubtest.Server
	netlify *netlifytest.Server
	api     *functions // nil without moto_server
	dir     string     // of this run
	env     action.Env
}

// show brings a preview up and down, and verifies that nothing is left.
func show(ctx context.Context, env action.Env, args []string) error {
	l, err := newDemo(ctx, env)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Fprintln(l.out, "nothing is configured (no GITHUB_TOKEN): running a preview on local servers instead of GitHub, Netlify and AWS")
	if l.api == nil {
		fmt.Fprintln(l.out, "moto_server is not installed, so the API part is skipped; to install it: pip install 'moto[server]'")
	}
	if code := l.run(args); code != 0 {
		return fmt.Errorf("the preview did not come up (exit status %d)", code)
	}
	fmt.Fprintf(l.out, "\nthe site is at %s\n", l.netlify.SiteURL("pr-"+strconv.Itoa(number)))
	if console.TerminalWidth(os.Stdout)() > 0 { // somebody can press Ctrl-C
		fmt.Fprintln(l.out, "press Ctrl-C to close the pull request and remove the preview")
		<-ctx.Done()
	}
	l.github.ChangePull(repository, number, func(p *githubtest.Pull) { p.State = "closed" })
	fmt.Fprintln(l.out, "\nthe pull request is closed")
	l.env.Notify = nil // the signal that ended the wait must not end this run
	if code := l.run([]string{"--goal", "down"}); code != 0 {
		return fmt.Errorf("the preview did not come down (exit status %d)", code)
	}
	return l.verifyGone(context.WithoutCancel(ctx))
}

func newDemo(ctx context.Context, env action.Env) (*demo, error) {
	l := &demo{out: env.Stdout}
	var err error
	if l.dir, err = os.MkdirTemp("", "preview-"); err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(l.dir, "site"), os.DirFS("testdata/preview/site")); err != nil {
		return nil, errors.Join(fmt.Errorf("the sample is missing, run this in the repository's folder: %w", err), os.RemoveAll(l.dir))
	}
	if l.github, err = githubtest.New(githubtest.Options{}); err != nil {
		return nil, err
	}
	l.github.AddPull(repository, githubtest.Pull{Number: number, HeadSHA: commit, HeadRef: "feature"})
	if l.netlify, err = netlifytest.New(netlifytest.Options{}); err != nil {
		return nil, err
	}
	vars := map[string]string{
		"GITHUB_TOKEN": rand.Text(), "GITHUB_API_URL": l.github.URL(), "GITHUB_REPOSITORY": repository, "PR_NUMBER": strconv.Itoa(number),
		"NETLIFY_AUTH_TOKEN": rand.Text(), "NETLIFY_API_URL": l.netlify.URL(), "NETLIFY_PREVIEW_SITE_ID": "site",
	}
	if endpoint, stop, err := awstest.Serve(ctx); err == nil {
		if l.api, err = newFunctions(ctx, endpoint, stop, "testdata/preview/api/index.mjs"); err != nil {
			return nil, err
		}
		vars["AWS_ENDPOINT_URL"], vars["AWS_REGION"] = l.api.url, "us-east-1"
		vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = rand.Text(), rand.Text()
		// The SDK reads them from the process's environment.
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
			if err := os.Setenv(name, vars[name]); err != nil {
				return nil, err
			}
		}
	} else if ctx.Err() != nil {
		return nil, err
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

// run is one run of the action.
func (l *demo) run(args []string) int {
	own := []string{"--dir", filepath.Join(l.dir, "site"), "--report-dir", l.dir}
	if l.api != nil {
		own = append(own, "--api-code", "testdata/preview/api", "--api-handler", "index.handler")
	}
	return preview.Main(l.env, append(own, args...))
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
	fmt.Fprintln(l.out, "verified: no deploy, stack, bucket, table, function, role, log group or API is left")
	return nil
}

// closeLimit bounds the shutdown of the servers.
const closeLimit = 10 * time.Second

func (l *demo) close() {
	l.github.Close()
	_ = l.netlify.Close()
	if l.api != nil {
		l.api.close()
	}
	_ = os.RemoveAll(l.dir)
}

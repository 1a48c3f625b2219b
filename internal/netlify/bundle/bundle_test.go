package bundle_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/netlify/bundle"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
	"github.com/candlefish/deploy-action/internal/netlify/site"
)

func TestNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		files map[string]string
		want  bool
	}{
		{map[string]string{"a.zip": "", "manifest.json": "", ".keep": ""}, false},
		{map[string]string{"a.zip": "", "b.js": ""}, true},
		{map[string]string{"dir.zip/x": ""}, true},
	} {
		if got, err := bundle.Needed(netlifytest.Folder(t, c.files)); got != c.want || err != nil {
			t.Errorf("%v: %t, %v", c.files, got, err)
		}
	}
	if _, err := bundle.Needed("/no/such"); err == nil {
		t.Error("no folder, no error")
	}
}

// The bundler gets the settings by its own names and nothing of our environment, and
// what it says on its end is in the error.
func TestBundlerIsRunApart(t *testing.T) {
	t.Setenv("NETLIFY_AUTH_TOKEN", "planted")
	project := netlifytest.Folder(t, map[string]string{
		"node_modules/@netlify/zip-it-and-ship-it/bin.js": "", "functions/a.ts": "",
		"netlify.toml": "[functions]\nnode_bundler = 'esbuild'\nincluded_files = ['x/**']\ndirectory = 'f'\n[functions.cron]\nschedule = '@daily'",
		"bad.toml":     "a =",
		"node":         "#!/bin/sh\nenv; pwd; for a in \"$@\"; do echo \"arg $a\"; done; exit 3\n",
	})
	node := filepath.Join(project, "node")
	if err := os.Chmod(node, 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	src := bundle.Source{Functions: filepath.Join(project, "functions"), Project: project, Node: node, Config: filepath.Join(project, "netlify.toml")}
	err := bundle.Run(t.Context(), src, t.TempDir())
	if err == nil {
		t.Fatal("no error")
	}
	said := err.Error()
	for _, want := range []string{
		"exit status 3", "arg --manifest", "arg " + filepath.Join(project, "functions"), `"nodeBundler":"esbuild_zisi"`, `"includedFiles":["x/**"]`,
		`"schedule":"@daily"`, "\n" + project + "\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	src.Config = filepath.Join(project, "bad.toml")
	if err := bundle.Run(t.Context(), src, t.TempDir()); err == nil || !strings.Contains(err.Error(), "netlify.toml") {
		t.Errorf("a bad netlify.toml: %v", err)
	}
	if strings.Contains(said, "planted") || strings.Contains(said, "directory") {
		t.Errorf("what it need not know: %s", said)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, c := range []struct {
		src  bundle.Source
		want string
	}{
		{bundle.Source{Functions: empty, Project: empty, Node: "/no/such/node"}, "Node.js is not installed; bundle them in the job that builds"},
		{bundle.Source{Functions: empty, Project: empty, Node: "/bin/sh"}, "npm install --save-dev @netlify/zip-it-and-ship-it"},
		{bundle.Source{Functions: empty, Project: empty, Config: "/"}, "is a directory"},
	} {
		if err := bundle.Run(t.Context(), c.src, t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.src, err, c.want)
		}
	}
}

// The real bundler: TypeScript, folders, .mjs, background functions, schedules and paths
// in the source.
func TestRealBundler(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("installs a package from npm; go tool mage test runs it")
	}
	project := netlifytest.Folder(t, map[string]string{
		"package.json": `{"private": true}`, "dist/index.html": "home",
		"functions/hello.ts":           "export default async (r: Request) => new Response('hi' as string)\nexport const config = {path: '/hello/:name', method: ['GET']}",
		"functions/cron.mjs":           "export default async () => new Response('x')\nexport const config = {schedule: '@daily'}",
		"functions/mail-background.js": "exports.handler = async () => ({statusCode: 200})",
		"functions/dir/dir.js":         "exports.handler = require('./part').handler", "functions/dir/part.js": "exports.handler = async () => ({statusCode: 200})",
	})
	install(t, project)
	into, remove, err := bundle.Folder(t.Context(), bundle.Source{Functions: filepath.Join(project, "functions"), Project: project})
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	s, err := site.Open(site.Source{Dir: filepath.Join(project, "dist"), Functions: into})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := map[string]site.Function{}
	for _, f := range s.Functions {
		got[f.Name] = f
	}
	if len(got) != 4 || got["cron"].Schedule != "@daily" || got["mail-background"].Mode != "background" || got["dir"].Size == 0 {
		t.Errorf("%+v", got)
	}
	if c := got["hello"].Config; c == nil || len(c.Routes) != 1 || c.Routes[0].Pattern != "/hello/:name" || len(c.Routes[0].Methods) != 1 {
		t.Errorf("%+v", c)
	}
}

// install installs the bundler of netlify-cli 27.10.2.
func install(t *testing.T, project string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
		"@netlify/zip-it-and-ship-it@16.2.3")
	cmd.Dir = project
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v: %s", err, out)
	}
}

// A netlify.toml of any content either fails or gives settings in JSON.
func FuzzSettings(f *testing.F) {
	f.Add("[functions]\nschedule='x'\n[functions.a]\nincluded_files=['b']")
	f.Fuzz(func(t *testing.T, config string) {
		out, err := bundle.Settings(config, "/p")
		if err == nil && !json.Valid([]byte(out)) {
			t.Errorf("%q: %q", config, out)
		}
	})
}

// Package bundle turns the sources of Netlify functions into what is uploaded, by running
// Netlify's own bundler, @netlify/zip-it-and-ship-it, out of a project's node_modules.
//
// The bundler, and what it loads, is code of the project. It gets none of our
// environment, but it could read the memory of this process as any program of the same
// user can: run it where no stranger's code is published.
package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/candlefish/deploy-action/internal/tail"
)

const (
	bundler = "node_modules/@netlify/zip-it-and-ship-it/bin.js"
	// keptOutput is how much of the bundler's output an error shows, in bytes.
	keptOutput = 4 << 10
	// stopDelay is how long the bundler may take to end after it is told to.
	stopDelay = 5 * time.Second
)

// Hint says how functions are bundled beforehand, for errors and warnings.
const Hint = "bundle them in the job that builds, which needs no credentials: npx @netlify/zip-it-and-ship-it --manifest bundled/manifest.json FUNCTIONS bundled"

// Needed reports whether a folder of functions holds any that are not bundled: anything
// but .zip files, their manifest and names that begin with a dot.
func Needed(folder string) (bool, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && name != "manifest.json" && (e.IsDir() || filepath.Ext(name) != ".zip") {
			return true, nil
		}
	}
	return false, nil
}

// A Source is what to bundle.
type Source struct {
	Functions string // the folder of functions
	Project   string // the folder with node_modules; empty means that nothing is bundled
	Config    string // the path of the netlify.toml, for its [functions]; it need not exist
	Node      string // the program that runs the bundler; "node" if ""
}

// Folder returns a folder with the functions to publish: the source's own if it needs no
// bundler or none may be run, or a new one, which remove removes.
func Folder(ctx context.Context, src Source) (folder string, remove func(), err error) {
	own := func() {}
	if src.Functions == "" || src.Project == "" {
		return src.Functions, own, nil
	}
	if needed, err := Needed(src.Functions); err != nil || !needed {
		return src.Functions, own, err
	}
	into, err := os.MkdirTemp("", "functions")
	if err != nil {
		return "", own, err
	}
	remove = func() { _ = os.RemoveAll(into) }
	if err := Run(ctx, src, into); err != nil {
		remove()
		return "", own, err
	}
	return into, remove, nil
}

// Run bundles functions into an empty folder, with a manifest that says how they are
// routed, scheduled and run. The error says what is missing and how to do without it.
func Run(ctx context.Context, src Source, into string) error {
	project, err1 := filepath.Abs(src.Project)
	functions, err2 := filepath.Abs(src.Functions)
	config, err3 := os.ReadFile(src.Config)
	if errors.Is(err3, fs.ErrNotExist) {
		err3 = nil
	}
	settings, err4 := settings(string(config), project)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fmt.Errorf("bundle functions: %w", err)
	}
	node, err := exec.LookPath(cmp.Or(src.Node, "node"))
	if err != nil {
		return fmt.Errorf("bundle functions: Node.js is not installed; %s", Hint)
	}
	program := filepath.Join(project, filepath.FromSlash(bundler))
	if _, err := os.Stat(program); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bundle functions: %s has no %s: npm install --save-dev @netlify/zip-it-and-ship-it; or %s", src.Project, bundler, Hint)
	} else if err != nil {
		return fmt.Errorf("bundle functions: %w", err)
	}
	manifest := filepath.Join(into, "manifest.json")
	cmd := exec.CommandContext(ctx, node, program, "--config", settings, "--manifest", manifest, functions, into)
	cmd.Dir = project
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + into, "TMPDIR=" + os.TempDir(), "NO_COLOR=1"}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopDelay
	said := &tail.Buffer{Limit: keptOutput}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("bundle functions: %s: %w: %s", bundler, err, strings.TrimSpace(said.String()))
	}
	if _, err := os.Stat(manifest); err != nil {
		return fmt.Errorf("bundle functions: %s wrote no manifest: %w", bundler, err)
	}
	return nil
}

// renamed are the settings of [functions] by the names that the bundler has for them.
var renamed = map[string]string{
	"external_node_modules": "externalNodeModules", "ignored_node_modules": "ignoredNodeModules", "included_files": "includedFiles",
	"node_bundler": "nodeBundler", "schedule": "schedule",
}

// settings returns the [functions] of a netlify.toml as the bundler wants them: by name
// pattern, with those of all functions under *, as netlify-cli translates them.
func settings(config, project string) (string, error) {
	var file struct {
		Functions map[string]any `toml:"functions"`
	}
	if _, err := toml.Decode(strings.TrimPrefix(config, "\uFEFF"), &file); err != nil {
		return "", fmt.Errorf("netlify.toml: %w", err)
	}
	of := map[string]map[string]any{}
	set := func(pattern, key string, v any) {
		if of[pattern] == nil {
			of[pattern] = map[string]any{"includedFilesBasePath": project, "processDynamicNodeImports": true, "zipGo": true}
		}
		name, ok := renamed[key]
		if !ok {
			return
		}
		if v == "esbuild" && key == "node_bundler" {
			v = "esbuild_zisi"
		}
		of[pattern][name] = v
	}
	set("*", "", nil)
	for key, v := range file.Functions {
		table, ok := v.(map[string]any)
		if !ok {
			set("*", key, v)
			continue
		}
		for name, v := range table {
			set(key, name, v)
		}
	}
	out, err := json.Marshal(of)
	return string(out), err
}

package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// A bare repository with no objects of its own: it reads those of the workspace's.
type bare struct {
	git     Git
	dir     string
	objects string
}

// copyTo makes one with a configuration of ours, and the places where a shallow
// clone ends.
func (r *Repository) copyTo(ctx context.Context, folder string) (*bare, error) {
	c := &bare{git: r.git, dir: folder, objects: filepath.Join(r.common, "objects")}
	format, err := r.line(ctx, "rev-parse", "--show-object-format")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	args := append(slices.Clone(safe), "-c", "init.defaultBranch=scanned", "init", "--quiet", "--bare", "--template=", "--object-format="+format, folder)
	if _, err := r.git(ctx, folder, args...); err != nil {
		return nil, err
	}
	// Quoted, a path may have any character; in the middle of a line it is taken as it is.
	if err := write(filepath.Join(folder, "objects", "info", "alternates"), quoted(c.objects)+"\n"); err != nil {
		return nil, err
	}
	ends, err := os.ReadFile(filepath.Join(r.common, "shallow"))
	if err == nil {
		err = write(filepath.Join(folder, "shallow"), string(ends))
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return c, nil
}

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// quoted writes a path as git reads it from objects/info/alternates.
func quoted(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

func (c *bare) run(ctx context.Context, args ...string) ([]byte, error) {
	all := append(slices.Clone(safe), "--git-dir="+c.dir)
	return c.git(ctx, c.dir, append(all, args...)...)
}

// commit returns the commit that a name of an object means; a tag has one too.
func (c *bare) commit(ctx context.Context, name string) (string, error) {
	if !hexName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a commit", name)
	}
	out, err := c.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	return strings.TrimSpace(string(out)), err
}

// bound ends the copy's history where the range begins: each commit outside that
// one inside has as its parent is replaced by one with the same files, which shows
// no difference to any other because it is a merge. So a tool that can only scan
// all of a history scans the range, and with true differences. Who wants the real
// history sets GIT_NO_REPLACE_OBJECTS.
func (c *bare) bound(ctx context.Context, r scanner.Range) error {
	refs := []string{r.Head + " refs/heads/scanned"}
	outside, err := c.outside(ctx, r)
	if err != nil {
		return err
	}
	if len(outside) > 0 {
		replaced, err := c.replace(ctx, outside)
		if err != nil {
			return err
		}
		for i, commit := range outside {
			refs = append(refs, replaced[i]+" refs/replace/"+commit.name)
		}
	}
	slices.SortFunc(refs, func(a, b string) int { return strings.Compare(a[strings.Index(a, " "):], b[strings.Index(b, " "):]) })
	return write(filepath.Join(c.dir, "packed-refs"), "# pack-refs with: sorted \n"+strings.Join(refs, "\n")+"\n")
}

type outer struct{ name, tree string }

// outside lists the commits just before a range.
func (c *bare) outside(ctx context.Context, r scanner.Range) ([]outer, error) {
	if r.Base == "" {
		return nil, nil
	}
	out, err := c.run(ctx, append([]string{"log", "--boundary", "--format=%m %H %T"}, revisions(r)...)...)
	if err != nil {
		return nil, err
	}
	var found []outer
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "-" {
			found = append(found, outer{fields[1], fields[2]})
		}
	}
	return found, nil
}

// replace makes the replacements, in the order of the commits.
func (c *bare) replace(ctx context.Context, commits []outer) ([]string, error) {
	empty, err := c.run(ctx, "hash-object", "-t", "tree", "-w", os.DevNull)
	if err != nil {
		return nil, err
	}
	tree := strings.TrimSpace(string(empty))
	roots, err := c.make(ctx, []string{raw(tree, "1"), raw(tree, "2")})
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(commits))
	for i, commit := range commits {
		texts[i] = raw(commit.tree, "outside of the range", roots...)
	}
	return c.make(ctx, texts)
}

// raw is a commit as git stores it.
func raw(tree, message string, parents ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	const who = "scan <scan@localhost> 0 +0000"
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s\n", who, who, message)
	return b.String()
}

// make stores commits and returns their names. Many go into one call of git.
func (c *bare) make(ctx context.Context, texts []string) ([]string, error) {
	var names []string
	for batch := range slices.Chunk(texts, 500) {
		args := []string{"hash-object", "-t", "commit", "-w", "--no-filters"}
		for i, text := range batch {
			file := filepath.Join(c.dir, "new", fmt.Sprint(i))
			if err := write(file, text); err != nil {
				return nil, err
			}
			args = append(args, file)
		}
		out, err := c.run(ctx, args...)
		if err != nil {
			return nil, err
		}
		names = append(names, strings.Fields(string(out))...)
	}
	if len(names) != len(texts) {
		return nil, fmt.Errorf("git stored %d of %d commits", len(names), len(texts))
	}
	return names, os.RemoveAll(filepath.Join(c.dir, "new"))
}

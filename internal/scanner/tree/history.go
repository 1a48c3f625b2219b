package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

var hexName = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// Range reads a part of the history and makes the copy of it below a folder, which
// must be empty or not exist. What speaks against a scan of it is in the answer;
// an error is one of this machine.
func (r *Repository) Range(ctx context.Context, e Ends, folder string) (scanner.Range, error) {
	out := scanner.Range{Why: e.Why, Base: e.Base, Head: e.Head}
	if !r.IsGit() {
		out.Missing = "there is no git repository"
		return out, nil
	}
	c, err := r.copyTo(ctx, folder)
	if err != nil {
		return out, err
	}
	if out.Missing = c.resolve(ctx, &out, e.Gone); out.Missing != "" {
		return out, nil
	}
	out.Objects = c.objects
	if out.Missing = c.count(ctx, &out); out.Missing != "" || out.Commits == 0 {
		return out, nil
	}
	if err := c.bound(ctx, out); err != nil {
		return out, err
	}
	out.Copy = c.dir
	return out, nil
}

// resolve makes commits of the ends.
func (c *bare) resolve(ctx context.Context, out *scanner.Range, gone bool) string {
	head, err := c.commit(ctx, out.Head)
	if err != nil {
		return fmt.Sprintf("the commit %s is not in this clone: fetch it (actions/checkout with fetch-depth: 0, and the pull request's head)", short(out.Head))
	}
	out.Head = head
	if out.Base == "" {
		return ""
	}
	base, err := c.commit(ctx, out.Base)
	switch {
	case err == nil:
		out.Base = base
	case gone && !c.shallow():
		out.Why = fmt.Sprintf("all of the history: the push replaced %s, which is gone", short(out.Base))
		out.Base = ""
	default:
		return fmt.Sprintf("the commit %s is not in this clone: fetch it (actions/checkout with fetch-depth: 0)", short(out.Base))
	}
	return ""
}

func short(sha string) string {
	if hexName.MatchString(sha) {
		return sha[:10]
	}
	return strconv.Quote(sha)
}

// count counts the commits, and looks for what the clone has not.
func (c *bare) count(ctx context.Context, out *scanner.Range) string {
	listed, err := c.run(ctx, append([]string{"rev-list"}, revisions(*out)...)...)
	if err != nil {
		return fmt.Sprintf("its commits could not be listed: %v", err)
	}
	commits := strings.Fields(string(listed))
	out.Commits = len(commits)
	out.Shallow = c.cut(commits)
	if out.Commits == 0 {
		return ""
	}
	if missing, err := c.promised(ctx, *out); err != nil || missing > 0 {
		return fmt.Sprintf("%d objects of it are not in this clone, which was made with a filter (%v)", missing, err)
	}
	if err := c.kinds(ctx, out); err != nil {
		return fmt.Sprintf("its changes could not be read: %v", err)
	}
	return ""
}

// revisions are the arguments of git log for a range.
func revisions(r scanner.Range) []string {
	if r.Base == "" {
		return []string{r.Head}
	}
	return []string{r.Head, "^" + r.Base}
}

// cut reports whether the clone ends within the commits.
func (c *bare) cut(commits []string) bool {
	data, err := os.ReadFile(filepath.Join(c.dir, "shallow"))
	if err != nil {
		return false
	}
	ends := strings.Fields(string(data))
	return slices.ContainsFunc(commits, func(commit string) bool { return slices.Contains(ends, commit) })
}

func (c *bare) shallow() bool {
	_, err := os.Stat(filepath.Join(c.dir, "shallow"))
	return err == nil
}

// promised counts the objects that a partial clone left on the server.
func (c *bare) promised(ctx context.Context, r scanner.Range) (int, error) {
	packs, err := filepath.Glob(filepath.Join(escape(c.objects), "pack", "*.promisor"))
	if err != nil || len(packs) == 0 {
		return 0, err
	}
	out, err := c.run(ctx, append([]string{"rev-list", "--objects", "--missing=print"}, revisions(r)...)...)
	return strings.Count("\n"+string(out), "\n?"), err
}

// escape makes a path a pattern of Glob that matches itself.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Differences are the options by which git shows all that the commits of a range
// did to text: a merge is compared with what git would have made of it, so that
// only what a person put into the merge itself is its own. Git does not do that for
// a merge of more than two branches, see [Octopuses].
func Differences() []string {
	return []string{"--remerge-diff", "--full-history", "--no-textconv", "--no-ext-diff", "--diff-filter=d"}
}

// Octopuses are the options by which git compares the merges of more than two
// branches with each of these: with what the others brought, which is seen twice.
func Octopuses() []string {
	return []string{"-m", "--min-parents=3", "--full-history", "--no-textconv", "--no-ext-diff", "--diff-filter=d"}
}

// kinds counts what scanners of differences count as scanned: the commits with lines
// added or removed in files that they do not remove as a whole, and, for those that
// see no merges, the other commits that add or change a file.
func (c *bare) kinds(ctx context.Context, r *scanner.Range) error {
	args := append([]string{"log", "--format=%x00", "--numstat"}, Differences()...)
	out, err := c.run(ctx, append(args, revisions(*r)...)...)
	if err != nil {
		return err
	}
	for commit := range strings.SplitSeq(string(out), "\x00") {
		if slices.ContainsFunc(strings.Split(commit, "\n"), changes) {
			r.Texts++
		}
	}
	args = []string{"log", "--format=%x00", "--full-history", "--no-merges", "--diff-filter=AM", "--no-ext-diff"}
	// The option makes git log leave out commits without such a file.
	if out, err = c.run(ctx, append(args, revisions(*r)...)...); err != nil {
		return err
	}
	r.Edits = strings.Count(string(out), "\x00")
	if out, err = c.run(ctx, append([]string{"rev-list", "--min-parents=3"}, revisions(*r)...)...); err != nil {
		return err
	}
	r.Octopuses = len(strings.Fields(string(out)))
	return nil
}

// changes reports whether a line of numstat counts any line of text.
func changes(line string) bool {
	fields := strings.SplitN(line, "\t", 3)
	return len(fields) == 3 && fields[0] != "-" && (fields[0] != "0" || fields[1] != "0")
}

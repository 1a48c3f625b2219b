package figures

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
)

// Run is the mage target figures: it prints the figures of the checkout in -dir or, with -commits, how many packages each of those commits
// or ranges touched.
func Run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("figures", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("dir", ".", "the checkout to measure")
	commits := flags.String("commits", "", "commits or ranges, separated by commas")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	if *commits == "" {
		tree, err := Measure(*dir)
		if err == nil {
			_, err = fmt.Fprint(out, tree)
		}
		return err
	}
	for name := range strings.SplitSeq(*commits, ",") {
		touched, err := Touched(ctx, *dir, strings.TrimSpace(name))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-25s %3d packages, %3d with tests: %s\n", name, len(touched.Code), len(touched.All), strings.Join(touched.Code, " "))
	}
	return nil
}

// A Change is the packages whose Go files a commit or a range changed, by path and sorted.
type Change struct {
	Code []string // with a file that is no test
	All  []string // with any Go file
}

// Touched asks git which packages of the checkout in dir a commit changed, or a range as in "v1..v2".
func Touched(ctx context.Context, dir, commit string) (Change, error) {
	if !strings.Contains(commit, "..") {
		commit += "^!" // the commit without its parents
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "diff", "--name-only", "--end-of-options", commit, "--")
	var errs strings.Builder
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return Change{}, fmt.Errorf("git diff %s: %w: %s", commit, err, strings.TrimSpace(errs.String()))
	}
	return packagesOf(strings.Fields(string(text))), nil
}

func packagesOf(files []string) Change {
	var c Change
	for _, file := range files {
		if !strings.HasSuffix(file, ".go") || strings.Contains("/"+file, "/testdata/") {
			continue
		}
		c.All = append(c.All, path.Dir(file))
		if !strings.HasSuffix(file, "_test.go") {
			c.Code = append(c.Code, path.Dir(file))
		}
	}
	for _, list := range []*[]string{&c.All, &c.Code} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return c
}

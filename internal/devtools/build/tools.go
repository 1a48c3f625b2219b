package build

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// toolFlags are the options of the targets on tools.
type toolFlags struct{ names, gate, dir, lock string }

func parseTools(name string, args []string) (toolFlags, *toolbox.Box, error) {
	var f toolFlags
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.StringVar(&f.names, "names", "", "tools, with commas between; those that the gate needs by default if not given")
	set.StringVar(&f.gate, "gate", string(toolbox.Security), "the gate that needs them: security, performance or all")
	set.StringVar(&f.dir, "dir", "", "folder of the tools; in the user's cache if not given")
	set.StringVar(&f.lock, "lock", "", "lock file of your own with more tools")
	if err := set.Parse(args); err != nil {
		return f, nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	box, err := toolbox.Open(f.dir, f.lock, os.Environ())
	if err != nil {
		return f, nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	return f, box, nil
}

// InstallTools installs tools from the registries.
func InstallTools(ctx context.Context, out io.Writer, args []string) error {
	f, box, err := parseTools("tools:install", args)
	if err != nil {
		return err
	}
	names := strings.FieldsFunc(f.names, func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		if names, err = defaultTools(box, f.gate); err != nil {
			return err
		}
	}
	return box.Install(ctx, names, func(line string) { fmt.Fprintln(out, line) })
}

// defaultTools are the tools that a gate, or all of them, needs by default.
func defaultTools(box *toolbox.Box, gate string) ([]string, error) {
	var names []string
	for _, g := range toolbox.Gates() {
		if gate == "all" || gate == string(g) {
			names = append(names, box.Default(g)...)
		}
	}
	if len(names) == 0 {
		return nil, &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("gate %q: want one of %q or all", gate, toolbox.Gates())}
	}
	return names, nil
}

// ListTools shows which tools are there, verified, and how to get the others.
func ListTools(ctx context.Context, out io.Writer, args []string) error {
	_, box, err := parseTools("tools:list", args)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TOOL\tVERSION\tGATE\tFROM\tSTATE\tWHERE")
	var hints []string
	for _, s := range box.List(ctx) {
		state, where := "verified", s.Tool.Program
		if len(s.Tool.Args) > 0 {
			where = s.Tool.Args[0]
		}
		var wrong *toolbox.ToolError
		switch {
		case errors.As(s.Err, &wrong):
			state, where = wrong.Err.Error(), wrong.Why
			hints = append(hints, fmt.Sprintf("%s: %s", s.Name, wrong.Hint))
		case s.Tool.SHA256 == "":
			state = "there, not locked"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, cmp.Or(s.Tool.Version, s.Version, "-"), gates(s.Gates), s.Kind, state, where)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, hint := range hints {
		fmt.Fprintln(out, hint)
	}
	return nil
}

func gates(all []toolbox.Gate) string {
	var names []string
	for _, g := range all {
		names = append(names, string(g))
	}
	return strings.Join(names, ", ")
}

// SumTools prints the sha256 of a program or of a folder, for a lock file.
func SumTools(_ context.Context, out io.Writer, args []string) error {
	if len(args) != 1 {
		return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("%q: want the path of a program or a folder", args)}
	}
	sum, err := toolbox.SumOf(args[0])
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	fmt.Fprintln(out, sum)
	return nil
}

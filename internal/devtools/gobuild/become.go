package gobuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Become builds a main package of the module in the working directory and turns
// this process into it, so that signals and the exit status are its own. Where
// a process cannot become another it runs beside this one, and its exit status
// is returned. The program stays in the user's cache, for the next time.
func Become(ctx context.Context, pkg string, args, env []string) (int, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1, fmt.Errorf("find a place for built programs: %w", err)
	}
	name := filepath.Base(pkg)
	p := Program{Name: name, Packages: []string{pkg}, Out: filepath.Join(cache, "candlefish-deploy-action", name)}
	if err := os.MkdirAll(filepath.Dir(p.Out), 0o755); err != nil {
		return 1, err
	}
	said := false
	err = p.Build(ctx, func(line string) {
		if !said {
			said = true
			fmt.Fprintln(os.Stderr, "compiling this project, once")
		}
		fmt.Fprintln(os.Stderr, line)
	})
	if err != nil {
		return 1, err
	}
	env = append(os.Environ(), env...)
	if runtime.GOOS == "windows" {
		return p.spawn(args, env, os.Stdout)
	}
	return 1, fmt.Errorf("run %s: %w", p.Out, syscall.Exec(p.Out, append([]string{p.Out}, args...), env))
}

// spawn runs the program as a child.
func (p Program) spawn(args, env []string, out io.Writer) (int, error) {
	cmd := exec.CommandContext(context.Background(), p.Out, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, out, out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Flags makes arguments of what a mage target was given, leaving out what was
// not: name and value by turns, the value being a pointer to a string or bool.
func Flags(pairs ...any) []string {
	var args []string
	for i := 0; i+1 < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case *string:
			if v != nil {
				args = append(args, fmt.Sprintf("--%v=%s", pairs[i], *v))
			}
		case *bool:
			if v != nil {
				args = append(args, fmt.Sprintf("--%v=%t", pairs[i], *v))
			}
		}
	}
	return args
}

// Split cuts the text of a target's option "flags" into arguments at spaces.
func Split(flags *string) []string {
	if flags == nil {
		return nil
	}
	return strings.Fields(*flags)
}

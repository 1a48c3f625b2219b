package console

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A new pseudo-terminal has no width until somebody sets one, and is a terminal.
func TestIsTerminal(t *testing.T) {
	t.Parallel()
	main, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = main.Close() }()
	if err := unix.IoctlSetPointerInt(int(main.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(main.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	pty, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pty.Close() }()
	if !IsTerminal(pty) || TerminalWidth(pty)() != 0 {
		t.Errorf("terminal %t, width %d", IsTerminal(pty), TerminalWidth(pty)())
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if IsTerminal(null) {
		t.Error("the null device is a terminal")
	}
}

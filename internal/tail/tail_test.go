package tail

import (
	"io"
	"os/exec"
	"strings"
	"testing"
)

func TestOnlyTheEndIsKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", defaultLimit) + "the end"
	for name, fill := range map[string]func(*Buffer) error{
		"written": func(b *Buffer) error { _, err := b.Write([]byte(long)); return err },
		"in parts": func(b *Buffer) error {
			for part := range strings.SplitAfterSeq(long, "9") {
				if n, err := b.Write([]byte(part)); n != len(part) || err != nil {
					t.Errorf("Write = %d, %v, want %d", n, err, len(part))
				}
			}
			return nil
		},
		"copied": func(b *Buffer) error { _, err := io.Copy(b, io.MultiReader(strings.NewReader(long))); return err },
		"printed by a command": func(b *Buffer) error {
			cmd := exec.CommandContext(t.Context(), "cat")
			cmd.Stdin, cmd.Stdout = strings.NewReader(long), b
			return cmd.Run()
		},
	} {
		for limit, want := range map[int]int{0: defaultLimit, 100: 100} {
			b := Buffer{Limit: limit}
			if err := fill(&b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := b.String(); got != long[len(long)-want:] || string(b.Bytes()) != got {
				t.Errorf("%s: %d bytes are kept that end with %q, want the last %d", name, len(got), got[max(0, len(got)-20):], want)
			}
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	t.Parallel()
	var b Buffer
	for range 3 {
		_, _ = b.Write([]byte(strings.Repeat("x", 7000)))
	}
	_, _ = b.Write([]byte("the end"))
	if len(b.String()) != 8<<10 || !strings.HasSuffix(b.String(), "the end") {
		t.Errorf("kept %d bytes ending in %q", len(b.String()), b.String()[len(b.String())-7:])
	}
}

package wire

import (
	"fmt"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status     int
		name, text string
		want       time.Duration
	}{
		{429, "X-RateLimit-Reset", fmt.Sprint(now.Unix() + 9), 9 * time.Second},
		{429, "X-RateLimit-Reset", fmt.Sprint(now.Unix() - 9), time.Second},
		{429, "X-RateLimit-Reset", "soon", 0},
		{500, "X-RateLimit-Reset", fmt.Sprint(now.Unix() + 9), 0},
		{503, "Retry-After", "7", 7 * time.Second},
		{503, "Retry-After", "-7", 0},
		{503, "Retry-After", "Tue, 24 Nov 2026 12:01:00 GMT", time.Minute},
	} {
		e := &StatusError{Status: c.status, Header: map[string][]string{}}
		e.Header.Set(c.name, c.text)
		if got := e.RetryAfter(now); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "a\x1b[2Jb", "\u202eabc\r\n\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Printable(text)
		for _, r := range got {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Errorf("%q: %q", text, got)
			}
		}
		if Printable(got) != got {
			t.Errorf("%q is not stable", got)
		}
	})
}

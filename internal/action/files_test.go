package action

import (
	"strings"
	"testing"
)

func TestHeredocAvoidsCollision(t *testing.T) {
	t.Parallel()
	delimiters := []string{"a", "b"}
	next := func() string {
		d := delimiters[0]
		delimiters = delimiters[1:]
		return d
	}
	got, err := heredoc("x", "a", next)
	if want := "x<<b\na\nb\n"; got != want || err != nil {
		t.Errorf("heredoc = %q, %v; want %q", got, err, want)
	}
}

func TestHeredocRefuses(t *testing.T) {
	t.Parallel()
	same := func() string { return "d" }
	for _, tt := range []struct{ name, value string }{
		{"", "v"}, {"a=b", "v"}, {"a<<b", "v"}, {"a\nb", "v"},
		{"x", "every d"}, {"x", strings.Repeat("v", ValueLimit+1)},
	} {
		if got, err := heredoc(tt.name, tt.value, same); err == nil {
			t.Errorf("heredoc(%q, …) = %q, want an error", tt.name, got)
		}
	}
}

func TestRandomDelimiterDiffers(t *testing.T) {
	t.Parallel()
	if a, b := randomDelimiter(), randomDelimiter(); a == b {
		t.Errorf("two delimiters are %q", a)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	if got := fit("short\n", 10); got != "short\n" {
		t.Errorf("fit = %q", got)
	}
	if got := fit("some\n", SummaryLimit); got != "" {
		t.Errorf("fit without free space = %q", got)
	}
	if got := fit(strings.Repeat("ab\n", SummaryLimit), 5); len(got)+5 > SummaryLimit || !strings.Contains(got, "ab"+summaryCut) {
		t.Errorf("fit has %d bytes and ends with %q", len(got), got[len(got)-90:])
	}
}

func FuzzHeredoc(f *testing.F) {
	f.Add("name", "value\ndelimiter\n")
	f.Fuzz(func(t *testing.T, name, value string) {
		text, err := heredoc(name, value, randomDelimiter)
		if err != nil {
			return
		}
		head, rest, _ := strings.Cut(text, "\n")
		key, delimiter, _ := strings.Cut(head, "<<")
		body, after, ok := strings.Cut(rest, "\n"+delimiter+"\n")
		if key != name || body != value || after != "" || !ok {
			t.Errorf("heredoc(%q, %q) = %q", name, value, text)
		}
	})
}

package plain

import (
	"strings"
	"testing"
	"time"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one\r\n two\tthree": "one two three",
		"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x1b\\ \x1b[2Jx": "red link x",
		"a\u202eb\u2066c\u200bd\ufeffe\U000E0041f\x00g\x9bh":                             "abcdefg�h",
		"👩\u200d🔧 ü":            "👩\u200d🔧 ü",
		"\xff":                  "�",
		"12345678901234567890x": "12345678901234567890…",
	} {
		if got := Text(text, 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Text(strings.Repeat("\x1b[31m \u202e", 100_000)+"end", 5); got != "" {
		t.Errorf("nothing to see in what counts: %q", got)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Number(1234567): "1,234,567", Number(-1234): "-1,234", Number(999): "999",
		Count(1, "finding"): "1 finding", Count(0, "finding"): "0 findings",
		Took(90 * time.Second): "1m30s", Took(1234 * time.Millisecond): "1.2s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	for link, follow := range map[string]bool{
		"https://example.com/a?b": true, "http://example.com": false, "javascript:alert(1)": false, "https://u:p@example.com": false, "https://": false, "https://a\x1b[31m": false, "": false,
	} {
		if got := HTTPS(link); (got == link && link != "") != follow {
			t.Errorf("%q: %q", link, got)
		}
	}
}

package redact

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"get https://bob:hunter2@host.example/x", "get https://***@host.example/x"},
		{"get https://host.example/x?sig=abc&y=1#top", "get https://host.example/x?***#top"},
		{`Get "https://host.example/?token=t": EOF`, `Get "https://host.example/?***": EOF`},
		{"postgres://u:p@db:5432/x", "postgres://***@db:5432/x"},
		{"Authorization: Bearer abc.def", "Authorization: Bearer ***"},
		{`map[Authorization:[Basic Zm9vOmJhcg==]]`, `map[Authorization:[Basic ***]]`},
		{"used bearer abcdefghijklmnopqrstuvwxyz", "used bearer ***"},
		{"a ghp_0123456789abcdefghijABCDEFGHIJ012345 b", "a *** b"},
		{"key AKIAABCDEFGHIJKLMNOP", "key ***"},
		{"post https://hooks.slack.com/services/T0/B0/xyz", "post https://hooks.slack.com/services/***"},
		{"plain text, 50% of 3: ok? yes", "plain text, 50% of 3: ok? yes"},
		{"https://host.example/path", "https://host.example/path"},
		{"the bearer of news", "the bearer of news"},
	}
	for _, tt := range tests {
		if got := New().String(tt.in); got != tt.want {
			t.Errorf("String(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	const secret = "hun\"ter 2/ü"
	r := New(secret)
	for _, text := range []string{
		secret, fmt.Sprintf("%q", secret), url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	} {
		if got := r.String("a " + text + " b"); strings.Contains(got, "ter") || !strings.Contains(got, Stars) {
			t.Errorf("String(%q) = %q", text, got)
		}
	}
}

func TestMultiLineSecret(t *testing.T) {
	t.Parallel()
	r := New("-----BEGIN KEY-----\nabcdefgh\nx\n-----END KEY-----\n")
	for _, line := range []string{"-----BEGIN KEY-----", "abcdefgh"} {
		if got := r.String("[" + line + "]"); got != "[***]" {
			t.Errorf("String(%q) = %q", line, got)
		}
	}
	if got := r.String("x marks the spot"); got != "x marks the spot" {
		t.Errorf("a line of one letter is starred out: %q", got)
	}
}

func TestLongerSecretFirst(t *testing.T) {
	t.Parallel()
	if got := New("token", "token-extended").String("token-extended"); got != Stars {
		t.Errorf("String = %q, want %q", got, Stars)
	}
}

func FuzzString(f *testing.F) {
	f.Add("s3cr3t")
	f.Add("p\nass\"word")
	f.Fuzz(func(t *testing.T, secret string) {
		whole := strings.TrimSpace(secret)
		if len(whole) < minLength || strings.Contains(whole, "*") {
			return
		}
		if got := New(secret).String("<" + whole + ">"); strings.Contains(got, whole) {
			t.Errorf("String(%q) = %q", whole, got)
		}
	})
}

func TestDeep(t *testing.T) {
	t.Parallel()
	type inner struct {
		Text   *string
		hidden string
	}
	type outer struct {
		Name  string
		List  []inner
		Map   map[string]string
		Empty []string
		N     int
		Any   any
		None  any
	}
	text := "s3cret b"
	in := outer{"s3cret", []inner{{&text, "s3cret"}}, map[string]string{"k": "a s3cret"}, nil, 7, &inner{Text: &text}, nil}
	got := Deep(in, func(s string) string { return strings.ReplaceAll(s, "s3cret", "***") })
	if got.Name != "***" || *got.List[0].Text != "*** b" || got.Map["k"] != "a ***" || got.Empty != nil || got.N != 7 {
		t.Errorf("Deep = %+v", got)
	}
	if held := got.Any.(*inner); *held.Text != "*** b" || got.None != nil {
		t.Errorf("what an interface holds: %+v, %v", *held.Text, got.None)
	}
	if in.Name != "s3cret" || text != "s3cret b" || in.Map["k"] != "a s3cret" || got.List[0].hidden != "s3cret" {
		t.Errorf("the original changed: %+v", in)
	}
}

func TestExcerptLooksForSecretsBeforeItCuts(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	long := strings.Repeat("x", 293) + secret + " and more"
	if got, want := New(secret).Excerpt(long), strings.Repeat("x", 293)+"*** and..."; got != want {
		t.Errorf("Excerpt = %q, want %q", got, want)
	}
	if got := New().Excerpt(strings.Repeat("x", 299) + "ü"); got != strings.Repeat("x", 299)+"..." {
		t.Errorf("Excerpt leaves half a letter: %q", got[290:])
	}
	if got := New().Excerpt("short"); got != "short" {
		t.Errorf("Excerpt(short) = %q", got)
	}
}

package source

import (
	"errors"
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	t.Parallel()
	values := map[string]string{"version": "canary", "service": "web-canary", "namespace": ""}
	tests := []struct {
		name, text, want, err string
	}{
		{name: "nothing to fill", text: "up", want: "up"},
		{name: "one", text: `up{version="${version}"}`, want: `up{version="canary"}`},
		{name: "several", text: "${service}/${version}/${service}", want: "web-canary/canary/web-canary"},
		{name: "a lone dollar", text: "$ a$b ${version}$", want: "$ a$b canary$"},
		{name: "unknown", text: "${pod}", err: "${pod} is not known, want one of ${namespace}, ${service}, ${version}"},
		{name: "no name", text: "${}", err: "${} is not known"},
		{name: "empty", text: "${namespace}", err: "has no value"},
		{name: "no end", text: "up${version", err: "${ has no }"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := Fill(test.text, values)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Fatalf("Fill(%q): error %v, want %q", test.text, err, test.err)
			}
			if got != test.want {
				t.Errorf("Fill(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

// What was filled in is not looked at again: a value cannot bring names with it.
func TestFillDoesNotFillValues(t *testing.T) {
	t.Parallel()
	got, err := Fill("${a}", map[string]string{"a": "${b}", "b": "x"})
	if err != nil || got != "${b}" {
		t.Errorf("Fill = %q, %v, want ${b}", got, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, stable, canary string
		names                      Names
	}{
		{"defaults", "${namespace}/${service}/${version}", "shop/web/stable", "shop/web-canary/canary", Names{Namespace: "shop", Service: "web"}},
		{
			"given", "${namespace}/${service}/${version}", "shop/blue/v1", "shop/green/v2",
			Names{Namespace: "shop", Service: "blue", CanaryService: "green", Stable: "v1", Canary: "v2"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			stable, canary, err := test.names.FillBoth(test.text)
			if err != nil || stable != test.stable || canary != test.canary {
				t.Errorf("FillBoth = %q, %q, %v, want %q, %q", stable, canary, err, test.stable, test.canary)
			}
		})
	}
}

func TestFillBothRefusesWhatMixesTheVersions(t *testing.T) {
	t.Parallel()
	names := Names{Namespace: "shop", Service: "web"}
	for _, text := range []string{"", "up", `up{namespace="${namespace}"}`} {
		if _, _, err := names.FillBoth(text); !errors.Is(err, ErrMixed) {
			t.Errorf("FillBoth(%q): error %v, want ErrMixed", text, err)
		}
	}
	if _, _, err := (Names{Service: "web", Stable: "v1", Canary: "v1"}).FillBoth("${version}"); !errors.Is(err, ErrMixed) {
		t.Errorf("one name for both versions: error %v, want ErrMixed", err)
	}
	if _, _, err := names.FillBoth("${other}"); err == nil || errors.Is(err, ErrMixed) {
		t.Errorf("an unknown name: error %v, want another one", err)
	}
}

func FuzzFill(f *testing.F) {
	f.Add("${version}", "canary")
	f.Add("${", "x")
	f.Add("a$b${version}}", "${version}")
	f.Fuzz(func(t *testing.T, text, value string) {
		got, err := Fill(text, map[string]string{"version": value})
		if err == nil && !strings.Contains(text, "${") && got != text {
			t.Errorf("Fill(%q) = %q, want it unchanged", text, got)
		}
	})
}

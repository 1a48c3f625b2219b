package input

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"300", "30s", "5m", "-1", "1h30m", "9223372036854775807", "", "0x10", "1e9s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text, time.Second); err == nil && d < 0 {
			t.Errorf("ParseDuration(%q) = %v, below zero", text, d)
		}
	})
}

func FuzzParseSteps(f *testing.F) {
	for _, seed := range []string{"5,25,50,100", "100", "", ",", "1,2,3", "100,100", "5%, 100%", "-1,100", "5:pause,100", "5:pause=1h,100:pause", "5:pause=,100"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		steps, err := ParseSteps(text)
		if err != nil {
			return
		}
		last := 0
		for _, step := range steps {
			w := step.Weight
			if step.UntilPromoted && step.Pause != 0 || step.Pause < 0 {
				t.Fatalf("ParseSteps(%q) = %v: a pause both with and without an end", text, steps)
			}
			if w <= last || w > 100 {
				t.Fatalf("ParseSteps(%q) = %v: does not rise within 1 to 100", text, steps)
			}
			last = w
		}
		if last != 100 {
			t.Errorf("ParseSteps(%q) = %v: does not end at 100", text, steps)
		}
	})
}

// Whatever is typed, there is an answer, an image never starts with '-', no
// number leaves its range, and a secret is in no message.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"--image\nweb:1", "web:1\n--no-rollback", "--\n-x", "--rate=-1", "--token=s3cr3t value", "--help"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		v, err := testSpec().Parse(strings.Split(line, "\n"), env("DEMO_TOKEN", "p l a n t e d"))
		if strings.HasPrefix(v.String("image"), "-") {
			t.Errorf("image is %q", v.String("image"))
		}
		if n := v.Int("rate"); n < 1 || n > 1000 {
			t.Errorf("rate is %d", n)
		}
		if l := v.Float("limit"); math.IsNaN(l) || l < 0 || l > 100 {
			t.Errorf("limit is %v", l)
		}
		if err != nil && strings.Contains(err.Error(), "p l a n t e d") {
			t.Errorf("the secret is in %v", err)
		}
		var ps Problems
		if err != nil && !errors.Is(err, ErrHelp) && !errors.As(err, &ps) {
			t.Errorf("error is %T", err)
		}
	})
}

package output

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
)

func TestHalfAReportIsNone(t *testing.T) {
	t.Parallel()
	whole := isolate.Ran{Ending: isolate.Exited, Status: 1, Stdout: []byte("[]")}
	if err := Whole(whole, 0, 1); err != nil {
		t.Fatalf("a whole report: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*isolate.Ran)
		says   string
	}{
		"status":    {func(r *isolate.Ran) { r.Status, r.Stderr = 2, []byte("Oops!\nno such rule \xff\n") }, "status 2: no such rule"},
		"signal":    {func(r *isolate.Ran) { r.Ending, r.Why = isolate.Signalled, "SIGSEGV" }, "ended by a signal: SIGSEGV"},
		"time":      {func(r *isolate.Ran) { r.Ending = isolate.TimedOut }, "did not end in its time"},
		"memory":    {func(r *isolate.Ran) { r.Ending = isolate.OutOfMemory }, "more memory"},
		"start":     {func(r *isolate.Ran) { r.Ending = isolate.NotStarted }, "did not run to its end"},
		"truncated": {func(r *isolate.Ran) { r.Truncated = true }, "longer than the limit"},
		"empty":     {func(r *isolate.Ran) { r.Status, r.Stdout = 0, []byte(" \n") }, "reported nothing"},
	} {
		ran := whole
		c.change(&ran)
		if err := Whole(ran, 0, 1); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.says)
		}
	}
}

func TestJSONIsOneDocument(t *testing.T) {
	t.Parallel()
	var into []int
	if err := JSON([]byte(" [1, 2]\n"), &into); err != nil || len(into) != 2 {
		t.Errorf("JSON() = %v, %v", into, err)
	}
	for _, bad := range []string{"", "[1,", "[1] [2]", "[1]x", `{"a":1}`, "null null"} {
		if err := JSON([]byte(bad), &into); err == nil {
			t.Errorf("JSON(%q) is no error", bad)
		}
	}
}

func TestSomeNamesFive(t *testing.T) {
	t.Parallel()
	names := strings.Split("abcdefg", "")
	if got, want := Some("%d files were not read", names), "7 files were not read: a, b, c, d, e and 2 more"; got != want {
		t.Errorf("Some() = %q, want %q", got, want)
	}
	if got := Some("%d files", nil); got != "" {
		t.Errorf("Some(nil) = %q", got)
	}
	if got := Cut("añb", 2); got != "a..." {
		t.Errorf("Cut() = %q", got)
	}
}

func TestListIsOneList(t *testing.T) {
	t.Parallel()
	sum := 0
	add := func(n int) error { sum += n; return nil }
	if err := List([]byte(" [1, 2]\n"), add); err != nil || sum != 3 {
		t.Errorf("List() = %d, %v", sum, err)
	}
	if err := List([]byte("[]"), add); err != nil {
		t.Errorf("an empty list: %v", err)
	}
	for _, bad := range []string{"", "[1,", "[1", "[", "[1,]", "[1] [2]", "[1]x", "[1,2}", `{"a":1}`, "null", "[1 2]", `["a"]`} {
		if err := List([]byte(bad), add); err == nil {
			t.Errorf("List(%q) is no error", bad)
		}
	}
}

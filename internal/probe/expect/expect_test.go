package expect

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/release"
)

func TestParsePaths(t *testing.T) {
	t.Parallel()
	got, wrong := ParsePaths("/ 3\n\n  /api/health?full=1  \n/static 10\n")
	var all []string
	for _, p := range got {
		all = append(all, fmt.Sprint(p.Path, " ", p.Weight))
	}
	if diff := cmp.Diff([]string{"/ 3", "/api/health?full=1 1", "/static 10"}, all); diff != "" || len(wrong) > 0 {
		t.Errorf("ParsePaths: %v (-want +got):\n%s", wrong, diff)
	}
	_, wrong = ParsePaths("/ 0\nhome\n/a\n\n/a 2\n/b 1 2\n/c x\n/d 1001")
	want := []string{
		`line 1: weight "0" is no whole number from 1 to 1000`,
		`line 2: "home" is no path: it starts with '/'`,
		`line 5: path /a is there twice`,
		`line 6: more than a path and a weight`,
		`line 7: weight "x" is no whole number from 1 to 1000`,
		`line 8: weight "1001" is no whole number from 1 to 1000`,
	}
	if diff := cmp.Diff(want, texts(wrong)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	many := strings.Builder{}
	for i := range maxPaths + 1 {
		fmt.Fprintf(&many, "/%d\n", i)
	}
	if _, wrong := ParsePaths(many.String()); len(wrong) != 1 || wrong[0].Line != maxPaths+1 {
		t.Errorf("%d paths: %v", maxPaths+1, wrong)
	}
}

func texts(wrong []LineError) []string {
	var all []string
	for _, e := range wrong {
		all = append(all, e.Error())
	}
	return all
}

func answer(status int, kind, body string) Answer {
	a := Answer{Status: status, Header: http.Header{}, Body: []byte(body), Size: int64(len(body))}
	if kind != "" {
		a.Header.Set("Content-Type", kind)
	}
	return a
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	page := answer(200, "text/html; charset=utf-8", "<h1>Welcome</h1>")
	api := answer(200, "application/json", `{"status":"ok","n":3,"items":[{"id":1,"up":true},{"id":2,"up":true}],"none":null}`)
	for line, c := range map[string]struct {
		answer Answer
		miss   string
	}{
		"/ status 200":                        {page, ""},
		"/ status 204, 200":                   {page, ""},
		"/ status 201":                        {page, "its status is 200"},
		"/ header content-type":               {page, ""},
		"/ header X-Frame":                    {page, "it has no header X-Frame"},
		"/ header Content-Type /^text/":       {page, ""},
		"/ header Content-Type /json/":        {page, `its header Content-Type is "text/html; charset=utf-8"`},
		"/ header Content-Type == text/html":  {page, `its header Content-Type is "text/html; charset=utf-8"`},
		`/ header content-type == "a b"`:      {answer(200, "a b", ""), ""},
		"/ body /Welcome/":                    {page, ""},
		"/ body /a/b/":                        {page, "its body does not match"},
		"/ body /(?i)welcome</":               {page, ""},
		`/ json $.status == "ok"`:             {api, ""},
		`/ json $.status != "ok"`:             {api, `its body has "ok" there`},
		`/ json $.n == 3`:                     {api, ""},
		`/ json $.status != "a==b"`:           {api, ""},
		`/ json $.n == 4`:                     {api, "its body has 3 there"},
		`/ json $.items`:                      {api, ""},
		`/ json $.gone`:                       {api, "its body has nothing there"},
		`/ json $.none == null`:               {api, ""},
		`/ json $.items[*].up == true`:        {api, ""},
		`/ json $.items[?@.id == 2].up==true`: {api, ""},
		`/ json $.items[?@.id == 3]`:          {api, "its body has nothing there"},
		`/ json $.status`:                     {page, "its body is no JSON"},
	} {
		paths := []Path{{Path: "/"}}
		if wrong := ParseExpectations(line, paths); len(wrong) > 0 {
			t.Errorf("%s: %v", line, wrong)
			continue
		}
		if got := paths[0].Expectations[0].Miss(c.answer); got != c.miss {
			t.Errorf("%s: Miss = %q, want %q", line, got, c.miss)
		}
	}
}

func TestExpectationsThatAreRefused(t *testing.T) {
	t.Parallel()
	paths := []Path{{Path: "/"}, {Path: "/api"}}
	got := texts(ParseExpectations(strings.Join([]string{
		"/other status 200", "/ status ok", "/ status 99", "/ body /(/", "/ body Welcome", "/ json $.a == ok", "/ json status",
		"/ size 3", "/ header", "/ header X ==", "/ header a:b", "/api", "/ body //",
	}, "\n"), paths))
	want := []string{
		"line 1: /other is not asked for: the paths are /, /api",
		`line 2: "ok" is no status from 200 to 599`,
		`line 3: "99" is no status from 200 to 599`,
		"line 4: the pattern does not compile: error parsing regexp: missing closing ): `(`",
		`line 5: "Welcome" is no pattern between two slashes`,
		"line 6: ok is no value in JSON: a text needs quotes",
		`line 7: "status" is no JSONPath query: jsonpath: unexpected identifier at position 1`,
		`line 8: "size" is not status, header, body or json`,
		"line 9: nothing follows header",
		"line 10: nothing follows ==",
		`line 11: "a:b" is no name of a header`,
		`line 12: "" is not status, header, body or json`,
		`line 13: "//" is no pattern between two slashes`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if n := len(paths[0].Expectations) + len(paths[1].Expectations); n != 0 {
		t.Errorf("%d of the refused lines count", n)
	}
}

func TestWrong(t *testing.T) {
	t.Parallel()
	page := Learn("/", []Answer{
		answer(200, "text/html; charset=utf-8", strings.Repeat("x", 4000)),
		answer(200, "text/html", strings.Repeat("x", 5000)),
	})
	if diff := cmp.Diff(release.Answers{Path: "/", Status: 200, Type: "text/html", Smallest: 4000, Largest: 5000}, page); diff != "" {
		t.Fatalf("Learn (-want +got):\n%s", diff)
	}
	mixed := Learn("/", []Answer{answer(200, "text/html", "x"), answer(200, "text/plain", "")})
	moved := Learn("/", []Answer{answer(302, "", "")})
	body := func(n int) string { return strings.Repeat("y", n) }
	big := answer(200, "text/html", body(100))
	big.Size = 1 << 20
	for name, c := range map[string]struct {
		before release.Answers
		answer Answer
		want   []evidence.Wrong
	}{
		"as before":           {page, answer(200, "text/html;charset=latin1", body(1000)), nil},
		"longer than is read": {page, big, nil},
		"upper case":          {page, answer(200, "Text/HTML", body(4000)), nil},
		"a login page":        {page, answer(302, "text/html", ""), []evidence.Wrong{evidence.WrongRedirect}},
		"not modified":        {page, answer(304, "", ""), []evidence.Wrong{evidence.WrongStatus}},
		"another status":      {page, answer(202, "text/html", body(4000)), []evidence.Wrong{evidence.WrongStatus}},
		"empty":               {page, answer(200, "", ""), []evidence.Wrong{evidence.WrongEmpty}},
		"a quarter":           {page, answer(200, "text/html", body(1000)), nil},
		"less than a quarter": {page, answer(200, "text/html", body(999)), []evidence.Wrong{evidence.WrongSmaller}},
		"another type":        {page, answer(200, "application/json", body(4000)), []evidence.Wrong{evidence.WrongType}},
		"no type":             {page, answer(200, "", body(4000)), []evidence.Wrong{evidence.WrongType}},
		"smaller, other type": {page, answer(200, "text/plain", "error"), []evidence.Wrong{evidence.WrongSmaller, evidence.WrongType}},
		"types that differ":   {mixed, answer(200, "image/png", "x"), nil},
		"sometimes empty":     {mixed, answer(200, "", ""), nil},
		"always a redirect":   {moved, answer(302, "text/html", "x"), []evidence.Wrong{}},
		"no more a redirect":  {moved, answer(200, "", ""), []evidence.Wrong{evidence.WrongStatus}},
		"another redirect":    {moved, answer(301, "", ""), []evidence.Wrong{evidence.WrongStatus}},
		"nothing is known":    {release.Answers{}, answer(302, "", ""), nil},
	} {
		if got := Wrong(c.before, Path{}, c.answer); !slices.Equal(got, c.want) {
			t.Errorf("%s: Wrong = %v, want %v", name, got, c.want)
		}
	}
}

func TestAMissedExpectationIsWrong(t *testing.T) {
	t.Parallel()
	paths := []Path{{Path: "/"}}
	if wrong := ParseExpectations("/ body /Welcome/\n/ body /Home/", paths); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	before := Learn("/", []Answer{answer(200, "text/html", "Welcome Home")})
	if got := Wrong(before, paths[0], answer(200, "text/html", "Welcome Home")); len(got) > 0 {
		t.Errorf("as expected: %v", got)
	}
	want := []evidence.Wrong{evidence.WrongType, evidence.WrongExpect}
	if got := Wrong(before, paths[0], answer(200, "text/plain", "error")); !slices.Equal(got, want) {
		t.Errorf("Wrong = %v, want %v: two missed expectations are one wrong answer", got, want)
	}
}

// What stable itself misses cannot be expected of the canary.
func TestUnmet(t *testing.T) {
	t.Parallel()
	paths := []Path{{Path: "/"}}
	if wrong := ParseExpectations("/ status 200\n/ body /Welcome/\n/ json $.a", paths); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	long := answer(200, "", `{"a":`)
	long.Size = 1 << 20
	got := Unmet(paths[0], []Answer{answer(200, "", `{"a":"Welcome"}`), long})
	want := []string{
		`probe-expect "/ body /Welcome/": stable itself misses it, in answer 2 of 2: its body does not match`,
		`probe-expect "/ json $.a": stable itself misses it, in answer 2 of 2: its body of 1048576 bytes is too long: 5 are read`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Unmet (-want +got):\n%s", diff)
	}
	if miss := paths[0].Expectations[2].Miss(long); miss != "" {
		t.Errorf("a body that is not all read misses %q", miss)
	}
}

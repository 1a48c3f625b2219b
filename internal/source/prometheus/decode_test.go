package prometheus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
)

// The order of keys is the server's, and so are keys that nobody knows.
func TestReadReplyInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"2"],[2.5,"+Inf"]]}]}}`,
		` { "data" : {"stats":{"x":[1,{"y":[]}]}, "result":[{"values":[[1.5,"2"],[ 2.5 , "+Inf" ]],"metric":{"a":"b"}}], "resultType":"matrix"}, "infos":["x"], "status":"success" } `,
	} {
		a, err := readReply(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.value()
		if want := `{a="b"} =>` + "\n2 @[1.5]\n+Inf @[2.5]"; err != nil || got.String() != want {
			t.Errorf("%s\nis %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestReadReplyRefuses(t *testing.T) {
	t.Parallel()
	data := func(kind, result string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
	}
	series := func(inner string) string { return data("matrix", `[{"metric":{},`+inner+`}]`) }
	for text, want := range map[string]string{
		`{"status":"error","status":"success"}`:                          "twice",
		`{"status":"success","data":{"result":[],"result":[]}}`:          "twice",
		`{"status":"success"}{}`:                                         "more than one",
		`{"status":"success","data":[]}`:                                 "want an object",
		`{"status":7}`:                                                   "cannot unmarshal",
		series(`"values":[[1,"1"]],"values":[]`):                         "twice",
		series(`"values":[[1,1]]`):                                       "want a time and a value as text",
		series(`"values":[[1]]`):                                         "want a time and a value as text",
		series(`"values":[[1,"1",2]]`):                                   "want a time and a value as text",
		series(`"values":[["1","1"]]`):                                   "no time",
		series(`"values":[[1e300,"1"]]`):                                 "no time",
		series(`"values":[[-1,"1"]]`):                                    "no time",
		series(`"values":[[1,"one"]]`):                                   "invalid syntax",
		series(`"values":{}`):                                            "want [",
		series(`"value":[1,"1"]`):                                        "a matrix with a single value",
		data("matrix", `[1,"2"]`):                                        "a matrix with a single value",
		data("vector", `[{"metric":{},"values":[]}]`):                    "0 values, want one",
		data("vector", `[{"metric":{"a":"1","a":"2"},"value":[1,"1"]}]`): "twice",
		data("vector", `[1,"2"]`):                                        "a vector with a single number",
		data("scalar", `[]`):                                             "a scalar without a number",
		data("scalar", `[1,"2",3]`):                                      "want ]",
		data("tensor", `[]`):                                             "the type \"tensor\"",
		data("matrix", `[{"metric":{}},7]`):                              "among the series",
		data("matrix", `["x"]`):                                          "want a series or a time",
		data("matrix", strings.Repeat("[", 5000)):                        "want a series or a time",
		`{"x":` + strings.Repeat("[", 5000):                              "nested too deep",
		data("matrix", `[`+strings.Repeat(`{},`, maxSeries)+`{}]`):       "50000 series",
	} {
		a, err := readReply(strings.NewReader(text))
		if err == nil {
			_, err = a.value()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s: error = %v, want %q", text, err, want)
		}
	}
}

// An answer over the bound is refused as such, and its text is not kept: what is
// allocated for all of it, dropped parts included, is a small multiple of the bound.
func TestReadOfAHugeAnswer(t *testing.T) {
	a, err := Server{URL: "http://prometheus", Client: &http.Client{Transport: big{60 << 20}}}.Ready(Ready{Preset: App, Names: shop, Errors: true})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	points, err := a.Read(t.Context())
	runtime.ReadMemStats(&after)
	if !errors.Is(err, errTooLarge) || points != nil || !strings.Contains(err.Error(), "8 MiB") {
		t.Errorf("Read = %d points, %v; want errTooLarge", len(points), err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 6*maxSize {
		t.Errorf("%d MiB were allocated for an answer of at most 8 MiB", allocated>>20)
	}
}

// A server that takes no POST is asked by GET, with all that a POST would say.
func TestReadFallsBackToGet(t *testing.T) {
	t.Parallel()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprint(r.Method, " ", r.URL.RawQuery, " ", string(bytes.TrimSpace(body))))
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		_, _ = io.WriteString(w, `{"status":"success","data":`+vector(`{"metric":{"v":"canary"},"value":[1000,"2"]}`)+`}`)
	}))
	defer server.Close()
	a, err := Server{URL: server.URL + "?tenant=x"}.Ask(source.Queries{Value: "up", By: "v"}, shop)
	if err != nil {
		t.Fatal(err)
	}
	if points := read(t, a, 1)[0]; len(points) != 1 {
		t.Errorf("%+v", points)
	}
	want := []string{
		"POST deny_partial_response=1&partial_response=false&tenant=x lookback_delta=1m30s&query=up",
		"GET deny_partial_response=1&lookback_delta=1m30s&partial_response=false&query=up&tenant=x ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A $ in a password is a $; only ${NAME} is a variable. The password is masked.
func TestPasswordsWithADollar(t *testing.T) {
	t.Parallel()
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		_, _ = io.WriteString(w, `{"status":"success","data":`+vector()+`}`)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	env := map[string]string{"PASSWORD": "pa$HOME$$x", "HOST": host, "ALL": "http://ann:pa$1@" + host}
	for address, want := range map[string]string{
		"http://ann:pa$$word$1@" + host:  "pa$$word$1",
		"http://ann:${PASSWORD}@${HOST}": "pa$HOME$$x",
		"${ALL}":                         "pa$1",
	} {
		var masked []string
		e := source.Env{Getenv: func(name string) string { return env[name] }, Mask: func(s string) { masked = append(masked, s) }, Names: shop}
		c := &Config{URL: address, Queries: source.Queries{Value: "up", By: "v"}}
		r, err := c.Open(t.Context(), config.Metric{}, e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if user != "ann" || password != want {
			t.Errorf("%s: asked as %q with %q, want %q", address, user, password, want)
		}
		if diff := cmp.Diff([]string{want}, masked); diff != "" {
			t.Errorf("%s: masked (-want +got):\n%s", address, diff)
		}
	}
	e := source.Env{Getenv: func(string) string { return "" }, Names: shop}
	if _, err := (&Config{URL: "http://${NONE}"}).Open(t.Context(), config.Metric{}, e); err == nil || !strings.Contains(err.Error(), "NONE") {
		t.Errorf("a variable that is not set: %v", err)
	}
}

package client

import (
	"encoding/json"
	"strings"
	"testing"
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

func FuzzReadReply(f *testing.F) {
	f.Add(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"2"]]}]}}`)
	f.Add(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"],"histogram":[1,{}]}]},"warnings":["x"]}`)
	f.Add(`{"status":"success","data":{"result":[1,"2"],"resultType":"scalar"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readReply(strings.NewReader(text))
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%q is taken, and is no JSON", text)
		}
		_, _ = a.value() // does not panic
	})
}

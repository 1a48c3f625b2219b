package journey

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/meter"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("journeys.yaml", []byte(`version: 1
journeys:
  - name: buy
    devices: [mobile]
    repeat: 0
    steps:
      - goto: /workshop?x=1
      - visit: /atelier
      - click: "#buy"
      - fill: {into: "#mail", value: "${MAIL}"}
      - press: Enter
      - hover: nav a
      - scroll: end
      - scroll: {to: footer}
      - wait-for: {text: Thank you}
      - expect: {url: /thanks}
      - screenshot: thanks
  - name: own
    script: e2e/own.mjs
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Journey{
		{Name: "buy", Line: 3, Devices: []meter.Device{meter.Mobile}, Steps: []Step{
			{Kind: "goto", Value: "/workshop?x=1"}, {Kind: "visit", Value: "/atelier"}, {Kind: "click", Value: "#buy"},
			{Kind: "fill", Selector: "#mail", Value: "${MAIL}"}, {Kind: "press", Value: "Enter"}, {Kind: "hover", Value: "nav a"},
			{Kind: "scroll", Value: "end"}, {Kind: "scroll", Selector: "footer"}, {Kind: "wait-for", Of: "text", Value: "Thank you"},
			{Kind: "expect", Of: "url", Value: "/thanks"}, {Kind: "screenshot", Value: "thanks"},
		}},
		{Name: "own", Line: 18, Repeat: 3, Script: "e2e/own.mjs"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := got[0].Steps[3].String(); text != "fill #mail with ${MAIL}" {
		t.Errorf("the step reads %q", text)
	}
}

// All that is wrong is said at once, each with its line.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                    {"j:1: the file is empty"},
		"a: [":                                {"j: yaml: "},
		"version: 1\njourneys: []":            {"j:1: journeys: want a list"},
		"version: 1\njourneys: []\n---\na: 1": {"j:3: there is more behind the first document"},
		"version: 2\nother: 1\njourneys:\n- name: a\n  steps: [{goto: /}]\n- name: a\n  steps: [{click: b}]\n": {
			"j:2: the file: unknown key \"other\"", "j:1: version", "j:6: two journeys are named \"a\"", "j:7: the first step is click: want goto"},
		"version: 1\njourneys:\n- name: a\n  name: b\n  repeat: 1\n  devices: [phone]\n  steps: [{goto: /}]\n  script: a.mjs": {
			"j:4: a journey: name is set twice", "j:5: repeat \"1\"", "j:6: devices", "want either steps or a script"},
		"version: 1\njourneys:\n- name: a\n  steps:\n  - goto: https://elsewhere.example/\n  - goto: //elsewhere.example/\n  - goto: /a b\n  - goto: /${TOKEN}\n  - wait: 3\n  - click:\n  - {click: a, press: b}\n" +
			"  - fill: {into: a}\n  - fill: {into: a, value: '${A B}'}\n  - scroll: far\n  - expect: {colour: red}\n  - screenshot: ../up\n  - fill: {into: '${X}', value: b}\n": {
			"j:5: goto", "j:6: goto", "j:7: goto", "j:8: goto", "j:9: unknown step \"wait\"", "j:10: click: want a text", "j:11: a step", "j:12: fill: want both",
			"j:13: value: \"A B\" is not the name", "j:14: scroll", "j:15: expect: want one of", "j:16: screenshot", "j:17: into"},
		"version: 1\njourneys:\n- name: a\n  script: ../own.mjs\n- name: b\n  script: own.js\n- name: c\n  script: &x own.mjs\n- name: ../d\n  script: d.mjs": {
			"j:4: script", "j:6: script", "j:8: script: anchors", "j:9: name"},
	} {
		got, err := Parse("j", []byte(text))
		if err == nil || got != nil {
			t.Errorf("%q gave %v, %v", text, got, err)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: no %q in:\n%v", text, w, err)
			}
		}
		if len(lines) != len(want) {
			t.Errorf("%q: %d problems, want %d:\n%v", text, len(lines), len(want), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1\njourneys:\n- name: a\n  steps: [{goto: /}, {fill: {into: a, value: b}}]\n"))
	f.Add([]byte(showing))
	f.Fuzz(func(t *testing.T, raw []byte) {
		journeys, err := Parse("j", raw)
		if (err == nil) != (len(journeys) > 0) {
			t.Fatalf("%d journeys, %v", len(journeys), err)
		}
		for _, j := range journeys {
			if j.Name == "" || (len(j.Steps) == 0) == (j.Script == "") {
				t.Fatalf("%+v", j)
			}
		}
	})
}

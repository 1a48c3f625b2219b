package template

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(`
Transform: AWS::Serverless-2016-10-31
Parameters: {A: {Default: x}, B: {NoEcho: "true"}, C: {NoEcho: true}}
Conditions:
  IsX: !Equals [!Ref A, x]
  NotX: {"Fn::Not": [{Condition: IsX}]}
  Both: !And [Condition: IsX, Condition: NotX]
  Either: !Or [Condition: IsX, !Equals [!FindInMap [m, a, b], y]]
  Unknown: !Equals [!Ref "AWS::Region", y]
  Circle: !Not [Condition: Circle]
Resources:
  Plain: {Type: T, DeletionPolicy: RetainExceptOnCreate}
  X: {Type: T, Condition: IsX}
  N: {Type: T, Condition: NotX}
  Bo: {Type: T, Condition: Both}
  E: {Type: T, Condition: Either}
  U: {Type: T, Condition: Unknown}
  Ci: {Type: T, Condition: Circle}
`), map[string]string{"B": "secret", "C": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := Template{Declared: map[string]bool{"A": false, "B": true, "C": true}, NoEcho: []string{"B", "C"}, Transform: true, Resources: map[string]Resource{
		"Plain": {Retained: true}, "X": {}, "N": {Absent: true}, "Bo": {Absent: true}, "E": {}, "U": {}, "Ci": {},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"secret"}, got.Secrets(map[string]string{"A": "open", "B": "secret"})); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// TestFill sends what the template declares, as CloudFormation demands, and names all
// that it would refuse.
func TestFill(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse([]byte("Parameters: {PRNumber: {Type: String}, Size: {Type: Number, Default: 3}, Word: {Type: String}}\nResources: {Q: {Type: T}}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	offered := map[string]string{"PRNumber": "7", "CommitSha": "abc", "CodeKey": "k"}
	got, err := tmpl.Fill(offered, map[string]string{"Word": "w", "Size": "4"})
	if diff := cmp.Diff(map[string]string{"PRNumber": "7", "Word": "w", "Size": "4"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = tmpl.Fill(offered, map[string]string{"Colour": "red", "Shape": "round"})
	for _, want := range []string{`no parameter "Colour"`, `no parameter "Shape"`, `["PRNumber" "Size" "Word"]`, `parameter "Word" has no default`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

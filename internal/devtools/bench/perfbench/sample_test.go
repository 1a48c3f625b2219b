package perfbench

import (
	"bytes"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

// A split has the values of its rounds, and no round on both sides.
func TestSplit(t *testing.T) {
	t.Parallel()
	var points []measure.Point
	for i := range 10 {
		points = append(points, measure.Point{Round: i, Value: float64(i)})
	}
	s := split([]measure.Series{{Head: points}}, []int{9, 0, 4, 5, 1}, []int{2, 3, 6, 7, 8})[0]
	if got := measure.Values(s.Base); got[0] != 9 || got[4] != 1 || s.Base[4].Round != 4 {
		t.Errorf("base %v", s.Base)
	}
	if got := measure.Values(s.Head); got[0] != 2 || got[4] != 8 {
		t.Errorf("head %v", s.Head)
	}
}

// A run that did not answer is no proof, whatever it found.
func TestAnswered(t *testing.T) {
	t.Parallel()
	good := verdict.Result{Verdict: verdict.Pass, Meters: []verdict.Meter{{Name: "load", Health: verdict.Healthy}}, Comparisons: []compare.Comparison{{Change: compare.Same}}}
	if err := answered(defect{name: "none"}, good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*verdict.Result){
		"refused":     func(r *verdict.Result) { r.Verdict = verdict.Refused },
		"no data":     func(r *verdict.Result) { r.Comparisons = []compare.Comparison{{Change: compare.NotEnoughData}} },
		"nothing":     func(r *verdict.Result) { r.Comparisons = nil },
		"not healthy": func(r *verdict.Result) { r.Meters = []verdict.Meter{{Name: "load", Health: verdict.Crashed}} },
	} {
		r := good
		change(&r)
		if answered(defect{name: "none"}, r) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnknownPart(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Run(t.Context(), &out, []string{"-only=rain"}); err == nil {
		t.Error("no error")
	}
}

package prometheus

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

var (
	label    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	selector = regexp.MustCompile("^\\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\\s*(\\{([^\"'`{}]|\"(\\\\.|[^\"\\\\])*\"|'(\\\\.|[^'\\\\])*'|`[^`]*`)*\\})?\\s*$")
)

// Ask returns an API that asks a user's own queries, in PromQL. It refuses queries whose
// answers would mix the versions (source.ErrMixed), with the reason.
//
// Total and Failed requests are counters, each as a metric with its matchers, such as
//
//	http_requests_total{app="web",version="${version}",code=~"5.."}
//
// and not as an expression: rate and sum would hide when it was counted. They come
// together or not at all. Until a request fails there may be no series of failed ones,
// which counts as none; a Failed query with a mistake in it looks the same.
//
// Latency is a classic histogram in seconds, as the metric of its buckets with
// matchers, of requests that did not fail. Value is any expression whose result is a
// gauge: a number, or one for each pod or other subject. A value that the server itself
// has not seen for longer than the window is no value. By is the label by whose values,
// which are names.Stable and names.Canary, the series of one answer are told apart.
func (s Server) Ask(q source.Queries, names source.Names) (*API, error) {
	questions, err := queries(q).questions(names)
	if err != nil {
		return nil, fmt.Errorf("prometheus queries: %w", err)
	}
	return s.open(questions)
}

type queries source.Queries

func (q queries) questions(names source.Names) ([]*question, error) {
	if (q.Total == "") != (q.Failed == "") {
		return nil, errors.New("total and failed come together: one says nothing without the other")
	}
	if q.By != "" && !label.MatchString(q.By) {
		return nil, fmt.Errorf("by: %q is no label", q.By)
	}
	var questions []*question
	for _, part := range []struct {
		field field
		text  string
	}{{total, q.Total}, {failed, q.Failed}, {latency, q.Latency}, {value, q.Value}} { // requests first: see release
		if part.text == "" {
			continue
		}
		if part.field != value && !selector.MatchString(part.text) {
			return nil, fmt.Errorf("%s: %q is not a metric with its matchers: rate, sum and ranges are not for counters here", part.field, part.text)
		}
		some, err := q.both(part.field, part.text, names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.field, err)
		}
		questions = append(questions, some...)
	}
	if questions == nil {
		return nil, errors.New("there is none")
	}
	return questions, nil
}

// both returns one question for each version, or one for both if a label tells
// the series apart.
func (q queries) both(field field, text string, names source.Names) ([]*question, error) {
	if q.By != "" {
		text, err := source.Fill(text, map[string]string{"namespace": names.Namespace})
		if err != nil {
			return nil, err
		}
		if err := source.TellsApart(names.Of(rollout.SideStable), names.Of(rollout.SideCanary)); err != nil {
			return nil, err
		}
		return []*question{{field: field, text: text, scale: 1, version: byLabel(q.By, names)}}, nil
	}
	stable, canary, err := names.FillBoth(text)
	if err != nil {
		return nil, err
	}
	return []*question{
		{field: field, text: stable, scale: 1, version: always(rollout.SideStable)},
		{field: field, text: canary, scale: 1, version: always(rollout.SideCanary)},
	}, nil
}

func always(v rollout.Side) func(model.Metric) (rollout.Side, bool) {
	return func(model.Metric) (rollout.Side, bool) { return v, true }
}

func byLabel(name string, names source.Names) func(model.Metric) (rollout.Side, bool) {
	return func(m model.Metric) (rollout.Side, bool) {
		for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
			if string(m[model.LabelName(name)]) == names.Of(v) {
				return v, true
			}
		}
		return "", false
	}
}

package source

import "github.com/candlefish/deploy-action/internal/analysis/config"

// Measures are the kinds of numbers that a source has been asked for.
type Measures struct{ Requests, Latency, Value bool }

// Validate reports to p what a metric is judged by and its source does not measure,
// and what it measures and nobody judges: either is most likely a mistake, and would
// not be seen before the end of a step, if ever. key is the source's in the file.
func (h Measures) Validate(m config.Metric, p config.Problems, key string) {
	if !h.Requests && !h.Latency && !h.Value {
		return // which the source itself refuses
	}
	p.Want(!h.Value || m.Limit != nil, "limit", "missing", "a limit for the value of "+key)
	p.Want(h.Value || m.Limit == nil, "limit", "set", "no limit, or a value in "+key+" that it is for")
	if h.Value && m.Limit == nil {
		return // errors and latency are not the file's own
	}
	p.Want(h.Requests || m.Errors == nil, "errors", "set", "none: "+key+" counts no requests here")
	p.Want(!h.Requests || m.Errors != nil, "errors", "missing", "limits for the requests of "+key+", or {} for those of the inputs")
	p.Want(h.Latency || m.Latency == nil, "latency", "a limit, of the inputs where the file has none", "errors: {} and no latency: "+key+" has no latencies here")
	p.Want(!h.Latency || m.Latency != nil, "latency", "missing", "limits for the latencies of "+key+", or {} for those of the inputs")
}

// Measures are what the queries ask for.
func (q Queries) Measures() Measures {
	return Measures{Requests: q.Total != "" || q.Failed != "", Latency: q.Latency != "", Value: q.Value != ""}
}

// Paired reports to p a number of requests without one of failed requests, or the
// other way around: one says nothing without the other.
func Paired(p config.Problems, key, total, failed string) {
	p.Want(total == "" || failed != "", key+".failed", "missing", "it beside total")
	p.Want(failed == "" || total != "", key+".total", "missing", "it beside failed")
}

package source

// Queries are a server's own questions, one for each kind of number. The versions are
// told apart by ${version} or ${service} in them, or By a label of the answers.
type Queries struct {
	Total   string `json:"total,omitempty" help:"Query of all requests. ${version}, ${service} and ${namespace} are filled in for each version."`
	Failed  string `json:"failed,omitempty" help:"Query of the failed requests."`
	Latency string `json:"latency-buckets,omitempty" help:"Buckets of a histogram of latencies in seconds."`
	Value   string `json:"value,omitempty" help:"Query of a value, for a limit."`
	By      string `json:"by,omitempty" help:"Label or tag that tells the versions apart, instead of ${version} or ${service} in the queries."`
	Stable  string `json:"stable,omitempty" help:"What the stable version is called there. Default: stable."`
	Canary  string `json:"canary,omitempty" help:"What the canary is called there. Default: canary."`
}

// Empty reports whether there is no query.
func (q Queries) Empty() bool { return q.Total+q.Failed+q.Latency+q.Value == "" }

// Named returns names with what the queries' server calls the versions.
func (q Queries) Named(names Names) Names {
	names.Stable, names.Canary = q.Stable, q.Canary
	return names
}

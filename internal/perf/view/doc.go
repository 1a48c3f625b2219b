// Package view renders the result of a performance run for people: report, summary,
// comment, annotations, check and console lines.
//
// All views are pure functions of one verdict.Result and a [Page]. Every sentence is a
// claim, see perf/words.
//
// Strings in a Result come from reports, scripts and pages, so they are untrusted: each
// view escapes them for its medium. They hold no secrets in clear; the caller still
// passes a Result through [action.Clean] first.
//
// [action.Clean]: https://pkg.go.dev/github.com/candlefish/deploy-action/internal/action#Clean
package view

// A Page is what views need beside the Result. Its zero value is that of a laptop.
type Page struct {
	Run      string // URL of the workflow run; "" for none
	Artifact string // URL of the kept reports, traces and charts; "" for none
	Command  string // that repeats the run on a laptop; "" for none
	// LeftOut says how many annotations are not shown, see [Annotations]; "" for none.
	LeftOut string
}

// Title is the heading of the report and of the comment.
const Title = "📊 Performance Report"

// Marker identifies the pull request's one comment about performance.
const Marker = "<!-- candlefish:performance-gate -->"

// Folder has the files of a run.
const Folder = "performance-report"

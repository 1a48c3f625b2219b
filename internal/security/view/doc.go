// Package view renders the result of a security scan for people: report, summary,
// comment, issue, annotations, HTML and console lines.
//
// All views are pure functions of one verdict.Result and a [Page]. Every sentence
// is a claim, see security/words.
//
// Strings in a Result come from scanned files and from tools, so they are
// untrusted: each view escapes them for its medium. They hold no secrets in clear;
// the caller still passes a Result through [action.Clean] first.
//
// [action.Clean]: https://pkg.go.dev/github.com/candlefish/deploy-action/internal/action#Clean
package view

// A Page is what views need beside the Result. Its zero value is that of a laptop.
type Page struct {
	Run     string // URL of the workflow run; "" for none
	Waivers string // the file of waivers; "" for DefaultWaivers
	// LeftOut says how many annotations are not shown, see [Annotations]; "" for none.
	LeftOut string
}

// DefaultWaivers is the file of waivers if no other is named.
const DefaultWaivers = "security-waivers.yaml"

// Title is the heading of the report and of the comment.
const Title = "🛡️ Security Report"

// Package htmlpage has what self-contained HTML reports share: their style, and a policy
// by which no request leaves them.
package htmlpage

import (
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
)

// Base is the style of all reports: light and dark, wide tables, the headline in the
// class of the verdict.
//
//go:embed base.css
var Base string

// Policy is a Content-Security-Policy for a page with one inline style and one inline
// script, "" for none. Everything else is forbidden.
func Policy(style, script string) string {
	scripts := "'none'"
	if script != "" {
		scripts = hash(script)
	}
	return "default-src 'none'; style-src " + hash(style) + "; script-src " + scripts + "; img-src data:; base-uri 'none'; form-action 'none'"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

package view

import (
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// md returns s as Markdown that shows it literally.
func md(s string, n int) string { return report.Escape(words.Plain(s, n)) }

// cell returns s as code in a table, "–" for nothing.
func cell(s string, n int) string {
	if s = words.Plain(s, n); s == "" {
		return "–"
	}
	return report.Cell(s)
}

package finding

import (
	"fmt"
	"strings"
)

// A Severity says how bad a problem is, on the one scale of all tools.
type Severity int

// The scale. Info results are shown and never fail a gate.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// Severities returns the scale, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info} }

// String returns the word of the scale in lower case.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return "unknown"
	}
	return [...]string{"info", "low", "medium", "high", "critical"}[s]
}

// MarshalText is the word of the scale.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a word of the scale, and no other.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, one := range Severities() {
		if one.String() == string(text) {
			*s = one
			return nil
		}
	}
	return fmt.Errorf("unknown severity %.30q", text)
}

// ParseSeverity reads a word of the scale, or one of the words that tools use for
// the same: error, warning, moderate, note, style, negligible and others.
func ParseSeverity(word string) (Severity, bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical":
		return Critical, true
	case "high", "important", "error":
		return High, true
	case "medium", "moderate", "warning", "warn":
		return Medium, true
	case "low", "note", "minor", "negligible":
		return Low, true
	case "info", "informational", "none", "style", "off":
		return Info, true
	}
	return Info, false
}

// A Rating is all that a tool says about how bad a result is.
type Rating struct {
	Word  string  // a word of the tool's scale or of the advisory's source; "" for none
	Score float64 // CVSS v3 or v4 base score, or SARIF's security-severity; 0 for none
	Level string  // SARIF's level: error, warning, note, none; "" for none
}

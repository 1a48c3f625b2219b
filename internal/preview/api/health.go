package api

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// HealthForm matches what ParseStatuses reads: statuses and ranges of them.
var HealthForm = regexp.MustCompile(`^[1-5][0-9][0-9](-[1-5][0-9][0-9])?(\s*,\s*[1-5][0-9][0-9](-[1-5][0-9][0-9])?)*$`)

// Health is how an API shows that it is well. The zero value is /health with 200.
type Health struct {
	Path     string // with a slash; empty means /health
	Statuses []Statuses
}

// Statuses are HTTP statuses from one to another, both included.
type Statuses struct{ From, To int }

// ParseStatuses reads statuses such as "200-299, 401".
func ParseStatuses(text string) ([]Statuses, error) {
	if !HealthForm.MatchString(text) {
		return nil, fmt.Errorf("%q: want statuses such as 200 or 200-299,401", text)
	}
	var all []Statuses
	for item := range strings.SplitSeq(text, ",") {
		from, to, _ := strings.Cut(strings.TrimSpace(item), "-")
		var s Statuses
		s.From, _ = strconv.Atoi(from) // the form admits digits alone
		s.To, _ = strconv.Atoi(cmp.Or(to, from))
		if s.To < s.From {
			return nil, fmt.Errorf("%q: the range %s ends before it begins", text, item)
		}
		all = append(all, s)
	}
	return all, nil
}

// URL is the address of the health check of an API at base.
func (h Health) URL(base string) string {
	return strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(cmp.Or(h.Path, "/health"), "/")
}

// Accepts reports whether an API that answers so is well.
func (h Health) Accepts(status int) bool {
	if len(h.Statuses) == 0 {
		return status == http.StatusOK
	}
	for _, s := range h.Statuses {
		if s.From <= status && status <= s.To {
			return true
		}
	}
	return false
}

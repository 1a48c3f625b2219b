package security

import (
	"fmt"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/record"
	"github.com/candlefish/deploy-action/internal/security/scope"
)

// last reads the result of the last scan.
func (s *session) last() (verdict.Result, error) {
	path := filepath.Join(s.v.String("report-dir"), record.Name)
	raw, err := files.Read(path)
	if err != nil {
		return verdict.Result{}, &exit.Error{
			Status: exit.BadInput, Err: fmt.Errorf("read the last scan: %w", err),
			Hint: "scan first: go tool mage security:standard, or security-gate --level=standard",
		}
	}
	r, err := record.Unmarshal(raw)
	if err != nil {
		return r, badInput("%s: %w", path, err)
	}
	return r, nil
}

// reportAgain renders the last scan's reports. The exit status is that of a report
// that was written: what the scan said is in it.
func (s *session) reportAgain() (action.Result, error) {
	r, err := s.last()
	if err != nil {
		return action.Result{}, err
	}
	paths, err := s.writeReports(r, s.page(), scope.Scanned{})
	if err != nil {
		return action.Result{}, err
	}
	s.a.Printf("the scan of %s was written again: %s, %s", r.At.Format("2006-01-02 15:04 MST"), paths.report, paths.html)
	return action.Result{Outputs: outputsOf(r, paths)}, nil
}

// explain says all that is known of findings of the last scan.
func (s *session) explain() (action.Result, error) {
	r, err := s.last()
	if err != nil {
		return action.Result{}, err
	}
	text, err := verdict.Explain(r, s.v.String("finding"))
	if err != nil {
		return action.Result{}, badInput("finding: %w", err)
	}
	s.a.Print(text)
	return action.Result{}, nil
}

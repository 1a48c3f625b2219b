package security

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/baseline"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/inputs"
	"github.com/candlefish/deploy-action/internal/security/scanning"
	"github.com/candlefish/deploy-action/internal/security/scope"
)

// compareWith compares findings with the base or the baseline file. Without either
// all are new.
func (s *session) compareWith(seen scope.Scanned, findings []finding.Finding) (baseline.Comparison, error) {
	var base baseline.Baseline
	switch {
	case s.Compare == inputs.CompareBase && seen.Base != nil:
		base = baseline.Of(finding.Merge(scope.Sightings(seen.Base)), s.looked(seen.Base, seen.BaseCommit, false))
		base.Name = fmt.Sprintf("the base %.7s", seen.BaseCommit)
		s.sayUnhealthyBase(seen.Base)
	case s.Compare == inputs.CompareFile:
		var err error
		if base, err = readBaseline(inputs.Within(s.v, "baseline")); err != nil {
			return baseline.Comparison{}, err
		}
	default:
		for i := range findings {
			findings[i].State = finding.StateNew
		}
		return baseline.Comparison{Findings: findings}, nil
	}
	w := seen.Workspace
	c := baseline.Compare(findings, base, s.looked(seen.Seen, w.Commit, w.Whole()))
	for _, note := range c.Notes {
		s.a.Print(note)
	}
	return c, nil
}

// sayUnhealthyBase names what was not seen of the base: its findings count as new.
func (s *session) sayUnhealthyBase(seen []scanning.Seen) {
	for _, one := range seen {
		switch t := one.Tool; t.Health {
		case verdict.Healthy, verdict.NotApplicable, verdict.LeftOut:
		default:
			s.a.Printf("the base: %s was %s, so what it finds counts as new", t.Name, t.Health)
		}
	}
}

// looked says what a scan looked at.
func (s *session) looked(seen []scanning.Seen, commit string, whole bool) baseline.Scan {
	return lookedAt(scope.Tools(seen), s.Level, commit, s.now(), whole, s.v.List("images"), s.v.List("hosts"))
}

func lookedAt(tools []verdict.Tool, level verdict.Level, commit string, at time.Time, whole bool, images, hosts []string) baseline.Scan {
	scan := baseline.Scan{Level: level, Commit: commit, At: at, Whole: whole, Images: images, Hosts: hosts}
	for _, t := range tools {
		if t.Health == verdict.Healthy || t.Health == verdict.NotApplicable {
			scan.Tools = append(scan.Tools, t.Name)
		}
	}
	slices.Sort(scan.Tools)
	return scan
}

func readBaseline(path string) (baseline.Baseline, error) {
	raw, err := files.Read(path)
	if err != nil {
		return baseline.Baseline{}, badInput("baseline: %w", err)
	}
	b, err := baseline.Read(bytes.NewReader(raw))
	if err != nil {
		return b, badInput("baseline: %s: %w", path, err)
	}
	return b, nil
}

// recordBaseline records the findings of the last scan. What that scan could not see
// again stays in the file.
func (s *session) recordBaseline() (action.Result, error) {
	r, err := s.last()
	if err != nil {
		return action.Result{}, err
	}
	path := inputs.Within(s.v, "baseline")
	var old baseline.Baseline
	if files.Exists(path) {
		if old, err = readBaseline(path); err != nil {
			return action.Result{}, err
		}
	}
	scan := lookedAt(r.Tools, r.Level, r.Place.Commit, r.At, r.Place.AllCommits, r.Place.Images, r.Place.Hosts)
	next := baseline.Update(old, r.Findings, scan)
	var b bytes.Buffer
	if err := baseline.Write(&b, next); err != nil {
		return action.Result{}, fmt.Errorf("write the baseline: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil { //nolint:gosec // it belongs into the repository
		return action.Result{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("write the baseline: %w", err)}
	}
	s.a.Printf("%s has the findings of the scan of %s, %d in all; commit it, and later scans compare with it", path, r.At.Format("2006-01-02 15:04 MST"), len(next.Entries))
	return action.Result{}, nil
}

package security

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/exploit"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
	"github.com/candlefish/deploy-action/internal/finding/waiver/openvex"
	"github.com/candlefish/deploy-action/internal/security/inputs"
	"github.com/candlefish/deploy-action/internal/security/scope"
)

// judge makes the result of what the scanners saw.
func (s *session) judge(seen scope.Scanned, began time.Time) (verdict.Result, error) {
	findings := finding.Merge(scope.Sightings(seen.Seen))
	findings, err := s.enrich(findings)
	if err != nil {
		return verdict.Result{}, err
	}
	compared, err := s.compareWith(seen, findings)
	if err != nil {
		return verdict.Result{}, err
	}
	waivers, others, err := s.waivers(s.place(seen.Workspace))
	if err != nil {
		return verdict.Result{}, err
	}
	policy := waiver.Policy{MaxAge: s.v.Duration("max-waiver-age"), TrustTools: s.v.Bool("trust-suppressions"), Part: s.Level != verdict.Deep}
	waived, notes := policy.Apply(compared.Findings, waivers, s.now())
	notes.Refused = append(notes.Refused, others...)
	needs, without := s.scope().Needs()
	for _, what := range without {
		s.a.Printf("optional-tools: a pass says nothing of %s", what)
	}
	in := verdict.Input{
		Level: s.Level, Policy: s.policy, Findings: waived, Fixed: compared.Fixed, Compared: compared.Compared, First: compared.First,
		Tools: scope.Tools(seen.Seen), Needs: needs, Waivers: notes, Place: s.place(seen.Workspace), At: s.now(), Took: s.now().Sub(began),
	}
	r := verdict.Judge(in)
	in.Tools = unneeded(r, s.v.List("optional-tools"))
	return verdict.Judge(in), nil
}

// unneeded are the tools of a scan, in which those that are not installed count as
// left out if others saw all that they would have seen, or if the user called them
// optional: nobody has to do anything about them.
func unneeded(r verdict.Result, optional []string) []verdict.Tool {
	tools := slices.Clone(r.Tools)
	for i, t := range tools {
		if t.Health == verdict.Missing && !lacked(r, t.Name) {
			tools[i].Health, tools[i].Why, tools[i].Hint = verdict.LeftOut, "it is not installed, and others saw what it looks for", ""
			if slices.Contains(optional, t.Name) {
				tools[i].Why = "it is not installed, and the input optional-tools names it"
			}
		}
	}
	return tools
}

func (s *session) place(w scope.Workspace) verdict.Place {
	commit := w.Span.Head
	if commit == "" {
		commit = w.Commit
	}
	return verdict.Place{Repository: s.Repository, Commit: commit, Ref: s.v.String("ref"), Commits: w.Span.Commits, Files: len(w.Files.Files),
		AllCommits: w.Whole(), Images: s.v.List("images"), Hosts: s.v.List("hosts")}
}

// enrich adds what the files of exploited vulnerabilities and of probabilities say.
func (s *session) enrich(findings []finding.Finding) ([]finding.Finding, error) {
	var known exploit.Catalogue
	var scores exploit.Scores
	if name := s.v.String("kev-file"); name != "" {
		raw, err := files.Read(name)
		if err == nil {
			known, err = exploit.ReadKEV(name, raw)
		}
		if err != nil {
			return nil, badInput("kev-file: %w", err)
		}
	}
	if name := s.v.String("epss-file"); name != "" {
		raw, err := files.Read(name)
		if err == nil {
			scores, err = exploit.ReadEPSS(name, raw)
		}
		if err != nil {
			return nil, badInput("epss-file: %w", err)
		}
	}
	return exploit.Enrich(findings, known, scores), nil
}

// waivers reads the waivers of their file and of OpenVEX files, and what of these is
// about other products.
func (s *session) waivers(at verdict.Place) ([]waiver.Waiver, []verdict.WaiverNote, error) {
	all, err := s.ownWaivers()
	if err != nil {
		return nil, nil, err
	}
	var documents []openvex.File
	for _, name := range s.v.List("vex") {
		raw, err := files.Read(name)
		if err != nil {
			return nil, nil, badInput("vex: %w", err)
		}
		documents = append(documents, openvex.File{Name: name, Raw: raw})
	}
	more, others, err := openvex.Read(documents, at, s.v.Duration("max-waiver-age"))
	return append(all, more...), others, err
}

// ownWaivers reads the file of waivers, which may be missing unless it was named.
func (s *session) ownWaivers() ([]waiver.Waiver, error) {
	raw, err := files.Read(inputs.Within(s.v, "waivers"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.v.IsSet("waivers"):
		return nil, nil
	case err != nil:
		return nil, badInput("waivers: %w", err)
	}
	all, err := waiver.Parse(s.v.String("waivers"), raw)
	if err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	return all, nil
}

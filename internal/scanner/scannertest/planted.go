package scannertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
)

// Planted is a repository with known problems. Its branch work, which is checked
// out, is 200 commits and a merge ahead of main.
type Planted struct {
	Dir        string
	Base, Head string // of the pull request from work to main
	Commits    int    // between them
	All        int    // in the whole history of Head
	// Evil is the merge whose own change is in none of its parents.
	Evil string
	Want []Expected
}

// Expected is one planted problem.
type Expected struct {
	Name  string
	Class finding.Class
	Path  string
	// Level is the first at which it must be found: quick, standard or deep.
	Level string
	// Tree says that it is in the files, Range that it is in the commits of the pull
	// request; what is neither is only in the older history.
	Tree, Range bool
	// Secret is the planted credential, which nothing that people see may contain.
	Secret string
	// IDs are identifiers, one of which the finding has: an advisory's, or a rule's.
	IDs []string
}

// Secrets returns the planted credentials.
func (p Planted) Secrets() []string {
	var all []string
	for _, w := range p.Want {
		if w.Secret != "" {
			all = append(all, w.Secret)
		}
	}
	return all
}

// The files with planted secrets.
const (
	InTree   = "config/settings.py"
	InBranch = "scripts/release.sh" // in commits 150 to 151 of 200
	InMerge  = "deploy/values.yaml" // in the merge alone
	InOld    = "tools/legacy.txt"   // before the branch, removed there
	InEnv    = ".env.production"
	InReport = "reports/scan.sarif"
)

// Make makes the repository. Two calls make the same commits.
func Make(t *testing.T) Planted {
	t.Helper()
	c := NewCredentials(Seed)
	s := &stream{files: map[string]string{}}
	s.put("README.md", "# A shop\n").put(InOld, "token: "+c.Slack+"\n").commit("refs/heads/main", "first")
	s.put(InOld, "token: none\n").put(".gitignore", "node_modules/\n").commit("refs/heads/main", "second")
	base := s.mark
	s.branch(c)
	head := s.mark

	r := New(t)
	r.feed([]byte(s.b.String()), "fast-import", "--quiet")
	r.Git("checkout", "--quiet", "work")
	p := Planted{Dir: r.Dir, Want: expected(c), Commits: head - base, All: head}
	p.Base, p.Head = r.Git("rev-parse", "main"), r.Git("rev-parse", "work")
	p.Evil = r.Git("rev-list", "--merges", "work")
	return p
}

// branch makes the commits of the pull request.
func (s *stream) branch(c Credentials) {
	const work = "refs/heads/work"
	for path, text := range problems {
		s.put(path, text)
	}
	s.put(InTree, fmt.Sprintf("DEBUG = False\nGITHUB_TOKEN = %q\n", c.GitHub))
	s.put(InEnv, "STAGE=production\nSTRIPE_KEY="+c.Stripe+"\n")
	s.put(InReport, fmt.Sprintf(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"old"}},"results":[{"message":{"text":"found %s"}}]}]}`+"\n", c.GitLab))
	s.commit(work, "the shop")
	for i := 2; i <= 198; i++ {
		switch i {
		case 150:
			s.put(InBranch, "#!/bin/sh\nnpm config set token "+c.NPM+"\n")
		case 151:
			s.put(InBranch, "#!/bin/sh\nnpm config set token \"$NPM_TOKEN\"\n")
		}
		s.put("docs/log.md", strings.Repeat("entry\n", i)).commit(work, fmt.Sprintf("entry %d", i))
	}
	s.put(InMerge, "replicas: 2\n").commit(work, "values")
	trunk := s.mark
	s.from, s.files = trunk-1, map[string]string{"docs/side.md": "# Aside\n"}
	s.commit("refs/heads/side", "aside") // committed later than main, a parent of the merge
	side := s.mark
	s.from, s.merge = trunk, side
	s.put("docs/side.md", "# Aside\n").put(InMerge, "replicas: 2\nkey: "+c.SendGrid+"\n").commit(work, "merge the side")
	s.put(InMerge, "replicas: 2\n").commit(work, "values again")
}

// A stream is the input of git fast-import.
type stream struct {
	b     strings.Builder
	files map[string]string // changed since the last commit
	mark  int
	from  int // the parent's mark, if it is not the last commit
	merge int
}

func (s *stream) put(path, text string) *stream {
	s.files[path] = text
	return s
}

func (s *stream) commit(branch, message string) {
	parent := s.mark
	if s.from != 0 {
		parent = s.from
	}
	s.mark++
	who := fmt.Sprintf("Ada Lovelace <%s> %d +0000", Author, 1767323045+s.mark)
	fmt.Fprintf(&s.b, "commit %s\nmark :%d\nauthor %s\ncommitter %s\ndata %d\n%s\n", branch, s.mark, who, who, len(message), message)
	if parent != 0 {
		fmt.Fprintf(&s.b, "from :%d\n", parent)
	}
	if s.merge != 0 {
		fmt.Fprintf(&s.b, "merge :%d\n", s.merge)
	}
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		fmt.Fprintf(&s.b, "M 100644 inline %s\ndata %d\n%s\n", path, len(s.files[path]), s.files[path])
	}
	s.files, s.from, s.merge = map[string]string{}, 0, 0
}

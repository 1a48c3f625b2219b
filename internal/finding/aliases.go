package finding

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// maxIDs is how many identifiers of one sighting count; the OSV database has fewer
// than 20 aliases of anything. It also bounds the learned aliases of a finding.
const maxIDs = 32

// advisory matches the identifiers of vulnerabilities. What comes first is a
// database (https://ossf.github.io/osv-schema/#id-modified-fields).
var advisory = regexp.MustCompile(`^(CVE|GHSA|GO|PYSEC|RUSTSEC|OSV|MAL|GSD|SNYK|CGA|BIT|HSEC|RSEC|EEF|DRUPAL|JLSEC|OSEC|PSF|CURL|LBSEC|TEMP)-`)

// bulletin matches the identifiers of what a distribution publishes about an update
// of a package. It is about all that the update mends, often several CVEs, and so
// no alias of any of them.
var bulletin = regexp.MustCompile(`^(DSA|DLA|DTSA|USN|LSN|RHSA|RHBA|RHEA|CESA|ELSA|ELBA|ALSA|ALBA|ALEA|RLSA|RLBA|RLEA|RXSA|ALAS[A-Z0-9.]*|SUSE|OPENSUSE|FEDORA|GLSA|MGASA|OESA|ASA|ECHO|KB)-`)

// ofDistribution matches a distribution's name for a CVE in its own packages.
var ofDistribution = regexp.MustCompile(`^(?:DEBIAN|UBUNTU|ALPINE|MINIMOS)-(CVE-\d{4}-\d+)$`)

// identifier returns one spelling of an identifier; "" is none.
func identifier(id string) string {
	id = strings.TrimSpace(id)
	if id == "" || len(id) > 200 {
		return ""
	}
	upper := strings.ToUpper(id)
	if m := ofDistribution.FindStringSubmatch(upper); m != nil {
		return m[1]
	}
	if rest, ok := strings.CutPrefix(upper, "GHSA-"); ok {
		return "GHSA-" + strings.ToLower(rest)
	}
	if advisory.MatchString(upper) || bulletin.MatchString(upper) {
		return upper
	}
	return id
}

// identifiers returns what a sighting calls its vulnerability, each once and its
// own name first.
func identifiers(s *Sighting) []string {
	var ids []string
	add := func(id string) {
		if id = identifier(id); id != "" && len(ids) < maxIDs && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range s.IDs {
		add(id)
	}
	if rule := identifier(s.Rule); len(ids) == 0 && (advisory.MatchString(rule) || bulletin.MatchString(rule)) {
		add(rule)
	}
	return ids
}

// byPreference orders identifiers: the one that most tools know comes first.
func byPreference(a, b string) int {
	return cmp.Or(cmp.Compare(preference(a), preference(b)), cmp.Compare(a, b))
}

func preference(id string) int {
	switch {
	case strings.HasPrefix(id, "CVE-"):
		return 0
	case strings.HasPrefix(id, "GHSA-"):
		return 1
	case bulletin.MatchString(id):
		return 4
	case strings.HasPrefix(id, "SNYK-"):
		return 3
	}
	return 2
}

// aliases knows which identifiers are of one vulnerability, from all sightings of
// a run: if one names GHSA-x with CVE-y, then GHSA-x alone is CVE-y too.
type aliases struct {
	index   map[string]int // of an identifier in sets
	names   []string
	sets    sets
	members map[int][]string // by root, in the order of preference
}

// learn reads the aliases of units that are of vulnerabilities.
func learn(units []unit) *aliases {
	a := &aliases{index: map[string]int{}, members: map[int][]string{}}
	bulletins := map[int]map[int]bool{} // of a bulletin: the first other name beside it
	for _, u := range units {
		own := -1
		for _, id := range u.ids {
			if bulletin.MatchString(id) {
				continue
			}
			n := a.node(id)
			if own < 0 {
				own = n
			}
			a.sets.join(own, n)
		}
		for _, id := range u.ids {
			if !bulletin.MatchString(id) {
				continue
			}
			n := a.node(id)
			if bulletins[n] == nil {
				bulletins[n] = map[int]bool{}
			}
			if own >= 0 {
				bulletins[n][own] = true
			}
		}
	}
	a.joinBulletins(bulletins)
	for n, name := range a.names {
		root := a.sets.root(n)
		a.members[root] = append(a.members[root], name)
	}
	for root := range a.members {
		slices.SortFunc(a.members[root], byPreference)
	}
	return a
}

// joinBulletins makes a bulletin the alias of a vulnerability if all sightings in
// the run that name it are of that one.
func (a *aliases) joinBulletins(bulletins map[int]map[int]bool) {
	only := map[int]int{}
	for n, beside := range bulletins {
		roots := map[int]bool{}
		for other := range beside {
			roots[a.sets.root(other)] = true
		}
		if len(roots) == 1 {
			for root := range roots {
				only[n] = root
			}
		}
	}
	for n, root := range only {
		a.sets.join(n, root)
	}
}

// node returns the number of an identifier.
func (a *aliases) node(id string) int {
	n, ok := a.index[id]
	if !ok {
		n = a.sets.add()
		a.index[id], a.names = n, append(a.names, id)
	}
	return n
}

// of returns the number of the vulnerability that an identifier is of.
func (a *aliases) of(id string) int { return a.sets.root(a.node(id)) }

// sets is a union-find: the partition of numbers from 0.
type sets struct{ parent, size []int }

// newSets returns n sets of one number each.
func newSets(n int) *sets {
	s := &sets{make([]int, 0, n), make([]int, 0, n)}
	for range n {
		s.add()
	}
	return s
}

func (s *sets) add() int {
	s.parent, s.size = append(s.parent, len(s.parent)), append(s.size, 1)
	return len(s.parent) - 1
}

func (s *sets) root(n int) int {
	for s.parent[n] != n {
		s.parent[n] = s.parent[s.parent[n]]
		n = s.parent[n]
	}
	return n
}

func (s *sets) join(a, b int) {
	a, b = s.root(a), s.root(b)
	if a == b {
		return
	}
	if s.size[a] < s.size[b] {
		a, b = b, a
	}
	s.parent[b], s.size[a] = a, s.size[a]+s.size[b]
}

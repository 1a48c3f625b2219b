package result

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A State is what a comment tells the next run, in a line that people do not see: what is
// known of the preview, whichever step of whichever run found it out.
type State struct {
	Version int    `json:"v"`
	Commit  string `json:"commit"`
	Run     string `json:"run"`
	Goal    Goal   `json:"goal"`
	// Since is the commit before this one, and Changes are those since then.
	Since   string   `json:"since,omitempty"`
	Changes []string `json:"changes,omitempty"`
	Parts   []Seen   `json:"parts,omitempty"`
}

// A Seen is a part as the last run that managed it saw it.
type Seen struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	URL    string `json:"url,omitempty"`
	ID     string `json:"id,omitempty"`
	Commit string `json:"commit,omitempty"`
	Left   []Left `json:"left,omitempty"`
}

const (
	maxStateChanges = 2 * maxChanges
	maxStateText    = 500 // characters of a change, an address or an ID
	maxStateLeft    = 50
)

// Part returns a part by its name; its status is empty if the state does not have it.
func (l State) Part(name string) Seen {
	i := slices.IndexFunc(l.Parts, func(s Seen) bool { return s.Name == name })
	if i < 0 {
		return Seen{}
	}
	return l.Parts[i]
}

// Unfinished reports whether a closed pull request with this state is to be removed: nobody
// removed its preview, or some of it remained.
func (l State) Unfinished() bool {
	return l.Goal == GoalUp || l.Goal == GoalDown && slices.ContainsFunc(l.Parts, func(s Seen) bool { return s.Status != StatusRemoved && s.Status != StatusAbsent })
}

// after is the state after a run: parts that the run does not manage stay as they were.
func (l State) after(r Result, runID string) State {
	now := State{Version: 1, Commit: r.Commit, Run: runID, Goal: r.Goal, Changes: r.Changes}
	if r.Goal == GoalUp && l.Goal == GoalUp {
		now.Since = l.Since
		if l.Commit != r.Commit {
			now.Since = l.Commit
		} else if l.Run == runID { // an earlier step of the same run
			now.Changes = slices.Concat(l.Changes, slices.DeleteFunc(slices.Clone(r.Changes), func(c string) bool { return slices.Contains(l.Changes, c) }))
		}
	}
	now.Changes = slices.Clone(now.Changes[:min(len(now.Changes), maxStateChanges)])
	for i, c := range now.Changes {
		now.Changes[i] = clip(c, maxStateText)
	}
	for _, p := range []Part{r.Frontend, r.API} {
		last := l.Part(p.Name)
		if p.Status != StatusUnused {
			last = p.seen(last)
		}
		if last.Status != "" {
			now.Parts = append(now.Parts, last)
		}
	}
	return now
}

// seen is a part for the state. Its address and its commit outlast a removal, which the next
// one may have to verify again.
func (p Part) seen(last Seen) Seen {
	s := Seen{Name: p.Name, Status: p.Status, URL: clip(p.URL, maxStateText), ID: clip(p.ID, maxStateText), Commit: p.Commit, Left: p.Left[:min(len(p.Left), maxStateLeft)]}
	if s.URL == "" {
		s.URL = last.URL
	}
	if s.Commit == "" {
		s.Commit = last.Commit
	}
	return s
}

// line is the state as a line of a comment. An HTML comment must not contain "--".
func (l State) line() string {
	hidden, err := json.Marshal(l)
	if err != nil {
		panic("preview: encode strings: " + err.Error())
	}
	text := string(hidden)
	for strings.Contains(text, "--") {
		text = strings.ReplaceAll(text, "--", `-\u002d`)
	}
	return "<!-- candlefish:pr-preview:state " + text + " -->"
}

var stateLine = regexp.MustCompile(`(?m)^<!-- candlefish:pr-preview:state (\{.*\}) -->$`)

// StateOf reads the state in a comment. It is empty without one, or if somebody edited
// it.
func StateOf(body string) State {
	var l State
	if m := stateLine.FindStringSubmatch(body); m != nil && json.Unmarshal([]byte(m[1]), &l) == nil && l.Version == 1 {
		return l
	}
	return State{}
}

// NewerThan reports whether the comment is by a later run than the given one. Run ids
// are ID.ATTEMPT on GitHub, and others have no order.
func (l State) NewerThan(run string) bool {
	theirs, ok := runOrder(l.Run)
	ours, ok2 := runOrder(run)
	return ok && ok2 && (theirs[0] > ours[0] || theirs[0] == ours[0] && theirs[1] > ours[1])
}

// runOrder splits a run id into run and attempt.
func runOrder(run string) (id [2]int64, ok bool) {
	a, b, found := strings.Cut(run, ".")
	if !found {
		return id, false
	}
	for i, s := range []string{a, b} {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return id, false
		}
		id[i] = n
	}
	return id, true
}

package members

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/input"
)

// An entry is a Deployment or a cluster as an input names it.
type entry struct {
	name     string
	line     int
	after    []string
	settings map[string]string
}

// A reader collects the problems of the inputs that it reads.
type reader struct {
	values   input.Values
	readFile func(string) ([]byte, error)
	problems input.Problems
}

// What the two inputs take.
const (
	deploymentForm = "NAME [IMAGE] [after=NAME] [INPUT=VALUE ...], one a line, or a YAML file"
	clusterForm    = "[NAME, NAME ...], one wave a line, each with INPUT=VALUE behind it if it differs, or a YAML file"
)

func (r *reader) bad(name string, line int, value, reason string) {
	form := deploymentForm
	if name == Clusters {
		form = clusterForm
	}
	r.problems = append(r.problems, input.Problem{Name: name, Source: r.source(name, line), Value: value, Reason: reason, Allowed: form})
}

// deployments returns the Deployments in the order of their promotion; one without a
// name if the input is not set.
func (r *reader) deployments() []entry {
	if !r.values.IsSet(Deployments) {
		return []entry{{}}
	}
	var all []entry
	if text, ok, err := r.file(Deployments); err != nil {
		return nil
	} else if ok {
		all = slices.Concat(r.yaml(Deployments, text)...)
	} else {
		for i, line := range strings.Split(r.values.Text(Deployments), "\n") {
			if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
				all = append(all, r.entry(Deployments, i+1, words))
			}
		}
	}
	r.check(Deployments, all)
	sorted, cycle := ordered(all)
	if cycle != "" && len(r.problems) == 0 {
		r.bad(Deployments, 0, cycle, "wait for each other")
	}
	return sorted
}

// waves returns the clusters of each wave; one without a name if the input is not
// set.
func (r *reader) waves() [][]entry {
	if !r.values.IsSet(Clusters) {
		return [][]entry{{{}}}
	}
	var waves [][]entry
	if text, ok, err := r.file(Clusters); err != nil {
		return nil
	} else if ok {
		waves = r.yaml(Clusters, text)
	} else {
		for i, line := range strings.Split(r.values.Text(Clusters), "\n") {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			waves = append(waves, r.wave(i+1, strings.TrimPrefix(line, "- ")))
		}
	}
	for _, wave := range waves {
		for i := range wave {
			contextOf(&wave[i])
		}
	}
	r.check(Clusters, slices.Concat(waves...))
	return waves
}

// wave reads one line of clusters.
func (r *reader) wave(line int, text string) []entry {
	open, closed := strings.HasPrefix(text, "["), strings.HasSuffix(text, "]")
	if open != closed {
		r.bad(Clusters, line, text, "has one bracket without the other")
		return nil
	}
	if open {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	var wave []entry
	for name := range strings.SplitSeq(text, ",") {
		if words := strings.Fields(name); len(words) > 0 {
			wave = append(wave, r.entry(Clusters, line, words))
		} else {
			r.bad(Clusters, line, text, "has a cluster without a name")
		}
	}
	return wave
}

// contextOf makes a cluster's name its context in the kubeconfig, if nothing else says
// which cluster it is.
func contextOf(e *entry) {
	if e.settings["kube-context"] == "" && e.settings["eks-cluster"] == "" && e.settings["kubeconfig"] == "" {
		e.settings["kube-context"] = e.name
	}
}

// setting matches INPUT=VALUE. An image has no "=".
var setting = regexp.MustCompile(`^([a-z][a-z-]*)=(.*)$`)

// entry reads the words of one Deployment or cluster.
func (r *reader) entry(name string, line int, words []string) entry {
	e := entry{name: words[0], line: line, settings: map[string]string{}}
	for _, word := range words[1:] {
		m := setting.FindStringSubmatch(word)
		switch {
		case m != nil:
			r.set(&e, name, m[1], m[2])
		case name == Deployments && e.settings["image"] == "":
			e.settings["image"] = word
		default:
			r.bad(name, line, word, "is not INPUT=VALUE")
		}
	}
	return e
}

// set gives an entry one setting.
func (r *reader) set(e *entry, name, key, value string) {
	switch {
	case key == "after" && name == Deployments:
		e.after = append(e.after, strings.Split(value, ",")...)
	case !settable(key) || key == "deployment-name":
		r.bad(name, e.line, key, "is an input of the whole release")
	case name == Deployments && slices.Contains(connecting, key):
		r.bad(name, e.line, key, "is an input of a cluster")
	case e.settings[key] != "" && e.settings[key] != value:
		r.bad(name, e.line, key, "is given twice")
	default:
		e.settings[key] = value
	}
}

// nameForm is that of a Deployment or of a context in a kubeconfig.
var nameForm = map[string]*regexp.Regexp{
	Deployments: input.FormName.Pattern,
	Clusters:    regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@/-]*$`),
}

// check adds the problems with the names of entries.
func (r *reader) check(name string, all []entry) {
	seen := map[string]bool{}
	for _, e := range all {
		switch {
		case !nameForm[name].MatchString(e.name):
			r.bad(name, e.line, e.name, "is not a name")
		case seen[e.name]:
			r.bad(name, e.line, e.name, "is named twice")
		}
		seen[e.name] = true
	}
	wrong := slices.ContainsFunc(r.problems, func(p input.Problem) bool { return p.Name == name })
	if len(all) == 0 && !wrong {
		r.bad(name, 0, "", "names none")
	}
	for _, e := range all {
		for _, other := range e.after {
			switch {
			case other == e.name:
				r.bad(name, e.line, "after="+other, "waits for itself")
			case !seen[other]:
				r.bad(name, e.line, "after="+other, "is not one of them")
			}
		}
	}
}

// file returns the text of the YAML file that an input names, false if it names none. A
// file that cannot be read is a problem, and the error.
func (r *reader) file(name string) (string, bool, error) {
	path := strings.TrimSpace(r.values.Text(name))
	if strings.ContainsAny(path, "\n ") || !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
		return "", false, nil
	}
	raw, err := r.readFile(path)
	if err != nil {
		r.problems = append(r.problems, r.values.Problem(name, err.Error()))
	}
	return string(raw), true, err
}

// yaml reads a file: a list of names and mappings, or of lists of these.
func (r *reader) yaml(name, text string) [][]entry {
	var doc, second yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, r.values.Problem(name, err.Error()))
		return nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, r.values.Problem(name, "the file has a second document behind ---: want one list"))
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.SequenceNode {
		r.problems = append(r.problems, r.values.Problem(name, "the file is not a list"))
		return nil
	}
	var lists [][]entry
	for _, item := range doc.Content[0].Content {
		nodes := []*yaml.Node{item}
		if item.Kind == yaml.SequenceNode && name == Clusters {
			nodes = item.Content
		}
		var list []entry
		for _, n := range nodes {
			list = append(list, r.node(name, n))
		}
		lists = append(lists, list)
	}
	return lists
}

// node reads one Deployment or cluster of a file.
func (r *reader) node(name string, n *yaml.Node) entry {
	e := entry{line: n.Line, settings: map[string]string{}}
	var fields map[string]any
	switch {
	case n.Kind == yaml.ScalarNode:
		e.name = n.Value
		return e
	case n.Decode(&fields) != nil:
		r.bad(name, n.Line, "", "is neither a name nor a mapping")
		return e
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text, ok := textOf(fields[key])
		switch {
		case !ok:
			r.bad(name, n.Line, key, "is neither a text nor a list of texts")
		case key == "name":
			e.name = text
		case key == "context" && name == Clusters:
			r.set(&e, name, "kube-context", text)
		default:
			r.set(&e, name, key, strings.TrimSuffix(text, "\n"))
		}
	}
	if len(e.after) == 1 {
		e.after = strings.Fields(strings.ReplaceAll(e.after[0], "\n", " "))
	}
	return e
}

// textOf returns a value of YAML as an input has it: a list as lines.
func textOf(value any) (string, bool) {
	switch v := value.(type) {
	case nil, map[string]any:
		return "", false
	case []any:
		var lines []string
		for _, item := range v {
			text, ok := textOf(item)
			if !ok {
				return "", false
			}
			lines = append(lines, text)
		}
		return strings.Join(lines, "\n"), true
	}
	return fmt.Sprint(value), true
}

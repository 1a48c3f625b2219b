package securitybench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A shape is how one tool writes its results. The shapes are those of the tools' own
// files: what they have, and how long it is.
type shape struct {
	tool    string
	rules   int
	snippet bool
	flows   int // steps of a code flow
	prints  bool
	words   int // of a message
}

var shapes = []shape{
	{tool: "Semgrep OSS", rules: 900, snippet: true, prints: true, words: 40},
	{tool: "CodeQL", rules: 250, flows: 6, prints: true, words: 15},
	{tool: "Trivy", rules: 3000, words: 25},
	{tool: "ESLint", rules: 60, words: 12},
	{tool: "gosec", rules: 40, snippet: true, words: 10},
}

// files writes all results into count files, and returns their names and size.
func (b *bench) files(name string, count int) ([]string, int64, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, err
	}
	fmt.Fprintf(b.out, "writing %d files with %d results\n", count, b.results)
	var all []string
	var size int64
	for i := range count {
		file := filepath.Join(dir, fmt.Sprintf("%02d.sarif", i))
		n := b.results/count + min(1, max(0, b.results%count-i))
		if err := write(file, shapes[i%len(shapes)], n, b.seed+uint64(i)); err != nil {
			return nil, 0, err
		}
		about, err := os.Stat(file)
		if err != nil {
			return nil, 0, err
		}
		all, size = append(all, file), size+about.Size()
	}
	return all, size, nil
}

func write(file string, s shape, results int, seed uint64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = s.write(w, results, rand.New(rand.NewPCG(seed, 7)))
	return errors.Join(err, w.Flush(), f.Close())
}

type object = map[string]any

func (s shape) write(w io.Writer, results int, random *rand.Rand) error {
	rules := make([]object, s.rules)
	for i := range rules {
		rules[i] = object{
			"id": s.rule(i), "shortDescription": object{"text": sentence(random, 8)}, "fullDescription": object{"text": sentence(random, 30)},
			"help": object{"text": sentence(random, 60)}, "helpUri": "https://example.com/rules/" + s.rule(i), "defaultConfiguration": object{"level": "warning"},
			"properties": object{"tags": []string{"security", fmt.Sprintf("external/cwe/cwe-%03d", 20+i%900)}, "security-severity": fmt.Sprintf("%.1f", 1+float64(i%90)/10)},
		}
	}
	tool, err := json.Marshal(object{"driver": object{"name": s.tool, "version": "1.2.3", "informationUri": "https://example.com", "rules": rules}})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"tool":%s,"invocations":[{"executionSuccessful":true}],"results":[`, tool)
	for i := range results {
		raw, err := json.Marshal(s.result(random))
		if err != nil {
			return err
		}
		if i > 0 {
			raw = append([]byte(",\n"), raw...)
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "]}]}\n")
	return err
}

func (s shape) rule(i int) string {
	return fmt.Sprintf("%s/security/rule-%d", strings.ToLower(strings.ReplaceAll(s.tool, " ", "-")), i)
}

func (s shape) result(random *rand.Rand) object {
	rule := random.IntN(s.rules)
	r := object{
		"ruleId": s.rule(rule), "ruleIndex": rule, "level": []string{"error", "warning", "note"}[random.IntN(3)],
		"message": object{"text": sentence(random, s.words)}, "locations": []object{s.location(random)},
	}
	if s.prints {
		r["partialFingerprints"] = object{"primaryLocationLineHash": fmt.Sprintf("%x:1", random.Uint64())}
	}
	if s.flows > 0 {
		steps := make([]object, s.flows)
		for i := range steps {
			steps[i] = object{"location": s.location(random)}
		}
		r["codeFlows"] = []object{{"threadFlows": []object{{"locations": steps}}}}
	}
	return r
}

func (s shape) location(random *rand.Rand) object {
	line := 1 + random.IntN(3000)
	region := object{"startLine": line, "startColumn": 1 + random.IntN(40), "endLine": line, "endColumn": 50 + random.IntN(60)}
	if s.snippet {
		region["snippet"] = object{"text": "    " + sentence(random, 9)}
	}
	uri := fmt.Sprintf("services/%s/src/%s/%s%d.ts", word(random), word(random), word(random), random.IntN(50))
	return object{"physicalLocation": object{"artifactLocation": object{"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}}
}

var vocabulary = strings.Fields("the value of input flows from request to response without a check so that an attacker who controls it can run code read files or change queries use encoded parameters instead validate length escape output set header limit rate verify token order user cart payment session")

func word(random *rand.Rand) string { return vocabulary[random.IntN(len(vocabulary))] }

func sentence(random *rand.Rand, words int) string {
	all := make([]string, words)
	for i := range all {
		all[i] = word(random)
	}
	return strings.Join(all, " ") + "."
}

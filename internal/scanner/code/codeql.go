package code

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/sarif"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/place"
)

// CodeQL makes a database of each language that needs no build, and asks it the
// queries of the suite security-extended. Languages that need a build are left to a
// report of GitHub's own action, see [CodeQLReport]: a build would run the
// repository's code.
type CodeQL struct{}

// CodeQLSARIF is the setting with reports of CodeQL that ran elsewhere: files, with
// spaces between them.
const CodeQLSARIF = "codeql-sarif"

// About implements scanner.Scanner.
func (CodeQL) About() scanner.About {
	return scanner.About{
		Name: "codeql", Class: finding.ClassCode, Tool: "codeql",
		Does:   "flows of data in source code",
		Memory: 8 << 30, Time: 60 * time.Minute,
	}
}

// Choose implements scanner.Chooser: a report of elsewhere is read, where one is given.
func (c CodeQL) Choose(job scanner.Job) scanner.Scanner {
	if len(strings.Fields(job.Settings[CodeQLSARIF])) > 0 {
		return CodeQLReport{}
	}
	return c
}

// codeqlLanguages are the languages that CodeQL reads without a build, by the
// endings of their files.
var codeqlLanguages = map[string]string{
	".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
	".ts": "javascript", ".tsx": "javascript", ".mts": "javascript", ".cts": "javascript", ".vue": "javascript",
	".py": "python", ".rb": "ruby", ".java": "java", ".cs": "csharp",
}

// codeqlBuilt are the languages for which it builds the project.
var codeqlBuilt = map[string]string{".go": "Go", ".swift": "Swift", ".kt": "Kotlin", ".rs": "Rust", ".c": "C", ".cc": "C++", ".cpp": "C++"}

// languages returns the languages of a tree, sorted, with how many files each has.
func languages(tree scanner.Tree, of map[string]string) ([]string, map[string]int) {
	count := map[string]int{}
	for _, f := range tree.Files {
		if l := of[strings.ToLower(path.Ext(f))]; l != "" {
			count[l]++
		}
	}
	return slices.Sorted(maps.Keys(count)), count
}

// Applies implements scanner.Scanner.
func (CodeQL) Applies(job scanner.Job) (bool, string) {
	names, count := languages(job.Tree, codeqlLanguages)
	built, _ := languages(job.Tree, codeqlBuilt)
	if len(names) > 0 {
		parts := make([]string, len(names))
		for i, n := range names {
			parts[i] = fmt.Sprintf("%d files of %s", count[n], n)
		}
		return true, strings.Join(parts, ", ")
	}
	if len(built) > 0 {
		return false, strings.Join(built, ", ") + " needs a build: give CodeQL's own report by codeql-sarif"
	}
	return false, "no source code in its languages"
}

// Plant implements scanner.Scanner: a flow from a request to a command.
func (CodeQL) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{"planted.js": `const http = require("http");
const { exec } = require("child_process");
http.createServer((request, response) => {
  exec("ls " + new URL(request.url, "http://localhost").searchParams.get("folder"));
  response.end();
});
`},
		Found: func(s finding.Sighting) bool {
			return s.Rule == "js/command-line-injection" && s.Location.Path == "planted.js"
		},
	}
}

// Commands implements scanner.Program: two for each language, in this order.
func (CodeQL) Commands(job scanner.Job) ([]isolate.Command, error) {
	names, _ := languages(job.Tree, codeqlLanguages)
	var commands []isolate.Command
	for _, language := range names {
		database, report := filepath.Join(job.Scratch, "database-"+language), filepath.Join(job.Scratch, language+".sarif")
		create := []string{"database", "create", "--language=" + language, "--source-root=" + job.Workspace, "--overwrite"}
		if language == "java" || language == "csharp" {
			create = append(create, "--build-mode=none")
		}
		suite := fmt.Sprintf("codeql/%s-queries:codeql-suites/%s-security-extended.qls", language, language)
		commands = append(commands,
			isolate.Command{Args: append(create, "--", database), Reads: []string{job.Scratch}, Writes: []string{job.Scratch}},
			isolate.Command{
				Args:   []string{"database", "analyze", "--format=sarifv2.1.0", "--output=" + report, "--sarif-category=" + language, "--", database, suite},
				Report: report, Reads: []string{job.Scratch}, Writes: []string{job.Scratch},
			})
	}
	return commands, nil
}

// noSource is the exit status of database create when it saw no source code, and
// codeqlSays what it prints then. github/codeql-action looks for the same two.
const (
	noSource   = 32
	codeqlSays = "no source code"
)

// Read implements scanner.Program.
func (CodeQL) Read(job scanner.Job, command isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if slices.Contains(command.Args, "create") {
		return created(command, ran)
	}
	if err := output.Whole(ran, 0); err != nil {
		return scanner.Report{}, err
	}
	return readCodeQL(job, bytes.NewReader(ran.Stdout))
}

// created reads how the making of a database ended. It has no report.
func created(command isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	report := scanner.Report{Coverage: verdict.Unknown()}
	switch {
	case ran.Ending == isolate.Exited && ran.Status == 0:
	case ran.Ending == isolate.Exited && (ran.Status == noSource || strings.Contains(strings.ToLower(string(ran.Stderr)), codeqlSays)):
		language := "the repository"
		for _, a := range command.Args {
			if l, ok := strings.CutPrefix(a, "--language="); ok {
				language = l
			}
		}
		report.Doubts = []string{"CodeQL saw no source code of " + language}
	default:
		return scanner.Report{}, fmt.Errorf("codeql database create ended: %s, status %d %s", ran.Ending, ran.Status, ran.Why)
	}
	return report, nil
}

// extracted is the end of the name of CodeQL's list of the files that it read.
const extracted = "/diagnostics/successfully-extracted-files"

// readCodeQL reads one SARIF file of CodeQL. A run that does not say that it read a
// file is a doubt: with an empty database there is nothing to find.
func readCodeQL(job scanner.Job, text io.Reader) (scanner.Report, error) {
	var own struct {
		Runs []struct {
			Invocations []struct {
				Notifications []struct {
					Descriptor struct {
						ID string `json:"id"`
					} `json:"descriptor"`
				} `json:"toolExecutionNotifications"`
			} `json:"invocations"`
		} `json:"runs"`
	}
	var copied bytes.Buffer
	log, err := sarif.Read(io.TeeReader(text, &copied), sarif.Options{Tool: "codeql", Class: finding.ClassCode, Workspace: job.Workspace, Hash: job.Hash})
	if err != nil {
		return scanner.Report{}, err
	}
	if err := json.Unmarshal(bytes.TrimPrefix(copied.Bytes(), []byte("\xef\xbb\xbf")), &own); err != nil {
		return scanner.Report{}, err
	}
	if len(log.Runs) == 0 || len(own.Runs) != len(log.Runs) {
		return scanner.Report{}, errors.New("it has no run of CodeQL")
	}
	report := scanner.Report{Coverage: verdict.Unknown(), Sightings: log.Sightings()}
	report.Coverage.Files = 0
	for i, run := range log.Runs {
		if !strings.HasPrefix(run.Tool, "CodeQL") {
			return scanner.Report{}, fmt.Errorf("it is of %q and not of CodeQL", output.Cut(run.Tool, 60))
		}
		files := 0
		for _, invocation := range own.Runs[i].Invocations {
			for _, n := range invocation.Notifications {
				if strings.HasSuffix(n.Descriptor.ID, extracted) {
					files++
				}
			}
		}
		files = max(files, run.Files)
		if files <= 0 {
			report.Doubts = append(report.Doubts, strings.TrimSpace("CodeQL does not say that it read a file "+run.Category))
		}
		report.Coverage.Files += max(files, 0)
		report.Version = run.Version
		report.Doubts, report.Notes = append(report.Doubts, run.Doubts...), append(report.Notes, run.Notes...)
	}
	place.Lines(job.Workspace, report.Sightings)
	return report, nil
}

// CodeQLReport reads the SARIF files of the setting codeql-sarif:
// CodeQL has run elsewhere, as in github/codeql-action with an output folder. It
// takes the place of [CodeQL].
type CodeQLReport struct{}

// About implements scanner.Scanner.
func (CodeQLReport) About() scanner.About {
	about := CodeQL{}.About()
	about.Tool, about.Memory, about.Time = "", 0, 5*time.Minute
	return about
}

// Applies implements scanner.Scanner.
func (CodeQLReport) Applies(job scanner.Job) (bool, string) {
	return true, fmt.Sprintf("%d reports", len(strings.Fields(job.Settings[CodeQLSARIF])))
}

// Plant implements scanner.Scanner.
func (CodeQLReport) Plant() scanner.Plant {
	return scanner.Plant{Without: "CodeQL ran elsewhere, and its report is read"}
}

// Scan implements scanner.Check.
func (CodeQLReport) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	all := scanner.Report{Coverage: verdict.Unknown()}
	all.Coverage.Files = 0
	for _, name := range strings.Fields(job.Settings[CodeQLSARIF]) {
		if err := ctx.Err(); err != nil {
			return scanner.Report{}, err
		}
		r, err := readFile(job, name)
		if err != nil {
			return scanner.Report{}, fmt.Errorf("codeql-sarif %s: %w", name, err)
		}
		all.Sightings, all.Version = append(all.Sightings, r.Sightings...), r.Version
		all.Doubts, all.Notes = append(all.Doubts, r.Doubts...), append(all.Notes, r.Notes...)
		all.Coverage.Files += r.Coverage.Files
	}
	return all, nil
}

func readFile(job scanner.Job, name string) (scanner.Report, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(job.Workspace, name)
	}
	file, err := os.Open(name)
	if err != nil {
		return scanner.Report{}, err
	}
	defer func() { _ = file.Close() }()
	return readCodeQL(job, file)
}

package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// job is a workspace with files.
func job(t testing.TB, contents map[string]string) scanner.Job {
	t.Helper()
	j := scanner.Job{Workspace: t.TempDir()}
	for file, text := range contents {
		full := filepath.Join(j.Workspace, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j.Tree.Files = append(j.Tree.Files, file)
	}
	slices.Sort(j.Tree.Files)
	return j
}

// scan reads files twice, and both must give the same.
func scan(t testing.TB, contents map[string]string) scanner.Report {
	t.Helper()
	j := job(t, contents)
	report, err := Inventory{}.Scan(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Inventory{}.Scan(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(report, again); d != "" {
		t.Errorf("the second scan (-first +second):\n%s", d)
	}
	return report
}

// said are the sightings, as "severity rule file:line message".
func said(r scanner.Report) []string {
	var all []string
	for _, s := range r.Sightings {
		all = append(all, fmt.Sprintf("%s %s %s:%d %s", s.Rating.Word, s.Rule, s.Location.Path, s.Location.Line, s.Message))
	}
	return all
}

const lock3 = `{"name": "app", "lockfileVersion": 3, "packages": {
  "": {"name": "app"},
  "packages/own": {"name": "own", "version": "1.0.0"},
  "node_modules/own": {"resolved": "packages/own", "link": true},
  "node_modules/lodash": {"version": "4.17.21", "resolved": "https://registry.npmjs.org/lodash/-/lodash-4.17.21.tgz", "integrity": "sha512-x"},
  "node_modules/alias": {"name": "ua-parser-js", "version": "0.7.29", "integrity": "sha512-x", "hasInstallScript": true},
  "node_modules/a/node_modules/event-stream": {"version": "3.3.6", "integrity": "sha512-x"},
  "node_modules/loadsh": {"version": "1.0.0", "integrity": "sha512-x"},
  "node_modules/@scope/loadsh": {"version": "1.0.0", "integrity": "sha512-x"},
  "node_modules/preact": {"version": "10.0.0", "integrity": "sha512-x"},
  "node_modules/crypto-js": {"version": "4.2.0", "integrity": "sha512-x"},
  "node_modules/executor": {"version": "1.0.0"},
  "node_modules/in-bundle": {"version": "1.0.0", "inBundle": true},
  "node_modules/tarball": {"version": "1.0.0", "resolved": "https://user:hunter2@files.example.com/x.tgz?token=hunter2"},
  "node_modules/moved": {"version": "1.0.0", "resolved": "git+ssh://git@github.com/o/moved.git#main"},
  "node_modules/fixed": {"version": "1.0.0", "resolved": "git+https://hunter2@github.com/o/fixed.git#0123456789012345678901234567890123456789"}
}}`

func TestFindsWhatLooksWrong(t *testing.T) {
	t.Parallel()
	report := scan(t, map[string]string{"app/package-lock.json": lock3, "app/package.json": `{"dependencies": {"lodash": "*"}}`})
	want := []string{
		"critical malicious-version app/package-lock.json:7 event-stream 3.3.6: this version is malicious: take what it could read for stolen, and replace it",
		"low source-at-a-commit app/package-lock.json:16 fixed 1.0.0: it is fetched from git+https://github.com/o/fixed.git#0123456789012345678901234567890123456789",
		"medium name-like-a-popular-one app/package-lock.json:8 loadsh 1.0.0: is it meant, and not lodash?",
		"medium source-without-integrity app/package-lock.json:15 moved 1.0.0: it is fetched from git+ssh://github.com/o/moved.git",
		"medium source-without-integrity app/package-lock.json:14 tarball 1.0.0: it is fetched from https://files.example.com/x.tgz",
		"critical malicious-version app/package-lock.json:0 ua-parser-js 0.7.29: this version is malicious: take what it could read for stolen, and replace it",
		"low no-integrity app/package-lock.json:0 Packages of which no hash is recorded (1): executor",
		"info install-script app/package-lock.json:0 Packages that run a script when they are installed (1): ua-parser-js",
		"info suspicious-word app/package-lock.json:0 Packages with a word in their name that malware has too (1): crypto-js",
	}
	if d := cmp.Diff(want, said(report)); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	c := report.Coverage
	if c.Files != 1 || c.FilesExpected != 1 || c.Packages != 12 || len(report.Doubts) > 0 {
		t.Errorf("coverage %+v, doubts %q", c, report.Doubts)
	}
	if ids := report.Sightings[0].IDs; !slices.Equal(ids, []string{"GHSA-mh6f-8j2x-4483"}) {
		t.Errorf("identifiers %q", ids)
	}
	for name, content := range report.Artifacts {
		if strings.Contains(string(content), "hunter2") || strings.Contains(string(content), "token") {
			t.Errorf("%s has a secret:\n%s", name, content)
		}
	}
	wantLines := `critical	malicious-version	npm	event-stream	3.3.6	app/package-lock.json
critical	malicious-version	npm	ua-parser-js	0.7.29	app/package-lock.json
info	install-script	npm	ua-parser-js	0.7.29	app/package-lock.json
info	suspicious-word	npm	crypto-js	4.2.0	app/package-lock.json
low	no-integrity	npm	executor	1.0.0	app/package-lock.json
low	source-at-a-commit	npm	fixed	1.0.0	app/package-lock.json
medium	name-like-a-popular-one	npm	loadsh	1.0.0	app/package-lock.json
medium	source-without-integrity	npm	moved	1.0.0	app/package-lock.json
medium	source-without-integrity	npm	tarball	1.0.0	app/package-lock.json
`
	if d := cmp.Diff(wantLines, string(report.Artifacts[SuspiciousFile])); d != "" {
		t.Errorf("%s (-want +got):\n%s", SuspiciousFile, d)
	}
}

// forms are lock files of all kinds, and the packages in each as name@version, with
// + for a hash and the source.
var forms = []struct {
	name, file, text string
	beside           map[string]string
	want             []string
}{
	{"npm 1", "npm-shrinkwrap.json", `{"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0", "integrity": "sha1-x",
		"dependencies": {"b": {"version": "git+https://u:p@h/b.git#0123456789012345678901234567890123456789"}}},
		"c": {"version": "npm:@s/real@2.0.0"}, "d": {"version": "file:d"}}}`, nil,
		[]string{"@s/real@2.0.0", "a@1.0.0+", "b@ git+https://h/b.git#0123456789012345678901234567890123456789"}},
	{"npm 2, empty", "package-lock.json", `{"lockfileVersion": 2, "packages": {}, "dependencies": {}}`, nil, nil},
	{"go", "m/go.mod", "module x // y\n\ngo 1.26\n\nrequire example.com/a v1.0.0\nrequire (\n\texample.com/b v2.0.0+incompatible // indirect\n\texample.com/c v0.1.0\n\texample.com/d v0.1.0\n)\n\nreplace example.com/c => ./c\nreplace example.com/d v0.1.0 => example.com/fork v0.2.0\n",
		map[string]string{"m/go.sum": "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:x=\n", "go.work.sum": "example.com/fork v0.2.0/go.mod h1:x=\n"},
		[]string{"example.com/a@1.0.0+", "example.com/b@2.0.0+incompatible", "example.com/fork@0.2.0+"}},
	{"pip", "requirements-dev.txt", "\ufeff# tools\n-r base.in\n--index-url https://u:p@pypi.example.com\nDjango[argon2]==4.2 ; python_version > '3' # pinned\nrequests>=2,<3\nflask\n" +
		"hashed==1.0 \\\n    --hash=sha256:00\npkg @ https://u:p@h/pkg.whl?x=1#sha256=00\n-e git+https://u:p@github.com/o/r.git@main#egg=R\n-e .\n",
		map[string]string{"base.in": "-r requirements-dev.txt\n-r base.in\nsix==1.16.0\n"},
		[]string{"six@1.16.0", "R@ git+https://github.com/o/r.git", "django@4.2", "flask@", "hashed@1.0+", "pkg@+ https://h/pkg.whl", "requests@"}},
	{"yarn 1", "yarn.lock", "# THIS IS AN AUTOGENERATED FILE.\n# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1.0\":\n  version \"1.1.0\"\n  resolved \"https://registry.yarnpkg.com/@s/a/-/a-1.1.0.tgz#0123456789012345678901234567890123456789\"\n" +
		"  dependencies:\n    version \"^1.0.0\"\n\nb@npm:real@^2.0.0:\n  version \"2.0.0\"\n  resolved \"https://u:p@h/-/b.tgz\"\n  integrity sha512-x\n\n\"c@git+https://u:p@github.com/o/c.git\":\n  version \"3.0.0\"\n  resolved \"git+https://u:p@github.com/o/c.git#0123456789012345678901234567890123456789\"\n", nil,
		[]string{"@s/a@1.1.0+ https://registry.yarnpkg.com/@s/a/-/a-1.1.0.tgz", "c@3.0.0 git+https://github.com/o/c.git#0123456789012345678901234567890123456789", "real@2.0.0+ https://h/-/b.tgz"}},
	{"yarn 4", "yarn.lock", "__metadata:\n  version: 8\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n  linkType: soft\n\n" +
		"\"a@npm:^1.0.0, a@npm:^1.1.0\":\n  version: 1.1.0\n  resolution: \"a@npm:1.1.0\"\n  dependencies:\n    b: \"npm:^1\"\n  checksum: 10c0/ab\n  languageName: node\n  linkType: hard\n\n" +
		"\"b@https://u:p@github.com/o/b.git\":\n  version: 2.0.0\n  resolution: \"b@https://u:p@github.com/o/b.git#commit=0123456789012345678901234567890123456789\"\n  linkType: hard\n", nil,
		[]string{"a@1.1.0+", "b@2.0.0 https://github.com/o/b.git#0123456789012345678901234567890123456789"}},
	{"pnpm 5", "pnpm-lock.yaml", "lockfileVersion: 5.4\npackages:\n\n  /a/1.0.0:\n    resolution: {integrity: sha512-x}\n    requiresBuild: true\n    dev: true\n\n  /@s/b_c/2.0.0_react@17.0.2+x_y:\n    resolution: {integrity: sha512-x}\n", nil,
		[]string{"@s/b_c@2.0.0+", "a@1.0.0+"}},
	{"pnpm 6", "pnpm-lock.yaml", "lockfileVersion: '6.0'\npackages:\n  /@s/a@1.0.0(react@17.0.2):\n    resolution: {integrity: sha512-x}\n  github.com/o/b/0123456789012345678901234567890123456789:\n    resolution: {tarball: https://codeload.github.com/o/b/tar.gz/0123456789012345678901234567890123456789}\n    name: b\n    version: 2.0.0\n", nil,
		[]string{"@s/a@1.0.0+", "b@2.0.0 https://codeload.github.com/o/b/tar.gz/0123456789012345678901234567890123456789"}},
	{"pnpm 9", "pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  '@s/a@1.0.0':\n    resolution: {integrity: sha512-x}\n  b@git+https://u:p@h/b.git#0123456789012345678901234567890123456789:\n    resolution: {commit: 0123456789012345678901234567890123456789, repo: https://u:p@h/b.git, type: git}\n    version: 1.0.0\nsnapshots:\n  '@s/a@1.0.0': {}\n", nil,
		[]string{"@s/a@1.0.0+", "b@1.0.0 git+https://h/b.git#0123456789012345678901234567890123456789"}},
	{"pnpm, empty", "pnpm-lock.yaml", "lockfileVersion: '9.0'\n", nil, nil},
}

func TestReadsAllForms(t *testing.T) {
	t.Parallel()
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			t.Parallel()
			contents := map[string]string{form.file: form.text}
			for file, text := range form.beside {
				contents[file] = text
			}
			j := job(t, contents)
			w, err := open(j)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.root.Close() }()
			packages, err := w.packages(form.file)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range packages {
				text := p.Name + "@" + p.Version
				if p.Integrity {
					text += "+"
				}
				got = append(got, strings.TrimSpace(text+" "+p.Source))
				if p.line == 0 && !strings.Contains(form.name, "npm 1") {
					t.Errorf("%s has no line", p.Name)
				}
			}
			if d := cmp.Diff(form.want, got); d != "" {
				t.Errorf("packages (-want +got):\n%s", d)
			}
		})
	}
}

// TestHalfAListIsADoubt: what cannot be read whole says so, and hides nothing of the
// other files.
func TestHalfAListIsADoubt(t *testing.T) {
	t.Parallel()
	bad := map[string][]string{
		"package-lock.json": {"", "{}", "null", "[]", lock3[:200], lock3 + "x", `{"lockfileVersion": 4, "packages": {}}`, `{"lockfileVersion": 3}`,
			`{"lockfileVersion": 3, "packages": {"node_modules/a": {}}}`, `{"lockfileVersion": 1, "dependencies": {"a": {}}}`,
			`{"lockfileVersion": 1, "dependencies": ` + strings.Repeat(`{"a": {"version": "1", "dependencies": `, 20_000)},
		"go.mod":           {"", "go 1.26\n", "module x\nrequire (\n\ta v1.0.0\n", "module x\nrequire a\n", "module x\nreplace a\n"},
		"requirements.txt": {"a==1 \\\n", "-r absent.in\n", "-r ../outside.in\n", "!!\n", "a b\n", "-r https://u:hunter2@h/r.txt\n", "hunter2 hunter2\n"},
		"yarn.lock":        {"", "x", "# yarn lockfile v1\n\na@1:\n", "# yarn lockfile v1\n\na@1\n", "# yarn lockfile v1\n  version \"1\"\n", "a: 1\n", "__metadata:\n  version: 8\nb: 1\n", "__metadata:\n  version: 8\nb: {version: 1}\n"},
		"pnpm-lock.yaml":   {"", "packages: {}\n", "lockfileVersion: 4\n", "lockfileVersion: 10\n", "lockfileVersion: 9\npackages: []\n", "lockfileVersion: 9\npackages:\n  a@1: {}\n", "lockfileVersion: 9\npackages:\n  a@1: [\n", "lockfileVersion: 9\npackages:\n  a@1: &x {resolution: *x}\n"},
	}
	for file, texts := range bad {
		for _, text := range texts {
			report := scan(t, map[string]string{file: text, "good/package-lock.json": lock3})
			if len(report.Doubts) != 1 || !strings.Contains(report.Doubts[0], file) || strings.Contains(report.Doubts[0], "hunter2") {
				t.Errorf("%s %.60q: doubts %q", file, text, report.Doubts)
			}
			if c := report.Coverage; c.Files != 1 || c.FilesExpected != 2 || c.Packages != 12 {
				t.Errorf("%s %.60q: coverage %+v", file, text, c)
			}
		}
	}
	report := scan(t, map[string]string{"go.mod": "module x\n", "go.sum": "half a line\n"})
	if len(report.Doubts) != 1 || !strings.Contains(report.Doubts[0], "line 1 of go.sum") {
		t.Errorf("doubts %q", report.Doubts)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	j := job(t, map[string]string{"huge/package-lock.json": "{", "absent/yarn.lock": "x"})
	outside := filepath.Join(t.TempDir(), "package-lock.json")
	if err := errors.Join(
		os.WriteFile(outside, []byte(lock3), 0o600),
		os.Truncate(filepath.Join(j.Workspace, "huge/package-lock.json"), greatest+1),
		os.Remove(filepath.Join(j.Workspace, "absent/yarn.lock")),
		os.Symlink(outside, filepath.Join(j.Workspace, "package-lock.json")),
		os.Symlink("go.mod", filepath.Join(j.Workspace, "go.mod")),
		os.Mkdir(filepath.Join(j.Workspace, "pnpm-lock.yaml"), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	j.Tree.Files = []string{"absent/yarn.lock", "go.mod", "huge/package-lock.json", "package-lock.json", "pnpm-lock.yaml"}
	report, err := Inventory{}.Scan(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Doubts) != 5 || report.Coverage.Files != 0 || len(report.Sightings) != 0 {
		t.Errorf("doubts %q, %+v", report.Doubts, report)
	}
}

func TestManyPackages(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString(`{"lockfileVersion": 3, "packages": {` + "\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "\"node_modules/p%d-\\u0007\": {\"version\": \"1.0.0\"},\n", i)
	}
	text.WriteString(`"node_modules/rc": {"version": "1.2.9", "integrity": "x"}}}`)
	j := job(t, map[string]string{"package-lock.json": text.String()})
	report, err := Inventory{}.Scan(t.Context(), j)
	if err != nil || len(report.Doubts) > 0 {
		t.Fatal(err, report.Doubts)
	}
	if len(report.Sightings) != 2 || report.Coverage.Packages != 100_001 || len(report.Sightings[1].Message) > 200 {
		t.Errorf("%q, %+v", said(report), report.Coverage)
	}
	if strings.Contains(string(report.Artifacts[SuspiciousFile]), "\a") {
		t.Error("a control character is in the list")
	}
}

func TestNoLockFile(t *testing.T) {
	t.Parallel()
	report := scan(t, map[string]string{
		"a/package.json": `{"devDependencies": {"x": "1"}}`, "b/package.json": `{}`, "c/yarn.lock": "# yarn lockfile v1\n", "c/d/package.json": `{"dependencies": {"x": "1"}}`,
		"e/package.json": `{`, "f/node_modules/g/package.json": `{"dependencies": {"x": "1"}}`, "Cargo.lock": "", "h/bun.lock": "", "h/package.json": `{"dependencies": {"x": "1"}}`,
	})
	want := []string{"medium no-lock-file a/package.json:0 a/package.json asks for 1 package(s) and has no lock file: which versions are installed is not known"}
	if d := cmp.Diff(want, said(report)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(report.Doubts) != 1 || !strings.HasPrefix(report.Doubts[0], "read e/package.json: ") || len(report.Notes) != 2 {
		t.Errorf("doubts %q, notes %q", report.Doubts, report.Notes)
	}
}

func TestAppliesWhereThereAreLists(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"": "no lock file that the inventory reads", "x/requirements-dev.txt": "1 lock file(s)", "package.json": "1 package.json without a lock file",
		"node_modules/a/package.json": "no lock file that the inventory reads", "vendor/go.mod": "no lock file that the inventory reads", "Cargo.lock": "no lock file that the inventory reads",
	} {
		applies, why := Inventory{}.Applies(scanner.Job{Tree: scanner.Tree{Files: []string{file}}})
		if why != want || applies == strings.HasPrefix(why, "no ") {
			t.Errorf("%s: %t, %s", file, applies, why)
		}
	}
}

func TestFindsThePlant(t *testing.T) {
	t.Parallel()
	plant := Inventory{}.Plant()
	report := scan(t, plant.Files)
	if !slices.ContainsFunc(report.Sightings, plant.Found) || len(report.Doubts) > 0 {
		t.Errorf("%q, doubts %q", said(report), report.Doubts)
	}
	if plant.Found(finding.Sighting{Rule: ruleMalicious}) {
		t.Error("it takes another package for the plant")
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := (Inventory{}).Scan(ctx, job(t, map[string]string{"go.mod": "module x\n"})); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := (Inventory{}).Scan(t.Context(), scanner.Job{Workspace: filepath.Join(t.TempDir(), "absent")}); err == nil {
		t.Error("no workspace is no error")
	}
}

func TestTheDocumentHasAllRules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/security-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range rules {
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", id, r.word, r.title); !strings.Contains(string(text), row) {
			t.Errorf("the document lacks %s", row)
		}
	}
}

func TestNamesOneLetterAway(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"loadsh": "lodash", "expres": "express", "crossenv": "cross-env", "socketio": "socket.io", "reactt": "react", "aixos": "axios",
		"lodash": "", "preact": "", "gaxios": "", "@evil/loadsh": "", "lodash-es": "", "asyn": "", "lodaxx": "", "": "",
	} {
		if got := (Listed{Ecosystem: "npm", Name: name}).imitates(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range different {
		if !slices.ContainsFunc(popular, func(p string) bool { return oneEdit(name, p) }) {
			t.Errorf("%s is like no popular name", name)
		}
	}
}

func TestAddressesWithoutSecrets(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"https://u:p@h/a?t=1#x": "https://h/a", "git@github.com:o/r.git#x": "ssh://github.com/o/r.git", "git+git@h:o/r": "ssh://h/o/r",
		"https://u:p@[bad/": "an address that cannot be read", "file:../a": "file:../a", "https://u:%zz@h/": "an address that cannot be read",
	} {
		if got := clean(source); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, form := range forms {
		f.Add(form.file, []byte(form.text))
	}
	f.Add("package-lock.json", []byte(lock3))
	f.Fuzz(func(t *testing.T, file string, data []byte) {
		read := readerOf(file)
		if read == nil || len(data) > 1<<20 {
			return
		}
		w, err := open(scanner.Job{Workspace: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.root.Close() }()
		packages, err := read(w, "x", data)
		if err != nil {
			return
		}
		for i := range packages {
			packages[i].settle()
			if p := packages[i]; p.Ecosystem == "" || strings.Contains(p.Source, "?") && strings.Contains(p.Source, "://") {
				t.Errorf("%+v", p)
			}
		}
		suspicious("x", packages)
		if _, err := artifacts(packages); err != nil {
			t.Error(err)
		}
	})
}

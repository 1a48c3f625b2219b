package secrets

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

// folder writes files into a workspace.
func folder(t *testing.T, files map[string]string) scanner.Job {
	t.Helper()
	job := scanner.Job{Workspace: t.TempDir(), Scratch: t.TempDir(), Hash: finding.NewHasher(bytes.Repeat([]byte{1}, 32))}
	for name, text := range files {
		file := filepath.Join(job.Workspace, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	job.Tree.Files = slices.Sorted(maps.Keys(files))
	return job
}

// patterns returns the rules found in one file.
func patterns(t *testing.T, name, text string) []string {
	t.Helper()
	report, err := Patterns{}.Scan(t.Context(), folder(t, map[string]string{name: text}))
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, s := range report.Sightings {
		rules = append(rules, s.Rule)
	}
	return rules
}

// made puts a credential together from parts, so that no scanner finds it here.
func made(parts ...string) string { return strings.Join(parts, "") }

// some is text without a pattern.
func some(n int) string { return strings.Repeat("q7Rt2mX9bK4wZ8cV1nL5", 8)[:n] }

func hexes(n int) string { return strings.Repeat("9f86d081884c7d65", 8)[:n] }

func capitals(n int) string { return strings.Repeat("QZ7RYT2MXW4KV5NL3B6J", 4)[:n] }

var credentials = map[string]string{
	"github-token":              made("gh", "o_", some(36)),
	"github-fine-grained-token": made("github", "_pat_", some(22), "_", some(59)),
	"gitlab-token":              made("gl", "rt-", some(20)),
	"aws-access-key":            made("AK", "IA", capitals(16)),
	"slack-token":               made("xo", "xp-", "482910573641-482910573642-", some(32)),
	"slack-webhook":             made("https://hooks.", "slack.com/services/", "T", capitals(9), "/B", capitals(9), "/", some(24)),
	"stripe-key":                made("rk", "_live_", some(24)),
	"npm-token":                 made("np", "m_", some(36)),
	"pypi-token":                made("py", "pi-", "AgEIcHlwaS5vcmc", some(70)),
	"sendgrid-key":              made("S", "G.", some(22), ".", some(43)),
	"google-api-key":            made("AI", "za", some(35)),
	"google-oauth-secret":       made("GOC", "SPX-", some(28)),
	"openai-key":                made("sk", "-proj-", some(30), "T3Blbk", "FJ", some(30)),
	"anthropic-key":             made("sk", "-ant-", "api03-", some(93)),
	"digitalocean-token":        made("dop", "_v1_", hexes(64)),
	"docker-token":              made("dckr", "_pat_", some(27)),
	"vault-token":               made("hv", "s.", some(95)),
	"terraform-token":           made(some(14), ".atlas", "v1.", some(65)),
	"mailgun-key":               made("key", "-", hexes(32)),
	"telegram-token":            made("482910573", ":A", "A", some(33)),
	"netlify-token":             made("nf", "p_", some(40)),
	"shopify-token":             made("shp", "at_", hexes(32)),
	"databricks-token":          made("da", "pi", hexes(32)),
	"grafana-token":             made("gl", "sa_", some(32), "_", hexes(8)),
	"huggingface-token":         made("h", "f_", strings.Repeat("qWrTmXbKwZcVnLpS", 3)[:34]),
	"age-key":                   made("AGE-SECRET", "-KEY-1", strings.Repeat("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 2)[:58]),
	"private-key":               made("-----BEGIN ", "RSA PRIVATE", " KEY-----\n", some(64), "\n", some(64), "\n-----END RSA PRIVATE", " KEY-----"),
	"connection-password":       made("postgres", "://app:", some(14), "@db.internal:5432/app"),
}

func TestEachFormatIsFound(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		credential, ok := credentials[f.rule]
		if !ok {
			t.Errorf("%s has no test", f.rule)
			continue
		}
		for _, around := range []string{"%s", "x = \"%s\"\n", "a: '%s',", "# see %s.\n", `{"text":"%s"}`, "-H %s"} {
			text := fmt.Sprintf(around, credential)
			if got := patterns(t, "notes_test.txt", text); !slices.Equal(got, []string{f.rule}) {
				t.Errorf("%s in %q: %q", f.rule, around, got)
			}
		}
		if f.rule == "private-key" || f.rule == "connection-password" {
			continue
		}
		// Part of a longer word it is none, and two in a line are two.
		if got := patterns(t, "a.txt", "z"+credential+strings.Repeat("z", 300)); len(got) > 0 {
			t.Errorf("%s within a word: %q", f.rule, got)
		}
		if got := patterns(t, "a.txt", credential+" "+credential); len(got) != 2 {
			t.Errorf("%s twice: %q", f.rule, got)
		}
	}
}

func TestWhatOnlyLooksLikeASecret(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"documented.py": "key = \"" + made("AK", "IA", "IOSFODNN7EXAMPLE") + "\"\n",
		"masked.sh":     "token=" + made("gh", "p_", strings.Repeat("x", 36)) + "\n",
		"one.sh":        "token=" + made("gh", "p_", strings.Repeat("a", 36)) + "\n",
		"doc.pem":       "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
		"variable.yaml": "password: ${DB_PASSWORD}\ntoken: {{ .Values.token1234 }}\nsecret: <your-token-1234>\nkey_secret: $SECRET_1234567\n",
		"call.go":       "secret := \"config.token2.value\"\npassword := getPassword1234(\"abc\")\ntoken: \"my-app-token-v2\"\n",
		"path.toml":     "private_key = \"/etc/ssl/private/key1.pem\"\ntoken_url = \"https://id.example.org/oauth2/token\"\n",
		"words.json":    `{"password": "correct horse battery", "secretName": "letmein", "token": "placeholder1234567"}`,
		"urls.txt":      "postgres://user:password@localhost/db postgres://app:${PASSWORD}@db/app redis://:example1@h/0",
		"app_test.go":   `var password = "` + some(24) + `"`,
		"docs/setup.md": `export API_TOKEN="` + some(24) + `"`,
		"yarn.lock":     `token "` + some(24) + `"`,
		"min.js":        strings.Repeat("a", 3000) + `;token="` + some(24) + `"`,
		"pipeline.yaml": "accessKeySecretRef:\n  key: access-key-id\n",
		".env.example":  "TOKEN=\nURL=http://localhost\n",
		".env.empty":    "# nothing\nTOKEN=\n",
	} {
		if got := patterns(t, name, text); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAssignedSecrets(t *testing.T) {
	t.Parallel()
	v := some(24)
	for name, text := range map[string]string{
		"a.py":               `DB_PASSWORD = "` + v + `"`,
		"a.js":               "const apiKey = '" + v + "';",
		"a.go":               "clientSecret := `" + v + "`",
		"a.json":             `{"auth_token": "` + v + `"}`,
		"a.rb":               `:secret_token => "` + v + `"`,
		"a.yaml":             "database:\n  password: " + v + "\n",
		"a.properties":       "db.password=" + v,
		"config/app.ini":     "api_key = " + v + "\n",
		".env.local":         "export SESSION_SECRET=" + v + "\n",
		"terraform/main.tf":  `access_key = "` + v + `"`,
		"src/Main.java":      `String passphrase = "` + v + `";`,
		".github/w/ci.yml":   "env:\n  TOKEN: " + v + "\n",
		"deploy/values.yaml": "auth:\n  token: \"" + v + "\"\n",
	} {
		if got := patterns(t, name, text); !slices.Equal(got, []string{"assigned-secret"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestEnvironmentFiles(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		".env": true, ".env.production": true, "web/.env.local": true, "prod.env": true, ".ENV": true,
		".env.example": false, ".env.sample": false, "env.template.env": false, ".env.production.dist": false,
		".environment": false, "env.go": false, ".envrc": false,
	} {
		if got := patterns(t, name, "STAGE=production\n"); slices.Contains(got, "env-file") != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestSightingsOfPatterns(t *testing.T) {
	t.Parallel()
	c := scannertest.NewCredentials(1)
	text := "# settings\n  first = \"" + c.GitHub + "\"  # gitleaks:allow\n  both = '" + c.NPM + " " + c.Stripe + "'\n"
	job := folder(t, map[string]string{"a.py": text, "image.png": "\x00\x01" + c.GitHub, ".env": "STAGE=production\n"})
	report, err := Patterns{}.Scan(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int, context string) finding.Location {
		return finding.Location{Path: "a.py", Line: line, Column: column, End: line, Context: context}
	}
	sighting := func(rule, title, secret string, l finding.Location) finding.Sighting {
		return finding.Sighting{
			Rule: rule, Class: finding.ClassSecret, Title: "Secret: " + title, Message: "A " + title + ".", Rating: finding.Rating{Word: "high"},
			Location: l, Secret: finding.Secret{Hash: job.Hash.Hash(secret)},
		}
	}
	allowed := sighting("github-token", "token of GitHub", c.GitHub, at(2, 12, `first = "***"  # gitleaks:allow`))
	allowed.Suppressed = "the line has the comment gitleaks:allow"
	want := []finding.Sighting{
		{
			Rule: "env-file", Class: finding.ClassSecret, Title: "File of environment variables in the repository", Rating: finding.Rating{Word: "medium"},
			Message:  "Such files are where credentials are put. Keep a template without values in the repository, and this file out of it.",
			Location: finding.Location{Path: ".env", Line: 1, End: 1, Context: "STAGE="},
		},
		allowed,
		sighting("npm-token", "token of npm", c.NPM, at(3, 11, `both = '*** ***'`)),
		sighting("stripe-key", "live key of Stripe", c.Stripe, at(3, 12+len(c.NPM), `both = '*** ***'`)),
	}
	if diff := cmp.Diff(want, report.Sightings); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	notes := []string{"1 line is marked gitleaks:allow or trufflehog:ignore, which hides secrets from these tools", "1 file is binary"}
	if diff := cmp.Diff(notes, report.Notes); diff != "" || report.Coverage.Files != 3 || report.Coverage.FilesExpected != 3 || report.Doubts != nil {
		t.Errorf("coverage %+v, doubts %q, notes -want +got:\n%s", report.Coverage, report.Doubts, diff)
	}
}

func TestFilesThatPatternsDoNotRead(t *testing.T) {
	t.Parallel()
	job := folder(t, map[string]string{"a.txt": "x", "big.txt": "", "big.bin": "", "gone.txt": ""})
	for name, head := range map[string]string{"big.txt": "text", "big.bin": "\x00"} {
		file := filepath.Join(job.Workspace, name)
		if err := os.WriteFile(file, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, readable+1); err != nil { // sparse
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(job.Workspace, "big.txt"), bytes.Repeat([]byte("text\n"), readable/5+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(job.Workspace, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	report, err := Patterns{}.Scan(t.Context(), job)
	want := []string{`"big.txt" is text of more than 20 MiB, or could not be read`, `"gone.txt" could not be opened`}
	if diff := cmp.Diff(want, report.Doubts); diff != "" || err != nil {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
	if c := report.Coverage; c.Files != 2 || c.FilesExpected != 4 {
		t.Errorf("coverage = %+v", c)
	}
}

// The tree has no links; one that comes afterwards is not followed.
func TestPatternsLeaveTheWorkspaceByNoLink(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte(scannertest.NewCredentials(1).GitHub), 0o600); err != nil {
		t.Fatal(err)
	}
	job := folder(t, map[string]string{"a.txt": ""})
	if err := os.Remove(filepath.Join(job.Workspace, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(job.Workspace, "a.txt")); err != nil {
		t.Fatal(err)
	}
	report, err := Patterns{}.Scan(t.Context(), job)
	if err != nil || len(report.Sightings) > 0 || len(report.Doubts) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestPatternsFindTheirPlantAndNotHalfOfIt(t *testing.T) {
	t.Parallel()
	p := Patterns{}.Plant()
	report, err := Patterns{}.Scan(t.Context(), folder(t, p.Files))
	if err != nil || !slices.ContainsFunc(report.Sightings, p.Found) {
		t.Errorf("%+v, %v", report, err)
	}
	if half := (Patterns{}).Plant(); slices.ContainsFunc(report.Sightings[:1], half.Found) {
		t.Error("half of the plant is enough")
	}
}

// This repository has no secrets, and no test of it writes one down.
func TestThisRepositoryHasNoSecrets(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	job := folder(t, nil)
	job.Workspace = root
	job.Tree = filesOf(t, root)
	report, err := Patterns{}.Scan(t.Context(), job)
	if err != nil || len(report.Doubts) > 0 {
		t.Errorf("%v, doubts %q", err, report.Doubts)
	}
	for _, s := range report.Sightings {
		t.Errorf("%s:%d: %s", s.Location.Path, s.Location.Line, s.Title)
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add("a.yaml", []byte("password: q7Rt2mX9bK4wZ8cV1nL5\n"))
	f.Add(".env", []byte("A=\xff\x00"))
	job := scanner.Job{Hash: finding.NewHasher(bytes.Repeat([]byte{1}, 32))}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		found, _ := inFile(job, name, data)
		for _, s := range found {
			if s.Location.Line < 1 || s.Location.Line > bytes.Count(data, []byte("\n"))+1 {
				t.Errorf("%+v", s.Location)
			}
		}
	})
}

package preview

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder for the report that does not exist is made; one that cannot be made is bad input,
// before anything is deployed.
func TestReportDir(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.step(map[string]string{"pr-number": "1", "report-dir": file + "/reports"}, "", "").Run(p.main); r.Code != 2 || !strings.Contains(r.Log, "report-dir: ") {
		t.Errorf("%d, want 2\n%s", r.Code, r.Log)
	}
	if n := len(p.github.Requests()) + len(p.netlify.Deploys()); n != 0 {
		t.Errorf("%d requests and deploys", n)
	}
	dir := filepath.Join(t.TempDir(), "new", "reports")
	r := p.step(map[string]string{"pr-number": "1", "report-dir": dir}, "", "").Run(p.main)
	files, err := os.ReadDir(dir)
	if r.Code != 0 || err != nil || len(files) != 1 || r.Outputs["report"] != filepath.Join(dir, reportFile) {
		t.Errorf("%d, %v, %v\n%s", r.Code, files, err, r.Log)
	}
}

// What cannot be published is bad input, before a comment and before any change.
func TestMalformedSites(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	for name, c := range map[string]struct {
		file, text string
		inputs     map[string]string
		want       string
	}{
		"redirects":    {"_redirects", "/a\n", nil, "_redirects"},
		"netlify.toml": {"netlify.toml", "[[redirects", nil, "netlify.toml"},
		"a name":       {"a#b.html", "x", nil, "a#b.html"},
		"functions":    {"a.html", "x", map[string]string{"functions": "no-such-functions"}, "no-such-functions: no such file"},
		"to bundle":    {"a.html", "x", map[string]string{"functions": "no-such-functions", "functions-project": "."}, "no-such-functions: no such file"},
		"config":       {"a.html", "x", map[string]string{"netlify-config": "no-such.toml"}, "no-such.toml"},
	} {
		inputs := map[string]string{"pr-number": "1", "dir": p.desired(1, sha1).Dir}
		for k, v := range c.inputs {
			inputs[k] = v
		}
		if err := os.WriteFile(filepath.Join(inputs["dir"], c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := p.step(inputs, "", "").Run(p.main)
		if r.Code != 2 || r.Outputs["status"] != "bad-input" || !strings.Contains(r.Log, c.want) || strings.Contains(r.Log+r.Summary, "run it again") {
			t.Errorf("%s: %d, want 2 with %q\n%s", name, r.Code, c.want, r.Log)
		}
	}
	if n := len(p.github.Comments(repo, 1)) + len(p.netlify.Deploys()); n != 0 {
		t.Errorf("%d comments and deploys", n)
	}
}

// deploy-id is a deploy on Netlify, or empty.
func TestDeployID(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	p.push(1, sha1)
	inputs := map[string]string{"pr-number": "1", "goal": "up"}
	r := p.step(inputs, "", "").Run(p.main)
	if all := p.netlify.Deploys(); r.Code != 0 || len(all) != 1 || r.Outputs["deploy-id"] != all[0].ID {
		t.Errorf("up: %d, %v\n%s", r.Code, r.Outputs, r.Log)
	}
	p.close(1)
	inputs["goal"] = "down"
	for _, want := range []string{"removed", "nothing"} {
		if r = p.step(inputs, "", "").Run(p.main); r.Code != 0 || r.Outputs["status"] != want || r.Outputs["deploy-id"] != "" {
			t.Errorf("%s: %d, %v\n%s", want, r.Code, r.Outputs, r.Log)
		}
	}
}

// The error names what is missing of the part that was asked for, and nothing else.
func TestMissingInputsByPart(t *testing.T) {
	t.Parallel()
	p := newSite(t)
	const site, code = "netlify-auth-token and netlify-site-id", "api-code, api-image or api-template"
	for _, c := range []struct {
		inputs    map[string]string
		want, not string
	}{
		{map[string]string{"parts": "api", "aws-region": ""}, "set " + code + " and aws-region", site},
		{map[string]string{"parts": "api", "aws-region": "us-east-1"}, "set " + code, "aws-region"},
		{map[string]string{"parts": "api", "goal": "down"}, "set aws-region", code},
		{map[string]string{"parts": "frontend", "netlify-auth-token": "", "netlify-site-id": ""}, "set " + site, code},
	} {
		c.inputs["pr-number"] = "1"
		r := p.step(c.inputs, "", "").Run(p.main)
		said := strings.Join(r.Annotations["error"], "\n")
		if r.Code != 2 || !strings.Contains(said, c.want) || strings.Contains(said, c.not) {
			t.Errorf("%v: %d, %q; want %q and no %q", c.inputs, r.Code, said, c.want, c.not)
		}
	}
}

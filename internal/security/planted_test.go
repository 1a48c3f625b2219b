package security

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner/scanners"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/npmregistry"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/trivydb"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/vulndb"
	"github.com/candlefish/deploy-action/internal/security/record"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// A gateTest runs the whole gate with the real tools, on databases of this machine.
type gateTest struct {
	t        *testing.T
	cache    string
	settings []string
	out      bytes.Buffer
	reports  string
}

// realGate installs the tools that can be had and lays their databases.
func realGate(t *testing.T) *gateTest {
	t.Helper()
	toolboxtest.Need(t, "gitleaks", "trufflehog", "osv-scanner", "trivy", "govulncheck", "actionlint", "eslint")
	g := &gateTest{t: t, cache: t.TempDir()}
	osv := t.TempDir()
	vulndb.OSV(t, osv, false)
	for _, name := range []string{"trivy-fs", "trivy-image"} {
		trivydb.Build(t, filepath.Join(g.cache, name), time.Now().Add(-time.Hour), false)
	}
	g.settings = []string{
		"npm-registry=" + npmregistry.New(t).URL, "osv-db=" + osv,
		"govulndb=" + vulndb.Go(t, t.TempDir(), time.Now().Add(-time.Hour), false),
		"go-root=" + goEnv(t, "GOROOT"), "go-mod-cache=" + goEnv(t, "GOMODCACHE"),
	}
	return g
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// run scans and returns the exit status and the result that it recorded.
func (g *gateTest) run(args ...string) (exit.Status, verdict.Result) {
	g.t.Helper()
	if g.reports == "" {
		g.reports = g.t.TempDir()
	}
	g.out.Reset()
	p := program{
		now: time.Now, after: time.After, random: rand.Reader, environ: os.Environ(), scanners: scanners.All(), openTools: openToolbox,
		cache: func() (string, error) { return g.cache, nil },
	}
	args = append([]string{
		"--report-dir=" + filepath.Join(g.reports, "reports"), "--sarif-dir=" + filepath.Join(g.reports, "sarif"),
		"--settings=" + strings.Join(g.settings, "\n"),
	}, args...)
	env := action.Env{Getenv: func(string) string { return "" }, Stdout: &g.out, Stderr: &g.out, Now: time.Now}
	code := p.main(env, args)
	raw, err := os.ReadFile(filepath.Join(g.reports, "reports", record.Name))
	if err != nil {
		g.t.Fatalf("exit status %d, %v\n%s", code, err, g.out.String())
	}
	r, err := record.Unmarshal(raw)
	if err != nil {
		g.t.Fatal(err)
	}
	return exit.Status(code), r
}

// notHere are the tools that no registry of this machine has: a deep scan without
// them is told so, and may pass without them.
const notHere = "--optional-tools=semgrep\ncodeql"

// Twelve planted problems are found by the real tools, each once, at the level that
// is to find it, and nothing that people see has a planted credential.
func TestTwelvePlantedProblems(t *testing.T) {
	t.Parallel()
	planted := scannertest.Make(t)
	host := expiredHost(t)
	g := realGate(t)
	for _, level := range verdict.Levels() {
		t.Run(string(level), func(t *testing.T) {
			status, r := g.run("--dir="+planted.Dir, "--base="+planted.Base, "--level="+string(level), "--hosts="+host, notHere)
			if level == verdict.Deep {
				status, r = g.run("--dir="+planted.Dir, "--level=deep", "--hosts="+host, notHere)
			}
			if status != exit.GateRefused || r.Verdict != verdict.Refused || !r.Whole {
				t.Errorf("exit status %d, verdict %q, whole %v\n%s", status, r.Verdict, r.Whole, g.out.String())
			}
			for _, want := range planted.Want {
				checkFound(t, r, want, level, want.Level)
			}
			checkFound(t, r, scannertest.Expected{Name: "an expired certificate", Class: finding.ClassNetwork}, level, "deep")
			checkSecretsStayIn(t, g, planted.Secrets())
		})
	}
}

// checkFound checks that a problem is one finding at its level and deeper, and none
// at a level that does not look for it.
func checkFound(t *testing.T, r verdict.Result, want scannertest.Expected, level verdict.Level, from string) {
	t.Helper()
	var got []string
	for _, f := range r.Findings {
		if f.Class == want.Class && isOf(f, want) {
			got = append(got, f.ID+" "+f.Title)
		}
	}
	due := slices.Index(verdict.Levels(), level) >= slices.Index(verdict.Levels(), verdict.Level(from))
	switch {
	case due && len(got) == 0:
		t.Errorf("%s was not found", want.Name)
	case !due && len(got) > 0:
		t.Errorf("%s was found at level %s: %q", want.Name, level, got)
	case want.Class == finding.ClassSecret && len(got) > 1:
		t.Errorf("%s was found %d times: %q", want.Name, len(got), got)
	}
	checkOnce(t, r, want)
}

// isOf reports whether a finding is a planted problem: of its place and, if it has
// names, with one of them.
func isOf(f finding.Finding, want scannertest.Expected) bool {
	for _, s := range f.Sightings {
		named := len(want.IDs) == 0 || slices.ContainsFunc(want.IDs, func(id string) bool { return slices.Contains(f.IDs, id) || strings.Contains(s.Rule, id) })
		if s.Location.Path == want.Path && named {
			return true
		}
	}
	return false
}

// checkOnce checks that no two findings have an identifier, a package and a place in common.
func checkOnce(t *testing.T, r verdict.Result, want scannertest.Expected) {
	t.Helper()
	if want.Class != finding.ClassDependency {
		return
	}
	seen := map[string]string{}
	for _, f := range r.Findings {
		if f.Class != want.Class {
			continue
		}
		for _, id := range f.IDs {
			key := id + " " + f.Sightings[0].Package.Name + " " + f.Sightings[0].Location.Path
			if other := seen[key]; other != "" && other != f.ID {
				t.Errorf("%s is two findings, %s and %s", key, other, f.ID)
			}
			seen[key] = f.ID
		}
	}
}

// checkSecretsStayIn looks for planted credentials in all that was written or printed.
func checkSecretsStayIn(t *testing.T, g *gateTest, secrets []string) {
	t.Helper()
	check := func(where, text string) {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has a planted credential", where)
			}
		}
	}
	check("the log", g.out.String())
	files := 0
	err := filepath.WalkDir(g.reports, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		check(path, string(raw))
		files++
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d reports, %v", files, err)
	}
}

// expiredHost is a server on loopback with a certificate that ended.
func expiredHost(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, -1),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "shop") }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return cmp.Or(strings.TrimPrefix(server.URL, "https://"))
}

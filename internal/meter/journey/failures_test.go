package journey

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
)

// What is wrong with a site is said in words, and never passes.
func TestBrokenSites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		site perfsite.Options
		want string
	}{
		"down": {perfsite.Options{Down: true}, "step 1 of 3: goto /: the page is down: nothing accepts connections there (ERR_CONNECTION_REFUSED)"},
		"loop": {perfsite.Options{RedirectLoop: true}, "step 1 of 3: goto /: its redirects never end (ERR_TOO_MANY_REDIRECTS)"},
		"cert": {perfsite.Options{TLS: true}, "step 1 of 3: goto /: nobody whom this machine trusts has signed its certificate, or it is wrong otherwise (ERR_CERT_AUTHORITY_INVALID)"},
		"503":  {perfsite.Options{Status: 503}, "step 1 of 3: goto /: the page answers 503"},
		"slow": {perfsite.Options{Delay: 8 * time.Second}, "step 1 of 3: goto /: it did not load within 5s"},
	} {
		got := measured(t, Meter{Load: 5 * time.Second}, realJob(t, site(t, c.site), showing))
		a := got.Assertions[0]
		if text := a.Text + ": " + a.Why; a.Holds || !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
		if len(got.Values) != 0 || len(got.Gaps) != len(Metrics()) {
			t.Errorf("%s: %d values and %d gaps", name, len(got.Values), len(got.Gaps))
		}
	}
}

// A step that fails has a picture and a trace of a second try, and other journeys of
// the file are measured all the same.
func TestBrokenStep(t *testing.T) {
	t.Parallel()
	got := measured(t, Meter{Step: 2 * time.Second}, realJob(t, site(t, perfsite.Options{}), `version: 1
journeys:
  - name: buy
    steps:
      - goto: /
      - visit: /workshop
      - click: "#buy"
  - name: still
    repeat: 0
    steps: [{goto: /}]
`))
	if a := got.Assertions[0]; a.Holds || a.Text != "step 3 of 3: click #buy" || !strings.HasPrefix(a.Why, `there was no such element within 2s; the page was /workshop, which says "Home Workshop Atelier`) {
		t.Errorf("%+v", a)
	}
	var files []string
	for _, f := range got.Files {
		files = append(files, filepath.Base(f.Path))
	}
	if !slices.Equal(files, []string{"failed.png", "trace.zip"}) {
		t.Errorf("files %q", files)
	}
	if !got.Assertions[1].Holds {
		t.Errorf("%+v", got.Assertions[1])
	}
	// Nobody asked for the heap, and nobody interacted.
	if values := valued(got); values["still desktop lcp"] <= 0 || len(values) != len(Metrics())-3 {
		t.Errorf("%v", values)
	}
	if gap := got.Gaps[len(got.Gaps)-1]; gap.Subject != "still desktop" || gap.Metric != "inp" || !strings.HasPrefix(gap.Why, "the browser noted no interaction") {
		t.Errorf("%+v", gap)
	}
}

// Without a file, all pages are visited, and heap is measured although the journey
// loads several documents.
func TestDefaultJourney(t *testing.T) {
	t.Parallel()
	job := realJob(t, site(t, perfsite.Options{}), "")
	job.Pages, job.Devices = []string{"/", "/workshop"}, []meter.Device{meter.Desktop}
	got := measured(t, Meter{}, job)
	if values := valued(got); len(values) != len(Metrics()) {
		t.Errorf("%v, gaps %v", values, got.Gaps)
	}
	if len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], "pages desktop: the journey loads several documents") || !got.Assertions[0].Holds {
		t.Errorf("%q, %+v", got.Notes, got.Assertions)
	}
}

// A journey can be the user's own program.
func TestModule(t *testing.T) {
	t.Parallel()
	job := realJob(t, site(t, perfsite.Options{}), "version: 1\njourneys:\n- {name: own, script: own.mjs, repeat: 2}\n- {name: wrong, script: wrong.mjs}\n- {name: broken, script: broken.mjs}\n")
	write(t, job.Workspace, "own.mjs", shown(t, "js")[0])
	write(t, job.Workspace, "wrong.mjs", "export default async ({ page, step }) => {\n  await step('open', () => page.goto('/'));\n  await step('buy a boat', () => page.click('#boat'));\n};\n")
	write(t, job.Workspace, "broken.mjs", "export default 7;\n")
	got := measured(t, Meter{Step: 5 * time.Second}, job)
	values := valued(got)
	for _, m := range Metrics() {
		if _, ok := values["own desktop "+m.Name]; !ok {
			t.Errorf("no %s: %v", m.Name, got.Gaps)
		}
	}
	for i, want := range []string{"all 2 steps of the journey: ", "step 2: buy a boat: Timeout 5000ms exceeded.", "step 1: before the first one: the script has no default export that is a function"} {
		if a := got.Assertions[i]; !strings.HasPrefix(a.Text+": "+a.Why, want) || a.Holds != (i == 0) {
			t.Errorf("%q, want %q", a.Text+": "+a.Why, want)
		}
	}
}

// A header goes to the site alone, and neither it nor what is typed from a variable is in
// a file of the round. A page does its best to spread both.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const token, typed = "planted-token-4711", "planted-password-0815"
	asked := &asked{}
	other := httptest.NewServer(asked.handler("other", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	t.Cleanup(other.Close)
	own := httptest.NewServer(asked.handler("own", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/redirected", http.StatusFound)
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<h1>Shop</h1><input id="p"><p id="said"></p><img src="/away"><script src="%s/script.js"></script>
<script>fetch('/data').then((r) => r.text()).then((s) => { console.error(s); document.getElementById('said').textContent = s; });
document.getElementById('p').oninput = (e) => { console.error(e.target.value); document.title = e.target.value; };</script>`, other.URL)
		default:
			fmt.Fprint(w, r.Header.Get("X-Preview")) // as a service that echoes does
		}
	}))
	t.Cleanup(own.Close)
	job := realJob(t, own.URL, "version: 1\njourneys:\n- name: log in\n  repeat: 0\n  steps:\n  - goto: /\n  - fill: {into: '#p', value: '${PASSWORD}'}\n  - click: h1\n  - screenshot: shop\n")
	job.Round = 0 // with a trace
	job.Header.Set("X-Preview", token)
	job.Settings[SettingVariables], job.Getenv = "PASSWORD", func(string) string { return typed }
	got := measured(t, Meter{}, job)
	if !got.Assertions[0].Holds || len(got.Files) != 2 {
		t.Fatalf("%+v", got)
	}
	for _, request := range asked.all() {
		if has := strings.HasSuffix(request, token); has != strings.HasPrefix(request, "own ") {
			t.Errorf("a request: %s", request)
		}
	}
	if len(asked.all()) < 8 || !strings.Contains(strings.Join(asked.all(), "\n"), "other /redirected") {
		t.Errorf("requests: %q", asked.all())
	}
	all := map[string]string{"the reading": fmt.Sprintf("%+v", got)}
	for _, f := range got.Files {
		raw, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Path] = string(raw)
		if filepath.Ext(f.Path) == ".zip" {
			for name, content := range unzipped(t, f.Path) {
				all[name] = content
			}
		}
	}
	if !strings.Contains(all["trace.trace"], "pressSequentially") && !strings.Contains(all["trace.trace"], `"type"`) {
		t.Errorf("the trace does not have what was done: %.2000s", all["trace.trace"])
	}
	for name, content := range all {
		if strings.Contains(content, token) || strings.Contains(content, typed) {
			t.Errorf("a secret is in %s", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(job.Scratch, "*", "order.json")); err != nil || len(left) != 0 {
		t.Errorf("the orders are still there: %v, %v", left, err)
	}
}

// asked has the requests of servers: whose, the path and the planted header.
type asked struct {
	mu    sync.Mutex
	lines []string
}

func (a *asked) handler(whose string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.lines = append(a.lines, fmt.Sprintf("%s %s %s", whose, r.URL.Path, r.Header.Get("X-Preview")))
		a.mu.Unlock()
		next(w, r)
	})
}

func (a *asked) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.lines)
}

// When its time is over, nothing of a journey is left, and its end is not read as a
// report.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	job := realJob(t, site(t, perfsite.Options{}), "version: 1\njourneys:\n- name: wait\n  steps: [{goto: /}, {wait-for: {text: Never}}]\n")
	m := Meter{Step: time.Minute}
	commands, err := m.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := isolate.Open(job.Workspace, nil)
	if err != nil {
		t.Fatal(err)
	}
	sandbox.Scratch = t.TempDir() // a long path, such as runners have: too long for a socket
	commands[0].Time = 4 * time.Second
	ran := sandbox.Run(t.Context(), commands[0])
	if _, err := m.Read(job, commands[0], ran); ran.Ending != isolate.TimedOut || err == nil {
		t.Errorf("%s, %s: %v\n%s", ran.Ending, ran.Why, err, ran.Stderr)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatal(lines, err)
	}
	for _, path := range lines {
		if raw, err := os.ReadFile(path); err == nil && (strings.Contains(string(raw), sandbox.Scratch) || strings.Contains(string(raw), job.Scratch)) {
			t.Errorf("%s is still there: %q", path, raw)
		}
	}
	if left, err := os.ReadDir(sandbox.Scratch); err != nil || len(left) != 0 {
		t.Errorf("its folders are still there: %v, %v", left, err)
	}
}

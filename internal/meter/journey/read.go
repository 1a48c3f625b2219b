package journey

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/redact"
)

// Read implements meter.Program.
func (m Meter) Read(job meter.Job, command isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	walks, err := walks(job)
	if err != nil {
		return meter.Reading{}, err
	}
	i := slices.IndexFunc(walks, func(w walk) bool { return filepath.Join(w.folder, "report.json") == command.Report })
	if i < 0 {
		return meter.Reading{}, fmt.Errorf("no journey reports to %s", command.Report)
	}
	if err := output.Whole(ran, 0); err != nil {
		return meter.Reading{}, err
	}
	r, err := parse(ran.Stdout)
	if err != nil {
		return meter.Reading{}, err
	}
	in := &reader{meter: m, job: job, walk: walks[i], report: r, hide: redact.New(secrets(job)...)}
	return in.read()
}

// A reader makes a reading of one report.
type reader struct {
	meter  Meter
	job    meter.Job
	walk   walk
	report report
	hide   *redact.Redactor
	all    meter.Reading
}

func (r *reader) read() (meter.Reading, error) {
	if n := len(r.walk.Steps); r.walk.Script == "" {
		for _, f := range []*failure{r.report.Failed, r.report.HeapFailed} {
			if f != nil && f.Step >= n {
				return meter.Reading{}, fmt.Errorf("its report has a failure of step %d of %d", f.Step+1, n)
			}
		}
	}
	r.all.Versions = map[string]string{"chrome": r.text(r.report.Browser, 40)}
	r.assert()
	if r.report.Failed == nil {
		r.values()
	} else {
		for _, m := range Metrics() {
			r.gap(m, fmt.Errorf("the journey failed at %s", r.step(*r.report.Failed)))
		}
	}
	r.notes()
	r.files()
	return r.all, nil
}

func (r *reader) text(text string, most int) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, r.hide.String(text))
	return output.Cut(strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), ""), most)
}

func (r *reader) value(m measure.Metric, v float64, err error) {
	if err != nil {
		r.gap(m, err)
		return
	}
	r.all.Values = append(r.all.Values, meter.Value{Subject: r.walk.subject(), Metric: m, Value: v})
}

func (r *reader) gap(m measure.Metric, why error) {
	if m.Name == heap.Name && r.walk.Repeat == 0 || m.Name == heapSize.Name && r.walk.Repeat == 0 {
		return // nobody asked for it
	}
	r.all.Gaps = append(r.all.Gaps, meter.Gap{Subject: r.walk.subject(), Metric: m.Name, Why: why.Error()})
}

// values are those of a visit that came to its end. Of several documents the worst one
// counts, as for a user who judges a site by its slowest page.
func (r *reader) values() {
	pages := r.report.Pages
	missing := func(what string) func(float64, error) (float64, error) {
		return func(v float64, err error) (float64, error) {
			if errors.Is(err, errNone) {
				return 0, errors.New(what)
			}
			return v, err
		}
	}
	put := func(m measure.Metric, of func(document) (float64, bool), what string) {
		v, err := missing(what)(worst(pages, of))
		r.value(m, v, err)
	}
	put(inp, document.inp, "the browser noted no interaction: the journey has no click and no key that a page of it could answer")
	put(lcp, func(d document) (float64, bool) { return given(d.LCP) }, "no page painted any content")
	put(fcp, func(d document) (float64, bool) { return given(d.FCP) }, "no page painted any content")
	put(ttfb, func(d document) (float64, bool) { return given(d.TTFB) }, "no page has the time of its first byte")
	put(cls, func(d document) (float64, bool) { return d.cls(), true }, "")
	r.value(longTasks, blocking(pages), nil)
	r.value(duration, r.report.Duration, nil)
	r.elsewhere()
	if r.report.Lost > 0 {
		r.all.Doubts = append(r.all.Doubts, fmt.Sprintf("%s: the browser noted %.0f entries more than are kept", r.walk.subject(), r.report.Lost))
	}
	r.heap()
}

// elsewhere doubts a journey that saw no document of the site: all its values are of
// another one.
func (r *reader) elsewhere() {
	site, err := url.Parse(r.job.URL)
	if err != nil {
		return // it would not have begun
	}
	for _, page := range r.report.Pages {
		if at, err := url.Parse(page.URL); err == nil && at.Host == site.Host {
			return
		}
	}
	r.all.Doubts = append(r.all.Doubts, fmt.Sprintf("%s: the journey leads to %s, so that another site was measured", r.walk.subject(), r.path(r.report.Pages[0].URL)))
}

func (r *reader) heap() {
	values := r.report.Heap
	switch f := r.report.HeapFailed; {
	case r.walk.Repeat == 0:
		return
	case f != nil:
		err := fmt.Errorf("repetition %d failed at %s: %s", max(1, f.Repetition), r.step(*f), r.why(*f))
		r.gap(heap, err)
		r.gap(heapSize, err)
	case len(values) != r.walk.Repeat+1:
		err := fmt.Errorf("its memory was measured %d times, want %d", len(values), r.walk.Repeat+1)
		r.gap(heap, err)
		r.gap(heapSize, err)
	default:
		r.value(heap, slope(values), nil)
		r.value(heapSize, values[len(values)-1], nil)
		if r.report.Whole {
			r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: the journey loads several documents, and a document that is left takes its memory along: heap sees what stays behind", r.walk.subject()))
		}
	}
}

// step names a step as people wrote it.
func (r *reader) step(f failure) string {
	if r.walk.Script != "" {
		return fmt.Sprintf("step %d: %s", f.Step+1, cmp.Or(r.text(f.Name, 200), "before the first one"))
	}
	return fmt.Sprintf("step %d of %d: %s", f.Step+1, len(r.walk.Steps), r.walk.Steps[f.Step])
}

// assert says whether all steps of the visit held.
func (r *reader) assert() {
	n := len(r.walk.Steps)
	if r.walk.Script != "" {
		n = len(r.report.Steps)
	}
	a := verdict.Assertion{Subject: r.walk.subject(), Text: fmt.Sprintf("all %d steps of the journey", n), Holds: true}
	if f := r.report.Failed; f != nil {
		a.Text, a.Holds, a.Why = r.step(*f), false, r.why(*f)
	}
	r.all.Assertions = append(r.all.Assertions, a)
}

// why is what was observed when a step failed.
func (r *reader) why(f failure) string {
	why := r.meter.words(f, r.walk)
	if at := r.path(f.URL); at != "" {
		why += "; the page was " + at
	}
	if saw := r.text(f.Saw, 160); saw != "" {
		why += fmt.Sprintf(", which says %q", saw)
	}
	return r.text(why, 700)
}

// path is an address of the site without the site; that of another site is whole. Of
// neither the query is told.
func (r *reader) path(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	site, err := url.Parse(r.job.URL)
	if err == nil && site.Host == u.Host {
		return r.text(cmp.Or(u.EscapedPath(), "/"), 200)
	}
	return r.text(u.Scheme+"://"+u.Host+u.EscapedPath(), 200)
}

// notes tell what a page's scripts did wrong.
func (r *reader) notes() {
	for i, e := range r.report.Errors {
		if i == 10 {
			r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: and more errors of scripts", r.walk.subject()))
			break
		}
		what := "an error on the console"
		if e.Kind == "exception" {
			what = "an exception that no script caught"
		}
		r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: %s on %s: %s", r.walk.subject(), what, cmp.Or(r.path(e.URL), "a page"), r.text(e.Text, 300)))
	}
	t := r.report.Trace
	switch {
	case t == nil:
	case r.report.Failed != nil && t.Passed:
		r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: the failed journey was made again for its trace, and came to its end", r.walk.subject()))
	case r.report.Failed == nil && t.Failed != nil:
		r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: the journey was made once more for its trace, and failed: %s", r.walk.subject(), r.why(*t.Failed)))
	}
}

// pictures are the names of the script's screenshots.
var pictures = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}\.png$`)

const (
	maxPicture = 10 << 20
	maxTrace   = 50 << 20
)

// files adds the screenshots and the trace that are there.
func (r *reader) files() {
	for i, s := range r.report.Screenshots {
		if i < 100 && pictures.MatchString(s.File) && r.isFile(s.File, maxPicture) {
			r.file(r.text(s.What, 100), s.File)
		}
	}
	t := r.report.Trace
	if t == nil {
		return
	}
	path := filepath.Join(r.walk.folder, "trace.zip")
	switch {
	case t.File != "trace.zip" || !r.isFile("trace.zip", maxTrace):
		why := cmp.Or(r.text(t.Why, 200), fmt.Sprintf("it is none, or larger than %d MiB", maxTrace>>20))
		r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: there is no trace: %s", r.walk.subject(), why))
		_ = os.Remove(path)
		return
	case len(secrets(r.job)) > 0:
		if err := strip(path, r.hide); err != nil {
			_ = os.Remove(path)
			r.all.Notes = append(r.all.Notes, fmt.Sprintf("%s: the trace is not kept, since secrets could not be kept out of it: %v", r.walk.subject(), err))
			return
		}
	}
	r.file("trace of "+r.text(t.What, 100), "trace.zip")
}

func (r *reader) file(what, name string) {
	r.all.Files = append(r.all.Files, meter.File{Subject: r.walk.subject(), What: what, Path: filepath.Join(r.walk.folder, name)})
}

// isFile reports whether the script wrote a file of at most so many bytes. A link is none.
func (r *reader) isFile(name string, most int64) bool {
	info, err := os.Lstat(filepath.Join(r.walk.folder, name))
	return err == nil && info.Mode().IsRegular() && info.Size() > 0 && info.Size() <= most
}

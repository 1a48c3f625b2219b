package measuring

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate/folder"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
)

// maxKept is the size of the largest file that is kept, in bytes.
const maxKept = 64 << 20

// keep moves the files of a round to the report, and removes its folder. A file that
// cannot be kept is said, and changes no health.
func (r *run) keep(c *course, job meter.Job, files []meter.File) {
	for i, f := range files {
		path := keptName(c.about.Name, job, f, i)
		if err := r.copyFile(job, f.Path, filepath.Join(r.Keep, filepath.FromSlash(path))); err != nil {
			c.report.Notes = note(c.report.Notes, fmt.Sprintf("%s: %s is not kept: %v", where(job), f.What, err))
			continue
		}
		r.seen.Files = append(r.seen.Files, verdict.File{Meter: c.about.Name, Subject: f.Subject, Side: job.Side, Round: job.Round, What: f.What, Path: path})
	}
	_ = folder.Remove(job.Scratch)
}

// notSafe is what neither a file's name nor the name of an artifact should have.
var notSafe = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// keptName is the path of a kept file below the report's folder. Subjects are paths of
// pages, names of scripts: they become words.
func keptName(meterName string, job meter.Job, f meter.File, i int) string {
	slug := strings.Trim(notSafe.ReplaceAllString(f.Subject, "-"), "-.")
	if slug == "" || f.Subject != "" && f.Subject[0] == '/' && strings.HasPrefix(f.Subject, "/ ") {
		slug = strings.Trim("root-"+slug, "-")
	}
	if len(slug) > 80 {
		slug = slug[:80]
	}
	return fmt.Sprintf("%s/%s-%s-%d-%d%s", meterName, slug, job.Side, job.Round+1, i+1, notSafe.ReplaceAllString(filepath.Ext(f.Path), ""))
}

// copyFile copies a file of the round's folder, and nothing that lies elsewhere: a link
// could lead to any file of the machine.
func (r *run) copyFile(job meter.Job, from, to string) error {
	rel, err := filepath.Rel(job.Scratch, from)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s is outside of the round's folder", filepath.Base(from))
	}
	root, err := os.OpenRoot(job.Scratch)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat(rel)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKept {
		return fmt.Errorf("%s is no regular file of at most %d MiB", filepath.Base(from), maxKept>>20)
	}
	in, err := root.Open(rel)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

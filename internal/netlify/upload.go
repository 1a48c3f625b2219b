package netlify

import (
	"bytes"
	"context"
	"crypto/sha1" // Netlify's choice
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"
)

// A job is one thing to upload.
type job struct {
	kind  string // of request: file or function
	name  string
	size  int64
	sum   string
	hash  func() hash.Hash
	open  func() (io.ReadCloser, error)
	asked function // of a function, the rest of what is said of it
}

// jobs are what Netlify requires: one for each content of files, and one for each
// function.
func (p *publication) jobs(required *models.Deploy) ([]job, error) {
	var jobs []job
	missing := map[string]bool{}
	for _, sum := range required.Required {
		missing[sum] = true
	}
	for _, f := range p.files {
		if missing[f.sum] {
			delete(missing, f.sum)
			jobs = append(jobs, job{kind: "file", name: f.path, size: f.size, sum: f.sum, hash: sha1.New, open: opener(p.folder, f.path, f.body)})
		}
	}
	functions := map[string]bool{}
	for _, sum := range required.RequiredFunctions {
		functions[sum] = false
	}
	for _, f := range p.bundle.functions {
		if _, ok := functions[f.sum]; ok {
			functions[f.sum] = true
			jobs = append(jobs, job{kind: "function", name: f.name, size: f.size, sum: f.sum, hash: sha256.New, open: opener(p.functions, f.path, f.body), asked: f})
		}
	}
	for sum, found := range functions {
		if !found {
			missing[sum] = true
		}
	}
	if len(missing) > 0 {
		var sums []string
		for sum := range missing {
			sums = append(sums, sum)
		}
		slices.Sort(sums)
		return nil, fmt.Errorf("Netlify requires digests that it was not told of: %s", some(sums)) //nolint:staticcheck // a name
	}
	return jobs, nil
}

func opener(folder *os.Root, name string, body []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		if body != nil {
			return io.NopCloser(bytes.NewReader(body)), nil
		}
		return folder.Open(filepath.FromSlash(name))
	}
}

// upload sends what is required, some at a time. The first error ends all.
func (p *publication) upload(ctx context.Context, required *models.Deploy) error {
	jobs, err := p.jobs(required)
	if err != nil {
		return err
	}
	var total int64
	for _, j := range jobs {
		total += j.size
	}
	p.reporter.phase(PhaseUploading, len(jobs), total)
	outer := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan job)
	var workers sync.WaitGroup
	for range min(uploaders, len(jobs)) {
		workers.Go(func() {
			for j := range queue {
				if err := p.send(ctx, j); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, j := range jobs {
		if ctx.Err() != nil {
			break
		}
		queue <- j
	}
	close(queue)
	workers.Wait()
	if outer.Err() != nil {
		return ended(outer)
	}
	return context.Cause(ctx)
}

// send uploads one thing, as often as it takes.
func (p *publication) send(ctx context.Context, j job) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := p.ask(ctx, j.kind, func(ctx context.Context, repetition int) error { return p.put(ctx, j, repetition) })
	if err != nil {
		return p.lost(fmt.Sprintf("upload %s %q", j.kind, j.name), err)
	}
	p.reporter.add(1, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Uploads++
	p.stats.UploadedBytes += j.size
	return nil
}

func (p *publication) put(ctx context.Context, j job, repetition int) error {
	ctx, stop := limited(ctx, j.size)
	defer stop()
	from, err := j.open()
	if err != nil {
		return final("%w", err)
	}
	c := newContent(from, j.hash(), j.name, j.sum, j.size, func(n int64) { p.reporter.add(0, n) })
	if j.kind == "function" {
		_, err = p.ops.UploadDeployFunction(functionParams(ctx, p.deploy.ID, j, c, repetition), p.auth)
	} else {
		params := operations.NewUploadDeployFileParamsWithContext(ctx).WithDeployID(p.deploy.ID).WithPath(j.name).WithFileBody(c)
		_, err = p.ops.UploadDeployFile(params, p.auth)
	}
	if err != nil {
		p.reporter.add(0, -c.stop())
	}
	return err
}

func functionParams(ctx context.Context, deploy string, j job, c *content, repetition int) *operations.UploadDeployFunctionParams {
	params := operations.NewUploadDeployFunctionParamsWithContext(ctx).WithDeployID(deploy).WithName(j.name).WithFileBody(c).WithRuntime(&j.asked.runtime)
	if j.asked.mode != "" {
		params.SetInvocationMode(&j.asked.mode)
	}
	if j.asked.timeout != 0 {
		params.SetTimeout(&j.asked.timeout)
	}
	if repetition > 0 {
		n := int64(repetition)
		params.SetXNfRetryCount(&n)
	}
	return params
}

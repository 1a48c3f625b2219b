package netlify

import (
	"context"
	"crypto/sha1" // Netlify's choice
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/site"
	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

// A job is one upload.
type job struct {
	kind     string // of request: file or function
	name     string
	size     int64
	digest   string
	hash     func() hash.Hash
	open     func() (io.ReadCloser, error)
	function site.Function // of a function
}

// jobs returns the uploads that Netlify requires: one for each content of files, and
// one for each function.
func (p *publication) jobs(required *models.Deploy) ([]job, error) {
	var jobs []job
	missing := map[string]bool{}
	for _, digest := range required.Required {
		missing[digest] = true
	}
	for _, f := range p.site.Files {
		if missing[f.SHA1] {
			delete(missing, f.SHA1)
			jobs = append(jobs, job{kind: "file", name: f.Path, size: f.Size, digest: f.SHA1, hash: sha1.New,
				open: func() (io.ReadCloser, error) { return p.site.OpenFile(f) }})
		}
	}
	functions := map[string]bool{} // whether each digest was found
	for _, digest := range required.RequiredFunctions {
		functions[digest] = false
	}
	for _, f := range p.site.Functions {
		if _, ok := functions[f.SHA256]; ok {
			functions[f.SHA256] = true
			jobs = append(jobs, job{kind: "function", name: f.Name, size: f.Size, digest: f.SHA256, hash: sha256.New,
				open: func() (io.ReadCloser, error) { return p.site.OpenFunction(f) }, function: f})
		}
	}
	for digest, found := range functions {
		if !found {
			missing[digest] = true
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("Netlify requires digests that were not sent: %s", site.Some(slices.Sorted(maps.Keys(missing)))) //nolint:staticcheck // a name
	}
	return jobs, nil
}

// upload uploads what is required, five at a time. The first error ends all uploads.
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
		return contextError(outer)
	}
	return context.Cause(ctx)
}

// send does one upload, with retries.
func (p *publication) send(ctx context.Context, j job) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := p.do(ctx, j.kind, func(ctx context.Context, retries int) error { return p.put(ctx, j, retries) })
	if err != nil {
		return p.wrap(fmt.Sprintf("upload %s %q", j.kind, j.name), err)
	}
	p.reporter.add(1, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Uploads++
	p.stats.UploadedBytes += j.size
	return nil
}

func (p *publication) put(ctx context.Context, j job, retries int) error {
	ctx, stop := withTimeout(ctx, j.size)
	defer stop()
	from, err := j.open()
	if err != nil {
		return wire.Permanent("%w", err)
	}
	b := &wire.Body{ReadCloser: from, Name: j.name, Size: j.size, Digest: j.digest, Hash: j.hash(), Progress: func(n int64) { p.reporter.add(0, n) }}
	if j.kind == "function" {
		_, err = p.ops.UploadDeployFunction(functionParams(ctx, p.deploy.ID, j.function, b, retries), p.auth)
	} else {
		params := operations.NewUploadDeployFileParamsWithContext(ctx).WithDeployID(p.deploy.ID).WithPath(j.name).WithFileBody(b)
		_, err = p.ops.UploadDeployFile(params, p.auth)
	}
	if err != nil {
		p.reporter.add(0, -b.Mute())
	}
	return err
}

package scanning

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

// Planter returns what lays plants: into the job's scratch folder, with nothing of
// the workspace but its settings.
func Planter(git tree.Git) func(context.Context, scanner.Plant, scanner.Job) (scanner.Job, func(), error) {
	return func(ctx context.Context, p scanner.Plant, job scanner.Job) (scanner.Job, func(), error) {
		workspace := filepath.Join(job.Scratch, "workspace")
		t, r, err := tree.Lay(ctx, git, p.Files, p.Commit, workspace, filepath.Join(job.Scratch, "history"))
		if err != nil {
			return job, nil, err
		}
		job.Workspace, job.Tree, job.Range = workspace, t, r
		job.Images, job.Hosts, job.SARIF = p.Images, nil, nil
		job.Planted = true
		stop := func() {}
		if p.Serve != nil {
			host, end, err := p.Serve(ctx)
			if err != nil {
				return job, nil, errors.Join(err, os.RemoveAll(workspace))
			}
			job.Hosts, stop = []string{host}, end
		}
		return job, func() {
			stop()
			_ = os.RemoveAll(workspace)
		}, nil
	}
}

package forge

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/github/contents"
	"github.com/candlefish/deploy-action/internal/gitops"
)

// The values of the output gitops-status.
const (
	committed = "committed"
	proposed  = "proposed"
	same      = "unchanged"
	failed    = "failed"
)

// serving returns the image that a run has proven to serve, "" if it has proven none
// or changed nothing. A release whose image serves already is one, too: an earlier
// write may have failed.
func (f *Forge) serving(d *view.Delivery) string {
	if d == nil || d.Found == nil || d.Found.Record == nil || d.Planned || d.Asked || d.Unproven != nil || d.SaveErr != nil {
		return ""
	}
	switch word := f.run.StatusWord(d); {
	case word == "promoted" || d.Unchanged && word == "unchanged":
		return d.Found.Record.Image
	case word == "rolled-back":
		return d.Previous
	}
	return ""
}

// writeBack writes the image that serves into the GitOps repository.
func (f *Forge) writeBack(ctx context.Context, d *view.Delivery) {
	c, told := f.run.Cfg.Forge, &f.run.Told
	image := f.serving(d)
	if c.GitOpsRepo == "" || image == "" {
		return
	}
	record := d.Found.Record
	change := gitops.Change{
		Branch: c.GitOpsBranch, Path: c.GitOpsPath, Field: c.GitOpsField, Image: image, Mode: c.GitOpsMode,
		Proposal: proposal(record.Deployment, f.run.ID.ID),
		Title:    fmt.Sprintf("%s/%s: %s", record.Namespace, record.Deployment, image),
		Body:     "Serves all traffic since run " + f.run.ID.String() + ".",
	}
	written, err := f.write(ctx, change)
	switch {
	case err != nil:
		told.GitOps = failed
		f.run.Console.Warn(f.run.Action.Redact(fmt.Sprintf("%s serves, but %s does not have it: %v; %s", image, c.GitOpsRepo, err, byHand(c, image))))
	case written.Unchanged:
		told.GitOps = same
		f.run.Console.Logf("%s of %s has the image already", c.GitOpsPath, c.GitOpsRepo)
	default:
		told.GitOps, told.GitOpsPage = committed, written.Page
		if c.GitOpsMode == gitops.ModePullRequest {
			told.GitOps = proposed
		}
		f.run.Console.Logf("%s %s in %s: %s", told.GitOps, image, c.GitOpsRepo, written.Page)
	}
}

// write writes a change, unless the process has to end.
func (f *Forge) write(ctx context.Context, change gitops.Change) (gitops.Written, error) {
	if ctx.Err() != nil {
		return gitops.Written{}, fmt.Errorf("not written: %w", context.Cause(ctx))
	}
	c := f.run.Cfg.Forge
	if c.GitOpsToken == "" {
		return gitops.Written{}, fmt.Errorf("there is no token; set gitops-token")
	}
	api, err := client(f.run, c.GitOpsToken)
	if err != nil {
		return gitops.Written{}, err
	}
	repository, err := contents.New(api, c.GitOpsRepo)
	if err != nil {
		return gitops.Written{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return gitops.Write(ctx, repository, change)
}

// byHand says how to write an image without this run.
func byHand(c inputs.Forge, image string) string {
	again := "to write it, release " + image + " again, which changes nothing in the cluster"
	if name, ok := strings.CutPrefix(c.GitOpsField.String(), "kustomize:"); ok {
		return again + fmt.Sprintf("; or in %s, type: kustomize edit set image %s=%s", path.Dir(c.GitOpsPath), name, image)
	}
	return again + fmt.Sprintf("; or set %s in %s by hand", c.GitOpsField, c.GitOpsPath)
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// proposal returns the name of the branch of a pull request: another for each run, so
// that no run changes what somebody reviews.
func proposal(deployment, run string) string {
	return "candlefish/" + deployment + "-" + strings.Trim(unfit.ReplaceAllString(run, "-"), "-")
}

package netlifytest

import (
	"crypto/sha1" // Netlify's choice
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/netlify/open-api/v2/go/models"
)

// A deploy is a deploy with its content.
type deploy struct {
	models.Deploy
	files     map[string]string // path to SHA-1
	functions map[string]string // name to SHA-256
	wanted    []string          // digests that it required at first
	looks     int               // since it is in its state
	lost      int
	retries   []string // X-Nf-Retry-Count of functions
	rules     rules
	hidden    int // lists that do not have it yet
}

func (d *deploy) enter(state string) { d.State, d.looks = state, 0 }

// plan takes the files and functions that the deploy will have, and begins to wait for
// those that are missing.
func (d *deploy) plan(in models.DeployFiles, have contents, b Behaviour) {
	if in.Branch != "" {
		d.Branch = in.Branch
	}
	d.files, _ = in.Files.(map[string]string)
	d.functions, _ = in.Functions.(map[string]string)
	d.FunctionSchedules = in.FunctionSchedules
	d.wanted = nil
	for _, sums := range []map[string]string{d.files, d.functions} {
		for _, sum := range sums {
			if !have.sums[sum] && !slices.Contains(d.wanted, sum) {
				d.wanted = append(d.wanted, sum)
			}
		}
	}
	slices.Sort(d.wanted)
	if in.Async {
		d.enter("preparing")
		return
	}
	d.enter("uploading")
	d.require(have)
	d.settle(have, b)
}

// require sets the contents that are missing.
func (d *deploy) require(have contents) {
	d.Required, d.RequiredFunctions = []string{}, []string{}
	for _, sum := range d.wanted {
		switch {
		case have.sums[sum]:
		case len(sum) == sha1.Size*2:
			d.Required = append(d.Required, sum)
		default:
			d.RequiredFunctions = append(d.RequiredFunctions, sum)
		}
	}
}

// settle advances a complete deploy, unless it loses a content.
func (d *deploy) settle(have contents, b Behaviour) {
	if d.State != "uploading" && d.State != "prepared" || len(d.Required)+len(d.RequiredFunctions) > 0 {
		return
	}
	if d.lost < b.Lose && len(d.wanted) > 0 {
		d.lost++
		delete(have.sums, d.wanted[0])
		d.require(have)
		return
	}
	d.enter("uploaded")
}

// look advances a deploy by one read, and reports whether it became ready.
func (d *deploy) look(have contents, b Behaviour) (ready bool) {
	d.looks++
	switch d.State {
	case "preparing":
		if d.looks > b.Prepare {
			d.enter("prepared")
			d.require(have)
		}
	case "prepared", "uploading":
		d.require(have)
		d.settle(have, b)
	case "uploaded":
		d.enter("processing")
	case "processing":
		if b.Stuck || d.looks <= b.Process {
			return false
		}
		if b.Fail != "" {
			d.enter("error")
			d.ErrorMessage = b.Fail
			return false
		}
		d.enter("ready")
		return true
	}
	return false
}

// contents are what was uploaded, as files named by their digests. The Server locks which
// digests there are.
type contents struct {
	dir  string
	sums map[string]bool
}

func (c contents) path(sum string) string { return filepath.Join(c.dir, sum) }

// save stores what r has under its digest, if that is the one that is wanted.
func (c contents) save(r io.Reader, h hash.Hash, name, want string) error {
	f, err := os.CreateTemp(c.dir, "upload")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(f, h), r)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return refusal{http.StatusUnprocessableEntity, fmt.Sprintf("%s has digest %s, not %s", name, got, want)}
	}
	return os.Rename(f.Name(), c.path(want))
}

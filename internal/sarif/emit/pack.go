package emit

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
)

// Limits are what a reader takes of a file.
type Limits struct {
	Runs    int // of a file
	Results int // of a run
	Shown   int // of those, worst first
	Bytes   int // of a file, with gzip
}

// GitHub has the limits of code scanning,
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning#validating-your-sarif-file.
// Those of rules and locations cannot be reached by what is written here.
var GitHub = Limits{Runs: 20, Results: 25_000, Shown: 5_000, Bytes: 10_000_000}

// A File is one file to upload.
type File struct {
	Tools   []string // of its runs
	Results int
	Gzip    []byte
}

// Pack writes a document as one file or, if it is too large for one, as several. What
// fits in none is left out, the mildest first.
func (d Document) Pack(limits Limits) ([]File, []Left, error) {
	var left []Left
	runs := slices.Clone(d.Runs)
	for i, r := range runs {
		if n := len(r.Results); n > limits.Results {
			runs[i].Results = r.Results[:limits.Results]
			left = append(left, Left{r.Tool, "results", n - limits.Results, fmt.Sprintf("GitHub takes %d of a run, the worst are there", limits.Results)})
		}
		if n := len(runs[i].Results); n > limits.Shown {
			left = append(left, Left{r.Tool, hidden, n - limits.Shown, fmt.Sprintf("it shows the worst %d of a run", limits.Shown)})
		}
	}
	var files []File
	for part := range slices.Chunk(runs, limits.Runs) {
		d.Runs = part
		more, out, err := d.pack(limits)
		if err != nil {
			return nil, nil, err
		}
		files, left = append(files, more...), append(left, out...)
	}
	return files, left, nil
}

// hidden results are in a file and not shown.
const hidden = "hidden results"

// pack writes what has few enough runs, in halves if it is too large.
func (d Document) pack(limits Limits) ([]File, []Left, error) {
	f, err := d.file()
	if err != nil || len(f.Gzip) <= limits.Bytes {
		return []File{f}, nil, err
	}
	if n := len(d.Runs); n > 1 {
		first, second := d, d
		first.Runs, second.Runs = d.Runs[:n/2], d.Runs[n/2:]
		files, left, err := first.pack(limits)
		if err != nil {
			return nil, nil, err
		}
		more, out, err := second.pack(limits)
		return append(files, more...), append(left, out...), err
	}
	return d.shrink(len(f.Gzip), limits)
}

// shrink takes results from the end of the only run until it fits.
func (d Document) shrink(size int, limits Limits) ([]File, []Left, error) {
	r := d.Runs[0]
	all := len(r.Results)
	for len(r.Results) > 0 {
		r.Results = r.Results[:min(len(r.Results)-1, len(r.Results)*9/10*limits.Bytes/size)]
		d.Runs = []Run{r}
		f, err := d.file()
		if err != nil {
			return nil, nil, err
		}
		if size = len(f.Gzip); size <= limits.Bytes {
			return []File{f}, []Left{{r.Tool, "results", all - len(r.Results), fmt.Sprintf("GitHub takes %d MB with gzip, the worst are there", limits.Bytes/1e6)}}, nil
		}
	}
	return nil, nil, fmt.Errorf("write SARIF: the run of %s has %d bytes without any result, and %d are allowed", r.Tool, size, limits.Bytes)
}

func (d Document) file() (File, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := d.Write(z); err != nil {
		return File{}, err
	}
	if err := z.Close(); err != nil {
		return File{}, fmt.Errorf("write SARIF: %w", err)
	}
	f := File{Gzip: b.Bytes()}
	for _, r := range d.Runs {
		f.Tools = append(f.Tools, r.Tool)
		f.Results += len(r.Results)
	}
	return f, nil
}

// Package previewbench measures publishing a preview's site: a folder of 10,000 files
// and 500 MB of which 100 have changed, compared with netlify-cli on the same folder and
// against the same server, which is netlifytest on loopback.
//
// It reports the speed of hashing files compared with SHA-1 itself on all cores, the
// process's peak memory, the uploads and the duration. Both publishers run in their own
// processes, alternating, several times; medians count. The server's response times are
// negligible, so the rest is the publisher's own.
package previewbench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/netlify"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// ResultFile is the file for the results, below the repository's root.
const ResultFile = "out/bench-preview.json"

// The size of the benchmark.
const (
	files   = 10_000
	size    = 500 << 20
	changed = 100
	rounds  = 3
	token   = "the-token-of-the-bench"
)

// A Report is the output of the process that publishes.
type Report struct {
	Stats     netlify.Stats
	Seconds   float64
	PeakBytes int64
}

// A Publisher is the result of one publisher, as medians.
type Publisher struct {
	Name      string  `json:"name"`
	Seconds   float64 `json:"seconds"`         // of the whole process
	Slowest   float64 `json:"slowest_seconds"` // of all rounds
	PeakBytes int64   `json:"peak_rss_bytes"`  // the highest of all rounds
	Uploads   int     `json:"uploads"`         // PUTs of files
	Requests  int     `json:"requests"`
}

// A Result is the result of a run.
type Result struct {
	Files        int        `json:"files"`
	Bytes        int64      `json:"bytes"`
	Changed      int        `json:"changed"`
	Rounds       int        `json:"rounds"`
	Cores        int        `json:"cores"`
	HashingBytes float64    `json:"hashing_bytes_per_second"` // of the folder, as published
	PlainBytes   float64    `json:"plain_bytes_per_second"`   // of the folder, only read and hashed, on all cores
	SHA1Bytes    float64    `json:"sha1_bytes_per_second"`    // of memory, on all cores
	Ratio        float64    `json:"hashing_ratio"`            // to plain
	MemoryRatio  float64    `json:"hashing_ratio_to_memory"`
	Ours         Publisher  `json:"ours"`
	Peer         *Publisher `json:"peer,omitempty"`
	PeerMissing  string     `json:"peer_missing,omitempty"` // why the peer was not measured
}

// Run measures and prints a table. It needs the go command, and for the peer npm and its
// registry; without them it measures our publisher alone, and says so.
func Run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "previewbench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, site: filepath.Join(dir, "site"), out: out}
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	r.print(out)
	return r.write()
}

// A bench is one run.
type bench struct {
	dir, site string
	out       io.Writer
	known     []string // digests that the server has
	hashing   []float64
	plain     []float64
	memory    []float64
}

func (b *bench) run(ctx context.Context) (Result, error) {
	r := Result{Files: files, Changed: changed, Rounds: rounds, Cores: runtime.GOMAXPROCS(0)}
	fmt.Fprintf(b.out, "writing %d files of %d MB\n", files, size>>20)
	var err error
	if b.known, r.Bytes, err = fill(b.site); err != nil {
		return r, err
	}
	program := filepath.Join(b.dir, "publish")
	if said, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/candlefish/deploy-action/internal/devtools/bench/previewbench/publish").CombinedOutput(); err != nil {
		return r, fmt.Errorf("build the publisher: %w: %s", err, said)
	}
	p, err := install(ctx, b.out)
	if err != nil {
		r.PeerMissing = err.Error()
		fmt.Fprintf(b.out, "without netlify-cli: %v\n", err)
	}
	var ours, theirs []sample
	for round := range rounds {
		if err := change(b.site, round); err != nil {
			return r, err
		}
		if err := b.baselines(ctx); err != nil {
			return r, err
		}
		s, err := b.ours(ctx, program)
		if err != nil {
			return r, fmt.Errorf("our publisher: %w", err)
		}
		ours = append(ours, s)
		if p != nil {
			if s, err = b.theirs(ctx, p); err != nil {
				r.PeerMissing, p = err.Error(), nil
				fmt.Fprintf(b.out, "without netlify-cli: %v\n", err)
				continue
			}
			theirs = append(theirs, s)
		}
		fmt.Fprintf(b.out, "round %d of %d done\n", round+1, rounds)
	}
	r.HashingBytes, r.PlainBytes, r.SHA1Bytes = median(b.hashing), median(b.plain), median(b.memory)
	r.Ratio, r.MemoryRatio = r.HashingBytes/r.PlainBytes, r.HashingBytes/r.SHA1Bytes
	r.Ours = summary("ours", ours)
	if r.PeerMissing == "" {
		peer := summary(p.name, theirs)
		r.Peer = &peer
	}
	return r, nil
}

// baselines measures what hashing is compared with.
func (b *bench) baselines(ctx context.Context) error {
	memory, err := memorySpeed(ctx)
	if err != nil {
		return err
	}
	plain, err := plainSpeed(ctx, b.site)
	b.memory, b.plain = append(b.memory, memory), append(b.plain, plain)
	return err
}

// A sample is one run of a publisher.
type sample struct {
	seconds  float64
	peak     int64
	requests map[string]int
}

// server starts a server that has all contents but the changed ones.
func (b *bench) server() (*netlifytest.Server, func() []string, error) {
	a := &answers{}
	s, err := netlifytest.New(netlifytest.Options{SiteID: siteID, Token: token, CLI: true, Also: a.answer, Unexpected: a.note})
	if err != nil {
		return nil, nil, err
	}
	s.Know(b.known...)
	return s, a.unknown, nil
}

func (b *bench) ours(ctx context.Context, program string) (sample, error) {
	s, unknown, err := b.server()
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = s.Close() }()
	cmd := exec.CommandContext(ctx, program, s.URL(), siteID, b.site, "pr-1")
	cmd.Env = []string{"NETLIFY_AUTH_TOKEN=" + token, "DEBUG=1"} // which must not make the client print the token
	got, said, err := measured(cmd)
	if err != nil {
		return got, err
	}
	var report Report
	if err := json.Unmarshal(said, &report); err != nil {
		return got, fmt.Errorf("read its report: %w: %s", err, said)
	}
	got.peak, got.requests = max(got.peak, report.PeakBytes), s.Requests()
	b.hashing = append(b.hashing, float64(report.Stats.Bytes)/report.Stats.Hashing.Seconds())
	return got, complete(s, unknown())
}

// complete verifies what was published.
func complete(s *netlifytest.Server, unknown []string) error {
	all := s.Deploys()
	if len(all) != 1 || all[0].State != "ready" || len(all[0].Files) < files {
		return fmt.Errorf("the server does not have one deploy of %d files that is ready; it was also asked %q", files, unknown)
	}
	return nil
}

// measured runs a process and measures its memory. The error of a failed one contains the
// end of its output; output with the token is an error of its own.
func measured(cmd *exec.Cmd) (sample, []byte, error) {
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, nil, err
	}
	done, watched := make(chan struct{}), make(chan int64)
	go func() { watched <- watch(cmd.Process.Pid, done) }()
	err := cmd.Wait()
	took := time.Since(begun)
	close(done)
	s := sample{seconds: took.Seconds(), peak: <-watched}
	if strings.Contains(out.String()+errs.String(), token) {
		return s, nil, errors.New("it prints the token")
	}
	if err != nil {
		return s, nil, fmt.Errorf("%w: %s", err, tail(out.String()+errs.String()))
	}
	return s, []byte(out.String()), nil
}

func tail(text string) string {
	text = strings.TrimSpace(text)
	return strings.ToValidUTF8(text[max(0, len(text)-1000):], "")
}

// watch reads the peak of a process's memory until it is done.
func watch(pid int, done <-chan struct{}) int64 {
	var peak int64
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			peak = max(peak, PeakOf(f))
			_ = f.Close()
		}
		select {
		case <-done:
			return peak
		case <-ticker.C:
		}
	}
}

// PeakOf is the VmHWM of a /proc/PID/status, in bytes; 0 if it has none.
func PeakOf(status io.Reader) int64 {
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			if err == nil {
				return n << 10
			}
		}
	}
	return 0
}

func summary(name string, samples []sample) Publisher {
	p := Publisher{Name: name}
	var seconds []float64
	for _, s := range samples {
		seconds = append(seconds, s.seconds)
		p.PeakBytes = max(p.PeakBytes, s.peak)
		p.Uploads, p.Requests = max(p.Uploads, s.requests["file"]), 0
		for _, n := range s.requests {
			p.Requests += n
		}
	}
	p.Seconds, p.Slowest = median(seconds), slices.Max(seconds)
	return p
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func (r Result) print(out io.Writer) {
	fmt.Fprintf(out, "\n%d files, %d MB, %d changed; %d cores; medians of %d rounds\n", r.Files, r.Bytes>>20, r.Changed, r.Cores, r.Rounds)
	fmt.Fprintln(out, "about 2 s of each time are the server's states, which both publishers poll once a second")
	fmt.Fprintf(out, "hashing %.0f MB/s; the same files opened, read and hashed, and nothing else, %.0f MB/s (%.0f %%); SHA-1 of memory %.0f MB/s (%.0f %%); on all cores\n\n",
		r.HashingBytes/1e6, r.PlainBytes/1e6, 100*r.Ratio, r.SHA1Bytes/1e6, 100*r.MemoryRatio)
	fmt.Fprintf(out, "| %-20s | %8s | %8s | %9s | %8s | %8s |\n|%s\n", "", "time", "slowest", "peak RSS", "uploads", "requests", strings.Repeat("-", 78)+"|")
	for _, p := range []*Publisher{&r.Ours, r.Peer} {
		if p != nil {
			fmt.Fprintf(out, "| %-20s | %6.2f s | %6.2f s | %6d MB | %8d | %8d |\n", p.Name, p.Seconds, p.Slowest, p.PeakBytes>>20, p.Uploads, p.Requests)
		}
	}
	if r.PeerMissing != "" {
		fmt.Fprintf(out, "netlify-cli was not measured: %s\n", r.PeerMissing)
	}
}

func (r Result) write() error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(ResultFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(ResultFile, append(raw, '\n'), 0o644)
}

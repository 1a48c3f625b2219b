package recorded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// moments are the mean, the variance and the correlation at a lag.
func moments(xs []float64, lag int) (mean, variance, correlation float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	var together float64
	for i, x := range xs {
		variance += (x - mean) * (x - mean)
		if i >= lag {
			together += (x - mean) * (xs[i-lag] - mean)
		}
	}
	return mean, variance / float64(len(xs)), together / variance
}

// The stationary bootstrap of a series with the correlation ρ(k) has its mean, its
// variance, and the correlation (1-p)^k ρ(k), where p is the probability of a new
// block.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 5000)
	s := make(Series, len(values))
	for i := range values {
		if values[i] = r.NormFloat64(); i > 0 {
			values[i] += 0.95 * values[i-1]
		}
		s[i] = []float64{values[i]}
	}
	p := s.Path(r)
	got := make([]float64, 400_000)
	for i := range got {
		got[i] = p.At((float64(i) + 0.5) * Window)[0]
	}
	near := func(what string, got, want, distance float64) {
		if math.Abs(got-want) > distance {
			t.Errorf("%s = %g, want %g ± %g", what, got, want, distance)
		}
	}
	for _, lag := range []int{1, 10, 20} {
		mean, variance, correlation := moments(values, lag)
		m, v, c := moments(got, lag)
		near("mean", m, mean, 0.3)
		near("variance", v, variance, 0.1*variance)
		near("correlation", c, math.Pow(1-Window/MeanBlock, float64(lag))*correlation, 0.04)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	long.WriteString("# a comment\n")
	for i := range 300 {
		if i != 7 {
			fmt.Fprintf(&long, "%.2f %.3f\n%.2f 0.5\n", float64(i)/10+0.01, float64(i)/1000, float64(i)/10+0.05)
		}
	}
	path := filepath.Join(t.TempDir(), "series")
	if err := os.WriteFile(path, []byte(long.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil || len(s) != 300 {
		t.Fatalf("%d windows, %v, want 300", len(s), err)
	}
	if got, want := fmt.Sprint(s[6], s[7], s[8]), "[0.006 0.5] [0.006 0.5] [0.008 0.5]"; got != want {
		t.Errorf("windows 6 to 8 = %s, want %s", got, want)
	}
	for _, text := range []string{"", "0.1 0.2\n", "0 x\n", "-1 0.1\n", "NaN 0.1\n", "1 Inf\n", "1e9 0.1\n", "0.1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Read(%q) = %d windows, %v, want an error that names the file", text, len(s), err)
		}
	}
}

// What a recording writes is what the requests took; those that failed are counted.
func TestRecording(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		calls := 0
		n, failed := recordTo(t.Context(), &text, 30*time.Second, func(context.Context) error {
			if calls++; calls%10 == 0 {
				return errors.New("refused")
			}
			time.Sleep(20 * time.Millisecond)
			return nil
		})
		if lines := strings.Count(text.String(), " 0.020000\n"); lines != n || failed < calls/10-1 || n+failed < calls-5 {
			t.Errorf("%d lines of 20 ms, %d latencies, %d failed of %d requests", lines, n, failed, calls)
		}
		if calls < 30*recordRate-2 || calls > 30*recordRate {
			t.Errorf("%d requests, want %d", calls, 30*recordRate)
		}
	})
}

func TestWorkerAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&worker{outside: func() {}, cache: map[int][]byte{}})
	defer server.Close()
	for range 20 {
		if err := get(t.Context(), server.URL); err != nil {
			t.Fatal(err)
		}
	}
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	if err := get(t.Context(), refusing.URL); err == nil {
		t.Error("a 404 counts as an answer")
	}
}

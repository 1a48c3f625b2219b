package baseline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/finding"
)

// random returns sightings of all kinds, with equal lines and shared names.
func random(r *rand.Rand, n int) []finding.Sighting {
	var in []finding.Sighting
	for range n {
		s := []finding.Sighting{
			dependency("osv-scanner", fmt.Sprint("GHSA-", r.IntN(n)), fmt.Sprint("CVE-2021-", r.IntN(n))), dependency("trivy-fs", fmt.Sprint("CVE-2021-", r.IntN(n))),
			secret("f", fmt.Sprint(r.IntN(9)), []string{"", "c1", "c2"}[r.IntN(3)]), code(r.IntN(50), []string{"a", "b", ""}[r.IntN(3)]), image("1"), host(),
		}[r.IntN(6)]
		in = append(in, s)
	}
	return in
}

// Run twice, nothing is new, fixed or unknown, and the next baseline is the same but
// for its time. In another run the secrets have other hashes.
func TestTheSameScanTwice(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		in := random(r, 1+int(seed))
		base := saved(t, Of(finding.Merge(in), all(monday)))
		for i := range in {
			if in[i].Secret.Hash != "" {
				in[i].Secret.Hash = "another run " + in[i].Secret.Hash
			}
		}
		r.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		found := finding.Merge(in)
		c := Compare(found, base, all(tuesday))
		if len(c.Fixed)+len(c.Unknown)+len(c.Notes) > 0 {
			t.Fatalf("seed %d: fixed %v, unknown %v, notes %q", seed, c.Fixed, c.Unknown, c.Notes)
		}
		for _, f := range c.Findings {
			if f.State != finding.StateExisting || !c.First[f.ID].Equal(monday) {
				t.Fatalf("seed %d: %+v is %s, first seen %v", seed, f, f.State, c.First[f.ID])
			}
		}
		next := saved(t, Update(base, found, all(tuesday)))
		if diff := cmp.Diff(base.Entries, next.Entries, cmpopts.IgnoreUnexported(Baseline{})); diff != "" || !next.At.Equal(tuesday) {
			t.Fatalf("seed %d: at %v (-first +second):\n%s", seed, next.At, diff)
		}
	}
}

// Whatever a scan misses because a tool is down is not fixed, and is known again
// when the tool is back.
func TestAToolThatIsDown(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 6))
		in := random(r, 1+int(seed))
		whole := finding.Merge(in)
		down := all(monday).Tools[r.IntN(6)]
		var rest []finding.Sighting
		for _, s := range in {
			if s.Tool != down {
				rest = append(rest, s)
			}
		}
		base := saved(t, Of(whole, all(monday)))
		base = saved(t, Update(base, finding.Merge(rest), all(tuesday, down)))
		c := Compare(whole, base, all(tuesday))
		for _, f := range c.Findings {
			if f.State != finding.StateExisting || !c.First[f.ID].Equal(monday) {
				t.Fatalf("seed %d, %s was down: %+v is %s, first seen %v", seed, down, f, f.State, c.First[f.ID])
			}
		}
		if len(c.Fixed) > 0 {
			t.Fatalf("seed %d, %s was down: fixed %+v", seed, down, c.Fixed)
		}
	}
}

// BenchmarkReadAndCompare has a baseline of 100,000 findings.
func BenchmarkReadAndCompare(b *testing.B) {
	var in []finding.Sighting
	for i := range 100_000 {
		in = append(in, code(i, fmt.Sprint("line ", i)))
	}
	found := finding.Merge(in)
	var file bytes.Buffer
	if err := Write(&file, Of(found, all(monday))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		base, err := Read(bytes.NewReader(file.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if c := Compare(found, base, all(tuesday)); len(c.Fixed) > 0 {
			b.Fatal("fixed")
		}
	}
}

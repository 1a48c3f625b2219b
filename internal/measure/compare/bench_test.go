package compare

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Comparing takes little beside measuring, which takes minutes.
func BenchmarkCompare(b *testing.B) {
	for _, s := range []run{
		{families: 12, strata: 1, rounds: 5}, {families: 12, strata: 2, rounds: 5}, {families: 5, strata: 8, rounds: 8},
		{families: 5, strata: 1, rounds: 20}, {families: 5, strata: 20, rounds: 8},
	} {
		s.noise = noises["lognormal"]
		series := s.series(rand.New(rand.NewPCG(1, 1)))
		b.Run(fmt.Sprintf("%d metrics %d subjects %d rounds", s.families, s.strata, s.rounds), func(b *testing.B) {
			for b.Loop() {
				Compare(series, DefaultRule())
			}
		})
	}
}

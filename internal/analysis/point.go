package analysis

import "github.com/candlefish/deploy-action/internal/analysis/evidence"

// What the judge is fed with is defined where it is turned into evidence.
type (
	// A Point is what a source measured of one version.
	Point = evidence.Point
	// A Bucket is latencies within bounds.
	Bucket = evidence.Bucket
	// Wrong is a way in which an answer is wrong without being an error; it is
	// the name of its Check, too.
	Wrong = evidence.Wrong
	// A Number is a float64 whose JSON can say NaN, +Inf and -Inf.
	Number = evidence.Number
)

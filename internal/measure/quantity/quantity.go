// Package quantity prints values with their units as people read them: "2.5 s", "61.2
// kB", "85 of 100", "1.2 %".
package quantity

import (
	"math"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Significant digits: maxDigits tell two values apart at most; exactDigits leave out the
// error of binary numbers, 0.07 * 100 being a little more than 7.
const (
	maxDigits   = 7
	exactDigits = 15
)

// Value is a value with its unit, to 3 significant digits: "2.5 s", "12.3 kB", "85 of
// 100", "1.2 %". One that is no finite number is "–".
func Value(u measure.Unit, v float64) string { return value(u, v, 3) }

// Beside is Value with as many digits as it takes to tell the value from another one:
// "2.501 s" beside "2.5 s". Both must be printed by it.
func Beside(u measure.Unit, v, other float64) string {
	for digits := 3; digits < maxDigits; digits++ {
		if s := value(u, v, digits); v == other || s != value(u, other, digits) {
			return s
		}
	}
	return value(u, v, maxDigits)
}

// Exact is Value with all digits that a person wrote: "2.5 s", "61.24 kB".
func Exact(u measure.Unit, v float64) string { return value(u, v, exactDigits) }

// Signed is a difference of two values: "+180 ms", "-0.02", "-3 points".
func Signed(u measure.Unit, v float64) string {
	switch {
	case !finite(v):
		return "–"
	case v == 0:
		return "±" + value(u, 0, 3)
	case v < 0:
		return "-" + Size(u, v)
	}
	return "+" + Size(u, v)
}

// Size is how large a difference of two values is: "180 ms", "0.02", "3 points".
func Size(u measure.Unit, v float64) string {
	switch v = math.Abs(v); {
	case !finite(v):
		return "–"
	case u == measure.Score:
		return digits(100*v, 3) + " points"
	case u == measure.Share:
		return digits(100*v, 3) + " percentage points"
	}
	return value(u, v, 3)
}

// Relative is a difference and its share of what it is relative to: "8 % (120 ms)";
// without the share if that is 0.
func Relative(u measure.Unit, v, of float64) string {
	if of == 0 || !finite(v/of) {
		return Size(u, v)
	}
	return Percent(math.Abs(v/of)) + " (" + Size(u, v) + ")"
}

// SignedPercent is a share that something changed by: "+8 %", "-0.31 %".
func SignedPercent(share float64) string {
	if share < 0 {
		return "-" + Percent(-share)
	}
	return "+" + Percent(share)
}

// Percent is a share of something: "8 %", "0.31 %".
func Percent(share float64) string {
	if !finite(share) {
		return "–"
	}
	n := 2
	if math.Abs(share) >= 0.995 {
		n = 3
	}
	return digits(100*share, n) + " %"
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func value(u measure.Unit, v float64, n int) string {
	if !finite(v) {
		return "–"
	}
	switch u {
	case measure.Milliseconds:
		return scaled(v/1000, n, times)
	case "s":
		return scaled(v, n, times)
	case "sec/op":
		return scaled(v, n, times) + "/op"
	case "ns/op":
		return scaled(v/1e9, n, times) + "/op"
	case measure.Bytes:
		return scaled(v, n, sizes)
	case "B/op":
		return scaled(v, n, sizes) + "/op"
	case measure.Share:
		return digits(100*v, n) + " %"
	case measure.Score:
		return digits(100*v, n) + " of 100"
	case measure.PerSecond:
		return digits(v, n) + "/s"
	case measure.Count, measure.Shift, "":
		return digits(v, n)
	}
	return digits(v, n) + " " + plain.Text(string(u), 20)
}

// A scale is a multiple of a unit.
type scale struct {
	from float64 // values of this size and above
	name string
}

var (
	times = []scale{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}}
	sizes = []scale{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}
)

func scaled(v float64, n int, scales []scale) string {
	if v == 0 {
		for _, s := range scales {
			if s.name == "ms" || s.name == "B" {
				return "0 " + s.name
			}
		}
	}
	last := scales[len(scales)-1]
	for _, s := range scales {
		if math.Abs(v) >= s.from*(1-0.5*math.Pow(10, -float64(n))) { // 999.9 ms is 1 s
			return digits(v/s.from, n) + " " + s.name
		}
	}
	return digits(v/last.from, n) + " " + last.name
}

// digits prints n significant digits, all of a whole part, and groups those by three.
func digits(v float64, n int) string {
	decimals := 0
	if v != 0 {
		decimals = max(0, n-1-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	const most = 12
	s := strconv.FormatFloat(v, 'f', min(decimals, most), 64)
	whole, rest, dot := strings.Cut(s, ".")
	if rest = strings.TrimRight(rest, "0"); dot && rest != "" {
		rest = "." + rest
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if whole == "0" && rest == "" {
		sign = ""
	}
	return sign + whole + rest
}

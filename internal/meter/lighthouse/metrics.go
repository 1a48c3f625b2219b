package lighthouse

import "github.com/candlefish/deploy-action/internal/measure"

// must are the audits that every version has for every page that was measured.
var must = []string{
	"first-contentful-paint", "largest-contentful-paint", "cumulative-layout-shift", "total-blocking-time", "speed-index",
	"interactive", "max-potential-fid",
}

// metrics are those with titles, and floors of their own.
var metrics = map[string]measure.Metric{
	"first-contentful-paint":   timing("First Contentful Paint", 100, 0.05, true),
	"largest-contentful-paint": timing("Largest Contentful Paint", 100, 0.05, true),
	"total-blocking-time":      timing("Total Blocking Time", 50, 0.10, true),
	"speed-index":              timing("Speed Index", 100, 0.05, true),
	"cumulative-layout-shift": {
		Title: "Cumulative Layout Shift", Unit: measure.Shift, Better: measure.Lower, Compared: true,
		Floor: measure.Floor{Absolute: 0.01, Relative: 0.05},
	},
	"interactive":               timing("Time to Interactive", 100, 0.05, false),
	"max-potential-fid":         timing("Max Potential First Input Delay", 50, 0.10, false),
	"mainthread-work-breakdown": timing("Work of the main thread", 100, 0.10, false),
	"bootup-time":               timing("Time in scripts", 50, 0.10, false),
	"server-response-time":      timing("Server response time", 50, 0.10, false),

	"performance":    score("Performance"),
	"accessibility":  score("Accessibility"),
	"best-practices": score("Best practices"),
	"seo":            score("SEO"),
	"pwa":            score("Progressive web app"),

	"unused-css-rules.bytes":  size("Unused CSS"),
	"unused-javascript.bytes": size("Unused JavaScript"),
	"total-byte-weight":       size("All that is loaded"),

	"resource-summary:total:size":       size("Size of all resources"),
	"resource-summary:script:size":      size("Size of scripts"),
	"resource-summary:stylesheet:size":  size("Size of style sheets"),
	"resource-summary:image:size":       size("Size of images"),
	"resource-summary:font:size":        size("Size of fonts"),
	"resource-summary:third-party:size": size("Size of what is from other sites"),

	"benchmark-index": {
		Title: "Speed of the machine (benchmark index)", Unit: measure.Count, Better: measure.Higher,
		Floor: measure.Floor{Absolute: 100, Relative: 0.1},
	},
}

func timing(title string, absolute, relative float64, compared bool) measure.Metric {
	return measure.Metric{
		Title: title, Unit: measure.Milliseconds, Better: measure.Lower, Compared: compared,
		Floor: measure.Floor{Absolute: absolute, Relative: relative},
	}
}

func score(title string) measure.Metric {
	return measure.Metric{Title: title, Unit: measure.Score, Better: measure.Higher, Floor: measure.Floor{Absolute: 0.03}}
}

func size(title string) measure.Metric {
	return measure.Metric{Title: title, Unit: measure.Bytes, Better: measure.Lower, Floor: measure.Floor{Absolute: 1024, Relative: 0.02}}
}

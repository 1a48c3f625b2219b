package lighthouse

import (
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/meter"
)

// A device is what a page is loaded on, emulated. The network and the processor are
// simulated: Lighthouse loads the page as fast as it comes, and computes from what
// depends on what how long it would have taken (throttling method "simulate").
type device struct {
	screen     screen
	throttling throttling
	userAgent  string
}

type screen struct {
	Mobile   bool    `json:"mobile"`
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	Scale    float64 `json:"deviceScaleFactor"`
	Disabled bool    `json:"disabled"`
}

type throttling struct {
	RTT  float64 `json:"rttMs"`
	Kbps float64 `json:"throughputKbps"`
	CPU  float64 `json:"cpuSlowdownMultiplier"`
	// The others are of the method "devtools", which is not used.
	Latency  float64 `json:"requestLatencyMs"`
	Download float64 `json:"downloadThroughputKbps"`
	Upload   float64 `json:"uploadThroughputKbps"`
}

// devices have user agents of a fixed version, as Lighthouse's own: a site that looks at
// them answers the same to every version of the browser.
var devices = map[meter.Device]device{
	meter.Desktop: {
		screen{Width: 1350, Height: 940, Scale: 1}, throttling{RTT: 40, Kbps: 10240, CPU: 1},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/136.0.0.0 Safari/537.36",
	},
	meter.Mobile: {
		screen{Mobile: true, Width: 360, Height: 640, Scale: 2.625}, throttling{RTT: 150, Kbps: 1638.4, CPU: 4},
		"Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/136.0.0.0 Mobile Safari/537.36",
	},
}

// The versions of Lighthouse whose reports are known.
const (
	firstMajor = 10
	lastMajor  = 13
	lastPWA    = 11 // has the category pwa
)

// categories are those that a version of Lighthouse has.
func categories(major int) []string {
	all := []string{"performance", "accessibility", "best-practices", "seo"}
	if major > 0 && major <= lastPWA {
		all = append(all, "pwa")
	}
	return all
}

// major is the first number of a version; 0 if it has none.
func major(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// Publish publishes one folder, in a process of its own whose memory can be measured:
//
//	publish API SITE FOLDER ALIAS
//
// The token is in NETLIFY_AUTH_TOKEN. It prints what it took, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/bench/previewbench"
	"github.com/candlefish/deploy-action/internal/netlify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("want API SITE FOLDER ALIAS, not %q", args)
	}
	a := netlify.Account{Token: os.Getenv("NETLIFY_AUTH_TOKEN"), BaseURL: args[0]}
	begun := time.Now()
	_, stats, err := a.Publish(ctx, netlify.Upload{SiteID: args[1], Dir: args[2], Alias: args[3], Title: "bench"})
	if err != nil {
		return err
	}
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(previewbench.Report{
		Stats: stats, Seconds: time.Since(begun).Seconds(), PeakBytes: previewbench.PeakOf(strings.NewReader(string(raw))),
	})
}

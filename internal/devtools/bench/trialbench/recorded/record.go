package recorded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Rates of a recording, in requests per second.
const (
	recordRate = 200
	loadRate   = 300 // beside it, on the server of our own
)

// timeout of one request.
const timeout = 5 * time.Second

// Record writes the latencies of a server to a file, for a length of time. The server
// is the one at url, under whatever load it has; if url is empty, it is one of our own
// on loopback, under a load with which it shares its garbage collector.
func Record(ctx context.Context, out io.Writer, file, url string, length time.Duration) error {
	if url == "" {
		var stop func()
		var err error
		if url, stop, err = serveUnderLoad(ctx); err != nil {
			return err
		}
		defer stop()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "# seconds since the begin, latency in seconds; %d requests/s\n", recordRate)
	fmt.Fprintf(out, "recording %s for %s\n", url, length)
	n, failed := recordTo(ctx, w, length, func(ctx context.Context) error { return get(ctx, url) })
	fmt.Fprintf(out, "%d latencies in %s; %d requests failed and are left out\n", n, file, failed)
	return errors.Join(ctx.Err(), w.Flush(), f.Close())
}

// recordTo writes the latencies of a stream of requests, and counts them and those
// that failed.
func recordTo(ctx context.Context, w io.Writer, length time.Duration, request func(context.Context) error) (n, failed int) {
	var mu sync.Mutex
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	stream(ctx, recordRate, func() {
		sent := time.Now()
		err := request(ctx)
		took := time.Since(sent)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			n++
			fmt.Fprintf(w, "%.4f %.6f\n", sent.Sub(began).Seconds(), took.Seconds())
		case ctx.Err() == nil:
			failed++
		}
	})
	return n, failed
}

// stream calls request at a rate per second, each call on its own, until ctx ends and
// all calls have returned.
func stream(ctx context.Context, rate int, request func()) {
	var open sync.WaitGroup
	defer open.Wait()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			open.Go(request)
		}
	}
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // all of it was read
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode >= 400 {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// serveUnderLoad starts a server and a load on it. stop ends both.
func serveUnderLoad(ctx context.Context) (url string, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: &worker{outside: query, cache: map[int][]byte{}}, ReadHeaderTimeout: timeout}
	url = "http://" + l.Addr().String() + "/"
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) }) // ends with Close
	running.Go(func() { stream(ctx, loadRate, func() { _ = get(ctx, url) }) })
	return url, func() {
		cancel()
		_ = server.Close()
		running.Wait()
	}, nil
}

// A worker answers with what a small web service does: it waits for something outside,
// looks into a cache behind a lock, and on a miss makes a list, sorts it and writes it
// as JSON. Once in a while it drops the whole cache. The wait makes the latencies
// those of a service, a dozen milliseconds; their spread, bursts and pauses are the
// machine's.
type worker struct {
	outside func() // the wait
	mu      sync.Mutex
	cache   map[int][]byte
}

// ServeHTTP implements http.Handler.
func (k *worker) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	k.outside()
	key := int(rand.ExpFloat64() * 500)
	k.mu.Lock()
	page, ok := k.cache[key]
	k.mu.Unlock()
	if !ok {
		page = render(key)
		k.mu.Lock()
		if len(k.cache) > 2000 {
			clear(k.cache)
		}
		k.cache[key] = page
		k.mu.Unlock()
	}
	_, _ = w.Write(page) // the client may have gone
}

// query takes as long as a query of a database: 8 ms and an exponential rest of 6 ms.
func query() { time.Sleep(8*time.Millisecond + time.Duration(rand.ExpFloat64()*6e6)) }

func render(key int) []byte {
	items := make([]map[string]string, 200)
	for i := range items {
		items[i] = map[string]string{"id": strconv.Itoa(rand.IntN(1e6)), "of": strconv.Itoa(key)}
	}
	slices.SortFunc(items, func(a, b map[string]string) int { return len(a["id"]) - len(b["id"]) })
	page, _ := json.Marshal(items) // texts alone
	return page
}

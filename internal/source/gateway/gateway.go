// Package gateway reads a gateway's own request counters, in Prometheus' text format,
// straight from the gateway: a server that scrapes it would be seconds behind. They
// stand in for the probe stream where answers carry no version.
//
// It knows the counters that tell the backends of one route apart (Traefik's per
// service, Istio's per destination) and refuses a gateway that has none, since a number
// that mixes versions says nothing about either.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ErrNoCounters says that the metrics hold no request counter per backend.
var ErrNoCounters = errors.New("no request counter tells the backends apart")

// maxSize bounds one reading, in bytes: a gateway of a thousand services writes some
// MiB.
const maxSize = 16 << 20

// Counts are requests since the gateway started.
type Counts struct {
	Total, Failed uint64 // failed: answered with a status of 500 or more
}

// Since is what was added to an earlier reading. A counter that is smaller
// than before has started anew, so all of it is new.
func (c Counts) Since(earlier Counts) Counts {
	if c.Total < earlier.Total || c.Failed < earlier.Failed {
		return c
	}
	return Counts{Total: c.Total - earlier.Total, Failed: c.Failed - earlier.Failed}
}

// A Source is one gateway's metrics.
type Source struct {
	URL       string
	Namespace string
	Client    *http.Client // nil for the default one
}

// pollInterval is the interval between the readings of Poll.
const pollInterval = 500 * time.Millisecond

// Poll reads until ctx ends, and calls counted with each reading and its beginning. A
// failed reading adds nothing.
func (s Source) Poll(ctx context.Context, services []string, counted func(now []Counts, began time.Time)) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		attempt, cancel := context.WithTimeout(ctx, 4*pollInterval)
		now, err := s.Read(attempt, services...)
		cancel()
		if err == nil {
			counted(now, began)
		}
	}
}

// Read returns the counts of each of the Services, in their order. A Service
// without a counter has had no request. ErrNoCounters is returned when the
// metrics have none for any backend at all.
func (s Source) Read(ctx context.Context, services ...string) ([]Counts, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("read gateway metrics: %w", err)
	}
	client := http.Client{}
	if s.Client != nil {
		client = *s.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the address, which may have credentials in it
		}
		return nil, fmt.Errorf("read gateway metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read gateway metrics: %s", resp.Status)
	}
	limited := &io.LimitedReader{R: resp.Body, N: maxSize + 1}
	counts, err := parse(limited, s.Namespace, services)
	if limited.N <= 0 { // half of an answer must not pass for a whole one
		return nil, fmt.Errorf("read gateway metrics: there are more than %d MiB", maxSize>>20)
	}
	return counts, err
}

func parse(r io.Reader, namespace string, services []string) ([]Counts, error) {
	families, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("read gateway metrics: %w", err)
	}
	counts := make([]Counts, len(services))
	known := false
	for _, kind := range kinds {
		family := families[kind.name]
		if family == nil {
			continue
		}
		known = true
		for _, m := range family.Metric {
			for i, service := range services {
				if !kind.is(labels(m), namespace, service, services) {
					continue
				}
				if err := counts[i].add(m, kind.code); err != nil {
					return nil, fmt.Errorf("read gateway metrics: %s of %s: %w", kind.name, service, err)
				}
			}
		}
	}
	if !known {
		return nil, fmt.Errorf("read gateway metrics: %w", ErrNoCounters)
	}
	return counts, nil
}

// decode turns a panic of the library into an error: fuzzing found lines at
// which its text parser uses a metric that it has not begun ("{}", for one).
// What a server sends must not end a rollout.
func decode(r io.Reader) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if p := recover(); p != nil {
			families, err = nil, fmt.Errorf("malformed text: %v", p)
		}
	}()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(r)
}

func labels(m *dto.Metric) map[string]string {
	l := make(map[string]string, len(m.Label))
	for _, pair := range m.Label {
		l[pair.GetName()] = pair.GetValue()
	}
	return l
}

// add adds one counter. What is no number of requests is an error: the largest one that
// a float64 counts one by one is 2^53.
func (c *Counts) add(m *dto.Metric, code string) error {
	v := m.GetCounter().GetValue() + m.GetUntyped().GetValue()
	if !(v >= 0 && v <= 1<<53) {
		return fmt.Errorf("%v is no count", v)
	}
	c.Total += uint64(v)
	if strings.HasPrefix(labels(m)[code], "5") || labels(m)[code] == "0" { // Istio's code for no answer
		c.Failed += uint64(v)
	}
	return nil
}

// A kind is one gateway's counter.
type kind struct {
	name, code string
	is         func(labels map[string]string, namespace, service string, all []string) bool
}

var kinds = []kind{
	{"traefik_service_requests_total", "code", traefik},
	{"istio_requests_total", "response_code", func(l map[string]string, namespace, service string, _ []string) bool {
		return l["destination_service_name"] == service && l["destination_service_namespace"] == namespace
	}},
}

func traefik(l map[string]string, namespace, service string, all []string) bool {
	return TraefikService(l["service"], namespace, service, all)
}

// TraefikService reports whether Traefik's label service is a Service of a namespace,
// where all are the Services that it may be. Traefik names a backend
// NAMESPACE-SERVICE-PORT@kubernetesgateway, with the port's name before its number if
// it has one. A name that fits two Services is the longer one's.
func TraefikService(label, namespace, service string, all []string) bool {
	name, ok := strings.CutSuffix(label, "@kubernetesgateway")
	if !ok || !fits(name, namespace, service) {
		return false
	}
	for _, other := range all {
		if len(other) > len(service) && strings.HasPrefix(other, service) && fits(name, namespace, other) {
			return false
		}
	}
	return true
}

var port = regexp.MustCompile(`^(-[a-z0-9-]+)?-[0-9]+$`)

func fits(name, namespace, service string) bool {
	rest, ok := strings.CutPrefix(name, namespace+"-"+service)
	return ok && port.MatchString(rest)
}

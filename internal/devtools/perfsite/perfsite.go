// Package perfsite is the website that the performance gate is tried on. As it is it
// keeps every default limit; each of its defects is planted by one option and worsens
// what it says and nothing else.
//
// Its pages are /, /workshop, /atelier and /health, its API /api/health and /api/list.
// On each page the button "#show" fetches the list and fills "#list", and the form
// "#order" answers in "#answer".
package perfsite

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Journeys are what a user of the site does: a click that fetches the list, and the
// form.
const Journeys = `version: 1
journeys:
  - name: order
    steps:
      - goto: /
      - click: "#show"
      - wait-for: {text: Table of oak}
      - fill: {into: "#name", value: Ann}
      - press: Enter
      - expect: {text: "Thank you, Ann"}
`

// LoadOfAPI is a load of the list, for k6: five users, for as long as DURATION says.
const LoadOfAPI = `import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  vus: 5,
  duration: (__ENV.DURATION || 5) + 's',
  thresholds: { http_req_duration: ['p(95)<2000'], http_req_failed: ['rate<0.01'] },
};

export default function () {
  const answer = http.get(__ENV.BASE_URL + '/api/list');
  check(answer, { 'the list is there': (r) => r.status === 200 });
  sleep(0.1);
}
`

// Options plant defects. The zero value is the clean site.
type Options struct {
	Version string // in the header X-Version and at the end of each page; "clean" if empty

	// BlockingScript is the size in bytes, before compression, of a script in the head
	// that the parser waits for and that computes for as long as code of such a size
	// does: First Contentful Paint, Total Blocking Time.
	BlockingScript int
	// APIDelay is waited before each answer of the API: the duration of requests.
	APIDelay time.Duration
	// LayoutShift puts a banner above all else after the page is there: Cumulative
	// Layout Shift.
	LayoutShift bool
	// MemoryLeak keeps about 1 MB of each list that is shown, with its nodes: the heap.
	MemoryLeak bool
	// SlowHandler is how long a click on "#show" blocks the page: Interaction to Next
	// Paint.
	SlowHandler time.Duration

	// Down frees the port again: connections to URL are refused.
	Down bool
	// RedirectLoop redirects each page to itself.
	RedirectLoop bool
	// Status is of every answer, instead of 200.
	Status int
	// ErrorRate is the share of requests that are answered with 500, evenly spread.
	ErrorRate float64
	// Delay is waited before every answer.
	Delay time.Duration
	// Drop closes each connection instead of answering.
	Drop bool
	// TLS serves HTTPS by a certificate that nobody knows.
	TLS bool
}

// A Site is a running site.
type Site struct {
	URL    string // without a slash at its end
	server *http.Server
	served chan error
}

// Start runs a site on a port of 127.0.0.1 that was free.
func Start(o Options) (*Site, error) {
	handler, err := Handler(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("sample website: %w", err)
	}
	s := &Site{URL: "http://" + listener.Addr().String(), served: make(chan error, 1)}
	// Broken connections are planted: they are nothing to log.
	s.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	if o.Down {
		s.served <- http.ErrServerClosed
		return s, listener.Close()
	}
	if !o.TLS {
		go func() { s.served <- s.server.Serve(listener) }()
		return s, nil
	}
	certificate, err := selfSigned(time.Now())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.URL = "https://" + listener.Addr().String()
	s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	go func() { s.served <- s.server.ServeTLS(listener, "", "") }()
	return s, nil
}

// Close stops the site and its connections.
func (s *Site) Close() error {
	if err := s.server.Close(); err != nil {
		return err
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("sample website: %w", err)
	}
	return nil
}

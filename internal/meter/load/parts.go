package load

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/printed"
)

// A Part is one scenario as several k6 on other machines run it together.
type Part struct {
	Subject string
	Limit   time.Duration // within which a k6 ends by itself
	Script  string        // the one of Files that k6 runs
	Files   map[string]string
	// Env has what the script may know, and k6's settings.
	Env map[string]string
	// Secret is as Env, for variables that nobody should read: headers of a protected
	// preview.
	Secret map[string]string
	// Users are how many a shipped scenario has at its peak; 0 if only the script knows.
	Users int
	task  task
}

// maxScript bounds a script: an object of Kubernetes may have 1 MiB.
const maxScript = 900 << 10

// Parts are the scenarios of a job.
func (l Load) Parts(job meter.Job) ([]Part, error) {
	all, wrong := tasks(job)
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	forbidden, err := l.guard(job).Forbidden(job.URL)
	if err != nil {
		return nil, err
	}
	parts := make([]Part, len(all))
	for i, t := range all {
		if parts[i], err = partOf(job, t, forbidden); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func partOf(job meter.Job, t task, forbidden []netip.Prefix) (Part, error) {
	p := Part{Subject: t.subject, Limit: t.limit(), task: t, Env: maps.Clone(printed.Env), Secret: map[string]string{}}
	list, err := environment(job, t)
	if err != nil {
		return p, err
	}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case strings.HasPrefix(name, "K6_WEB_DASHBOARD"): // its file would end with the pod
		case name == "HEADERS" && len(job.Header) > 0:
			p.Secret[name] = value
		default:
			p.Env[name] = value
		}
	}
	var refused []string
	for _, prefix := range forbidden {
		refused = append(refused, prefix.String())
	}
	maps.Copy(p.Env, map[string]string{
		"K6_BLACKLIST_IPS": strings.Join(refused, ","), "K6_SUMMARY_TREND_STATS": trendStat, "K6_NO_USAGE_REPORT": "true", "K6_NO_COLOR": "true",
	})
	if t.shipped {
		return p, p.ship(job)
	}
	raw, err := os.ReadFile(t.script)
	if err != nil {
		return p, fmt.Errorf("read the k6 script %s: %w", t.subject, err)
	}
	if len(raw) > maxScript {
		return p, fmt.Errorf("the k6 script %s has %d bytes: more than %d do not fit into a ConfigMap", t.subject, len(raw), maxScript)
	}
	p.Script = "script" + path.Ext(t.subject)
	p.Files = map[string]string{p.Script: string(raw)}
	return p, nil
}

// ship takes the script of a shipped scenario, and what it imports.
func (p *Part) ship(job meter.Job) error {
	shape, err := ShapeOf(p.Subject)
	if err != nil {
		return err
	}
	p.Users = shape.Users
	if job.Load.Users > 0 {
		p.Users = job.Load.Users
	}
	p.Script, p.Files = p.Subject+".js", map[string]string{}
	for _, name := range []string{p.Script, "common.js"} {
		raw, err := scripts.ReadFile("scripts/" + name)
		if err != nil {
			return err
		}
		p.Files[name] = string(raw)
	}
	return nil
}

package distributed

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/meter/load"
)

const (
	// maxPrinted bounds what is kept of one pod, in bytes: about 5 million requests.
	maxPrinted = 8 << 30
	// again is the pause before a log is read again.
	again = time.Second
	// tries is how often the log of a pod that has ended is read again.
	tries = 3
)

// logs are what the pods print, read while they do.
type logs struct {
	run   *run
	watch *watcher
	wake  chan struct{}
	names []string // of the pods that are followed

	mu   sync.Mutex
	read map[string]printed // of the pods whose log was read to its end
}

type printed struct {
	load.Generator
	err error
}

func (r *run) newLogs(w *watcher) *logs {
	return &logs{run: r, watch: w, wake: make(chan struct{}, 1), read: map[string]printed{}}
}

// follow begins to read the log of each pod that has one.
func (l *logs) follow(ctx context.Context, pods []*corev1.Pod) {
	for _, pod := range pods {
		if slices.Contains(l.names, pod.Name) || pod.Status.Phase == corev1.PodPending {
			continue
		}
		l.names = append(l.names, pod.Name)
		go l.gather(ctx, pod.Name)
	}
}

// gather reads a pod's log from its begin to k6's summary. A connection that breaks is
// opened again, and the log is read from its begin again.
func (l *logs) gather(ctx context.Context, pod string) {
	var p printed
	for left := tries; left > 0; {
		p.Generator, p.err = l.once(ctx, pod)
		if p.err == nil && p.Ended() || ctx.Err() != nil {
			break
		}
		if now := l.watch.pod(pod); now == nil || end(now) != nil {
			left--
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	l.mu.Lock()
	l.read[pod] = p
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// of returns what was read of a pod that has ended.
func (l *logs) of(pod *corev1.Pod) (printed, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.read[pod.Name]
	ended := end(pod)
	if !ok || ended == nil {
		return printed{}, false
	}
	p.Status = int(ended.ExitCode)
	return p, true
}

// failed says which pod did not do its work: the load of the others is not the whole.
func (l *logs) failed(s seen) error {
	for _, name := range l.names {
		if l.watch.pod(name) == nil {
			return fmt.Errorf("pod %s made load: %w", name, errLost)
		}
	}
	for _, pod := range s.runners() {
		p, ok := l.of(pod)
		if ok && p.err != nil {
			return p.err
		}
		if ok {
			if err := p.Failed(); err != nil {
				return err
			}
		}
	}
	return nil
}

// results are those of all pods, false while one is missing.
func (l *logs) results(s seen) ([]load.Generator, bool) {
	var all []load.Generator
	for _, pod := range s.runners() {
		p, ok := l.of(pod)
		if !ok {
			return nil, false
		}
		all = append(all, p.Generator)
	}
	return all, s.ended()
}

func (l *logs) once(ctx context.Context, pod string) (load.Generator, error) {
	stream, err := l.run.cluster.Typed.CoreV1().Pods(l.run.Namespace).GetLogs(pod, &corev1.PodLogOptions{Container: "k6", Follow: true}).Stream(ctx)
	if err != nil {
		return load.Generator{Name: pod}, fmt.Errorf("read the log of pod %s: %w", pod, err)
	}
	defer func() { _ = stream.Close() }()
	return load.Gather("pod "+pod, l.run.folder(pod), stream, maxPrinted)
}

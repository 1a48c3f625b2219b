package distributed

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/loadoperator"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/raw"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// onSandbox is the meter and a job on a real cluster with the real operator.
func onSandbox(t *testing.T) (Load, meter.Job, *kube.Cluster) {
	t.Helper()
	s := sandboxtest.Start(t)
	k6 := toolboxtest.Need(t, "k6")["k6"]
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	if err := loadoperator.Install(ctx, s); err != nil {
		t.Fatal(err)
	}
	image, err := loadoperator.Runner(ctx, s, k6.Program)
	if err != nil {
		t.Fatal(err)
	}
	namespace := sandboxtest.Namespace(t, s)
	sandboxtest.Deploy(t, s, sample.App{Namespace: namespace, Image: sandboxtest.Website(t, s, "load", nil), Replicas: 1})
	cluster := connect(t, s)
	service, err := cluster.Typed.CoreV1().Services(namespace).Get(ctx, sample.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := Load{
		Connect:   func(context.Context) (*kube.Cluster, error) { return cluster, nil },
		Namespace: namespace, Pods: 2, Image: image, StarterImage: image,
		Say: func(text string) { t.Log(text) },
	}
	job := meter.Job{
		URL: "http://" + service.Spec.ClusterIP, Pages: []string{"/"}, Now: time.Now, Settings: map[string]string{},
		Load: meter.Load{Scenarios: []string{"sustained"}, Duration: 10 * time.Second, Users: 20, P95: time.Second, P99: 2 * time.Second, Errors: 0.01, Rate: 40},
	}
	return l, job, cluster
}

func connect(t *testing.T, s *sandbox.Sandbox) *kube.Cluster {
	t.Helper()
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// TestTwoPodsMakeOneLoad runs the same load twice on a real cluster, as later runs would.
func TestTwoPodsMakeOneLoad(t *testing.T) {
	t.Parallel()
	l, job, cluster := onSandbox(t)
	for range 2 {
		job.Scratch = t.TempDir()
		if problems := l.Problems(job); len(problems) > 0 {
			t.Fatal(problems)
		}
		reading, err := l.Measure(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		// What else the machine does is not the load's.
		doubts := slices.DeleteFunc(reading.Doubts, func(d string) bool { return strings.Contains(d, "too late") || strings.Contains(d, "dropped") })
		if len(doubts)+len(reading.Gaps) > 0 || reading.Versions["k6-pods"] != "2" {
			t.Errorf("%+v", reading)
		}
		pods, err := filepath.Glob(filepath.Join(job.Scratch, "*", "*", "samples.json"))
		if err != nil || len(pods) != 2 {
			t.Fatalf("samples of %v, %v", pods, err)
		}
		durations := union(t, pods)
		for _, v := range reading.Values {
			switch v.Metric.Name {
			case "http_req_duration.p95":
				near(t, v.Metric.Name, v.Value, percentile(durations, 0.95))
			case "http_req_duration.p99":
				near(t, v.Metric.Name, v.Value, percentile(durations, 0.99))
			case "http_reqs":
				near(t, v.Metric.Name, v.Value, float64(len(durations))/job.Load.Duration.Seconds())
			case "http_req_failed":
				near(t, v.Metric.Name, v.Value, 0)
			}
		}
		if n := float64(len(durations)); n < 300 || len(reading.Values) < 10 {
			t.Errorf("%v requests, %d values", n, len(reading.Values))
		}
		gone(t, cluster, l.Namespace)
	}
}

// union are the durations of all samples of the scenario, sorted.
func union(t *testing.T, files []string) []float64 {
	t.Helper()
	var all []float64
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		before := len(all)
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var line struct {
				Type, Metric string
				Data         struct {
					Value float64
					Tags  map[string]string
				}
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err == nil && line.Type == "Point" && line.Metric == "http_req_duration" && line.Data.Tags["scenario"] == "sustained" {
				all = append(all, line.Data.Value)
			}
		}
		_ = f.Close()
		if len(all)-before < 100 {
			t.Errorf("%s has %d requests: the pods did not share the load", file, len(all)-before)
		}
	}
	slices.Sort(all)
	return all
}

func percentile(sorted []float64, share float64) float64 {
	place := share * float64(len(sorted)-1)
	low := int(place)
	return sorted[low] + (sorted[min(low+1, len(sorted)-1)]-sorted[low])*(place-float64(low))
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 2*raw.Precision*want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// gone waits until nothing of a run is left in the namespace.
func gone(t *testing.T, cluster *kube.Cluster, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	of := metav1.ListOptions{LabelSelector: labelLoad}
	for {
		runs, err := cluster.Dynamic.Resource(testRuns).Namespace(namespace).List(ctx, of)
		if err != nil {
			t.Fatal(err)
		}
		pods, err := cluster.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labelRun})
		if err != nil {
			t.Fatal(err)
		}
		scripts, err := cluster.Typed.CoreV1().ConfigMaps(namespace).List(ctx, of)
		if err != nil {
			t.Fatal(err)
		}
		if len(runs.Items)+len(pods.Items)+len(scripts.Items) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d TestRuns, %d pods and %d ConfigMaps are left", len(runs.Items), len(pods.Items), len(scripts.Items))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

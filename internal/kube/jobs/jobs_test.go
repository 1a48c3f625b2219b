package jobs

import (
	"strings"
	"testing"
)

const smokeJob = `apiVersion: batch/v1
kind: Job
metadata: {name: smoke}
spec:
  template:
    spec:
      containers: [{name: smoke, image: "smoke:1"}]
`

func TestValid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ manifest, says string }{
		"a job":         {smokeJob, ""},
		"JSON":          {`{"kind":"Job","spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}}`, ""},
		"a pod":         {strings.Replace(smokeJob, "kind: Job", "kind: Pod", 1), `read the job's manifest: batch/v1 "Pod" with 1 containers`},
		"no containers": {"kind: Job\n", `"Job" with 0 containers, want a Job with at least one`},
		"no YAML":       {"kind: [", "read the job's manifest: "},
		"nothing":       {"", "read the job's manifest: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := Valid([]byte(test.manifest))
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

func FuzzValid(f *testing.F) {
	f.Add(smokeJob)
	f.Add("kind: Job\n---\nkind: Pod")
	f.Fuzz(func(t *testing.T, manifest string) {
		if job, err := parse([]byte(manifest)); err == nil && len(job.Spec.Template.Spec.Containers) == 0 {
			t.Error("a job without containers is taken")
		}
	})
}

// Package loadoperator runs Grafana's k6-operator in a sandbox, for tests of distributed load.
package loadoperator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/image"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// Namespace is where the operator runs.
const Namespace = "k6-operator-system"

const name = "k6-operator"

// patience is how long the operator may take to run.
const patience = 2 * time.Minute

// Install starts the operator, unless it is there, and returns when it runs. The first time on a machine it is built, which takes
// minutes.
func Install(ctx context.Context, s *sandbox.Sandbox) error {
	program, crds, err := s.LoadOperator(ctx)
	if err != nil {
		return err
	}
	ref, err := push(ctx, s, program)
	if err != nil {
		return err
	}
	kinds, err := kindsIn(crds)
	if err != nil {
		return err
	}
	c, err := manifest.Connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.Apply(ctx, kinds); err != nil {
		return fmt.Errorf("install k6-operator: %w", err)
	}
	const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	established := func(w manifest.Watched) bool { return w.Has("Established") }
	for _, kind := range []string{"testruns.k6.io", "privateloadzones.k6.io"} {
		if err := c.Await(ctx, definitions, kind, established); err != nil {
			return fmt.Errorf("install k6-operator: %w", err)
		}
	}
	if err := c.Apply(ctx, objects(ref)); err != nil {
		return fmt.Errorf("install k6-operator: %w", err)
	}
	runs := func(w manifest.Watched) bool {
		return w.Status.ObservedGeneration >= w.Metadata.Generation && w.Status.AvailableReplicas == 1
	}
	if err := c.Await(ctx, "/apis/apps/v1/namespaces/"+Namespace+"/deployments", name, runs); err != nil {
		return fmt.Errorf("install k6-operator: %w%s", err, c.LastWarning(ctx, Namespace))
	}
	return nil
}

func push(ctx context.Context, s *sandbox.Sandbox, program string) (ref string, err error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	img, err := image.New(name, content, nil)
	if err != nil {
		return "", fmt.Errorf("make the image of k6-operator: %w", err)
	}
	ref = s.Registry + "/" + name + ":" + binaries.LoadOperatorVersion
	return ref, image.PushOnce(ctx, ref, img)
}

// kindsIn reads the operator's own kinds.
func kindsIn(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("find the kinds of k6-operator in %s", folder))
	}
	var all [][]byte
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, raw)
	}
	return bytes.Join(all, []byte("\n---\n")), nil
}

// objects run the operator. In a sandbox it may do everything.
func objects(ref string) []byte {
	labels := manifest.Object{"app": name}
	meta := manifest.Object{"name": name, "namespace": Namespace, "labels": labels}
	return manifest.Stream(
		manifest.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": manifest.Object{"name": Namespace}},
		manifest.Object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
		manifest.Object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": manifest.Object{"name": name},
			"roleRef":  manifest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
			"subjects": []any{manifest.Object{"kind": "ServiceAccount", "name": name, "namespace": Namespace}},
		},
		manifest.Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": manifest.Object{
			"replicas": 1, "selector": manifest.Object{"matchLabels": labels},
			"template": manifest.Object{"metadata": manifest.Object{"labels": labels}, "spec": manifest.Object{
				"serviceAccountName": name,
				"containers": []any{manifest.Object{
					"name": "manager", "image": ref,
					// This version serves no health, whatever its flag says.
					"readinessProbe": manifest.Object{"httpGet": manifest.Object{"path": "/metrics", "port": 8080}, "periodSeconds": 1},
				}},
			}},
		}},
	)
}

// tools are what the operator's pods run beside k6.
var tools = []string{"sh", "cat", "curl", "dirname", "grep", "mkdir"}

// Runner pushes an image with k6 and with this machine's shell and curl, which the pods of the operator need, and returns its reference.
func Runner(ctx context.Context, s *sandbox.Sandbox, k6 string) (ref string, err error) {
	content, err := os.ReadFile(k6)
	if err != nil {
		return "", err
	}
	files := []image.File{{Path: "usr/bin/k6", Content: content}, {Path: "tmp/"}}
	copied := map[string]bool{}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err != nil {
			return "", fmt.Errorf("make an image with %s: %w", tool, err)
		}
		libraries, err := librariesOf(ctx, path)
		if err != nil {
			return "", err
		}
		for _, library := range libraries {
			if !copied[library] {
				copied[library] = true
				if files, err = add(files, library, library); err != nil {
					return "", err
				}
			}
		}
		if files, err = add(files, path, "/usr/bin/"+tool); err != nil {
			return "", err
		}
	}
	img, err := image.Of(files, nil, map[string]string{"PATH": "/usr/bin"})
	if err != nil {
		return "", fmt.Errorf("make an image with k6: %w", err)
	}
	ref = s.Registry + "/k6:test"
	return ref, image.PushOnce(ctx, ref, img)
}

// add adds the content of a file of this machine, also of one that a link leads to.
func add(files []image.File, from, to string) ([]image.File, error) {
	content, err := os.ReadFile(from)
	if err != nil {
		return nil, err
	}
	return append(files, image.File{Path: strings.TrimPrefix(to, "/"), Content: content}), nil
}

var libraryPath = regexp.MustCompile(`(?m)(?:=> |^\s+)(/\S+) \(0x`)

// librariesOf returns the paths of a program's libraries, its loader among them.
func librariesOf(ctx context.Context, program string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("find the libraries of %s: %w", program, err)
	}
	var paths []string
	for _, m := range libraryPath.FindAllStringSubmatch(string(out), -1) {
		paths = append(paths, m[1])
	}
	return paths, nil
}

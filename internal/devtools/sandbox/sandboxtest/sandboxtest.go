// Package sandboxtest gives tests a running sandbox. All tests of all packages share one: the sandbox in $CANDLEFISH_SANDBOX or the
// machine's default one if it is up, else one that is started now and stops by itself soon after the last test binary has ended.
// Tests stay apart by having a namespace each.
//
// A sandbox that cannot start fails the test. Only -short, the run without root and without a cluster, skips it. On a machine
// that has never run one, start it before with `go tool mage sandbox:up`: the first build takes minutes.
package sandboxtest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// linger is how long the sandbox waits for the next test binary. Compiling that one may take a while.
const linger = 30 * time.Second

var shared = sync.OnceValues(func() (*sandbox.Sandbox, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	return sandbox.Up(ctx, sandbox.Options{Ephemeral: true, Linger: linger, Progress: os.Stderr})
})

// NeedRoot skips a test under -short, which asks for the tests that run without root and without a cluster. Every
// other run has all tests, and there a missing right is a failure like any other.
func NeedRoot(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; go tool mage test runs it")
	}
}

// Start returns the shared sandbox. It is held until the test binary ends. Under -short it skips the test.
func Start(t testing.TB) *sandbox.Sandbox {
	t.Helper()
	NeedRoot(t)
	s, err := shared()
	if err != nil {
		t.Fatalf("start the sandbox: %v", err)
	}
	return s
}

// Namespace makes a namespace for one test and deletes it when the test ends. Its name is no longer than 40 characters, so that names
// made from it are still valid.
func Namespace(t testing.TB, s *sandbox.Sandbox) string {
	t.Helper()
	name := namespaceName(t.Name(), rand.Text())
	err := s.Apply(t.Context(), []byte("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+name+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.DeleteNamespace(ctx, name); err != nil {
			t.Errorf("delete the test's namespace: %v", err)
		}
	})
	return name
}

// namespaceName is "t-", what a namespace may be named of the test's name, and some of random.
func namespaceName(test, random string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(test) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String()[:min(b.Len(), 30)], "-")
	return "t-" + name + "-" + strings.ToLower(random[:6])
}

// Website pushes the sample website as an image of tag with env inside, and returns the image's reference.
func Website(t testing.TB, s *sandbox.Sandbox, tag string, env map[string]string) string {
	t.Helper()
	ref, err := sample.Image(t.Context(), s, tag, env)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// Deploy deploys app and returns when it answers.
func Deploy(t testing.TB, s *sandbox.Sandbox, app sample.App) {
	t.Helper()
	if err := sample.Deploy(t.Context(), s, app); err != nil {
		t.Fatal(err)
	}
}

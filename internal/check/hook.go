// Package check asks somebody's own program whether a release may go on: a command
// on this machine, or a server by a signed webhook.
//
// An Answer is what the program said. An error means that it could not be asked
// or did not answer in time, which is never a yes.
package check

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// An Answer is what a hook said.
type Answer struct {
	// Passed is nil when the hook itself could not tell.
	Passed *bool
	Reason string   // one sentence
	Output []string // the end of what it printed
}

// A Release is what a hook is asked about. The command gets it as environment
// variables, CANDLEFISH_NAMESPACE and so on, the webhook as JSON.
type Release struct {
	Namespace  string `json:"namespace"`
	Deployment string `json:"deployment"`
	Image      string `json:"image"`
	Weight     int    `json:"weight"`
	RunID      string `json:"run_id"`
	RunURL     string `json:"run_url,omitempty"`
	// EntryPoint is where users' requests come in.
	EntryPoint string `json:"entry_point"`
}

// Variables are the release as environment variables.
func (r Release) Variables() map[string]string {
	return map[string]string{
		"CANDLEFISH_NAMESPACE": r.Namespace, "CANDLEFISH_DEPLOYMENT": r.Deployment, "CANDLEFISH_IMAGE": r.Image,
		"CANDLEFISH_WEIGHT": fmt.Sprint(r.Weight), "CANDLEFISH_RUN_ID": r.RunID, "CANDLEFISH_RUN_URL": r.RunURL,
		"CANDLEFISH_ENTRY_POINT": r.EntryPoint,
	}
}

// keptLines bounds what is kept of an output.
const keptLines = 20

// Command runs a program and waits until it or ctx ends; then it is asked to end,
// and killed two seconds later. Exit status 0 passes, 75 (EX_TEMPFAIL of
// sysexits.h) says that it could not tell, any other fails. It sees of the
// environment what it needs to run, and no token.
func Command(ctx context.Context, argv []string, r Release, getenv func(string) string) (Answer, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	for name, value := range r.Variables() {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "GITHUB_WORKSPACE", "KUBECONFIG"} {
		if v := getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out := &tail.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	answer := Answer{Output: lastLines(out.String())}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return answer, fmt.Errorf("run %s: it did not end in time", argv[0])
	case errors.As(err, &exit):
		answer.Reason = fmt.Sprintf("%s: %s", argv[0], exit.ProcessState)
		if exit.ExitCode() == 75 {
			return answer, nil
		}
		answer.Passed = new(bool)
		return answer, nil
	case err != nil:
		return answer, fmt.Errorf("run %s: %w", argv[0], err)
	}
	passed := true
	answer.Passed, answer.Reason = &passed, argv[0]+": exit status 0"
	return answer, nil
}

func lastLines(s string) []string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	return lines[max(0, len(lines)-keptLines):]
}

// The headers of a webhook. The signature is that of "timestamp.body", so that a
// request that was overheard can't be sent again much later.
const (
	HeaderSignature = "X-Candlefish-Signature-256" // sha256=HEX
	HeaderTimestamp = "X-Candlefish-Timestamp"     // seconds since 1970
)

// Sign is the value of HeaderSignature for a body sent at a time: the HMAC-SHA256
// under secret.
func Sign(secret string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Webhook posts the release to a server and reads its verdict: {"verdict":
// "successful", "failed" or "inconclusive", "reason": "..."} with status 200. Any
// other answer is an error. Errors do not repeat the URL's query, which may hold
// a secret.
func Webhook(ctx context.Context, client *http.Client, address, secret string, r Release, now time.Time) (Answer, error) {
	where := cleaned(address)
	body, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: not a URL", where)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(HeaderSignature, Sign(secret, now, body))
	resp, err := client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return Answer{}, fmt.Errorf("ask %s: %w", where, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", where, err)
	}
	if resp.StatusCode != http.StatusOK {
		return Answer{Output: lastLines(string(raw))}, fmt.Errorf("ask %s: %s", where, resp.Status)
	}
	answer, err := decode(resp.Header.Get("Content-Type"), raw)
	if err != nil {
		return answer, fmt.Errorf("ask %s: %w", where, err)
	}
	return answer, nil
}

func decode(contentType string, raw []byte) (Answer, error) {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != "application/json" {
		return Answer{Output: lastLines(string(raw))}, fmt.Errorf("it answers %q, want application/json", contentType)
	}
	var said struct{ Verdict, Reason string }
	if err := json.Unmarshal(raw, &said); err != nil {
		return Answer{Output: lastLines(string(raw))}, fmt.Errorf("read its answer: %w", err)
	}
	answer := Answer{Reason: firstLine(said.Reason)}
	switch said.Verdict {
	case "successful":
		passed := true
		answer.Passed = &passed
	case "failed":
		answer.Passed = new(bool)
	case "inconclusive":
	default:
		return answer, fmt.Errorf("it says %q, want successful, failed or inconclusive", said.Verdict)
	}
	return answer, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 500 {
		line = strings.ToValidUTF8(line[:500], "")
	}
	return line
}

// cleaned is a URL without what may be secret in it.
func cleaned(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the webhook"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

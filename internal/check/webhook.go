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
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// The headers of a webhook. The signature is that of "timestamp.body", so that a
// request that was overheard can't be sent again much later.
const (
	HeaderSignature = "X-Candlefish-Signature-256" // sha256=HEX
	HeaderTimestamp = "X-Candlefish-Timestamp"     // seconds since 1970
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 10

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
// other answer is an error, a redirect too: it is not followed, since the body and its
// signature are for this server and no other. Errors do not repeat the URL's query,
// which may hold a secret.
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
	asking := *client
	asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := asking.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return Answer{}, fmt.Errorf("ask %s: %w", where, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s: %w", where, err)
	}
	if len(raw) > maxAnswer {
		return Answer{}, fmt.Errorf("ask %s: the answer is larger than 64 KiB", where)
	}
	if resp.StatusCode/100 == 3 {
		return Answer{}, fmt.Errorf("ask %s: %s: a redirect is not followed; give the address that answers", where, resp.Status)
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
	said, err := fields(raw)
	if err != nil {
		return Answer{Output: lastLines(string(raw))}, fmt.Errorf("read its answer: %w", err)
	}
	answer := Answer{Reason: firstLine(said.reason)}
	switch said.verdict {
	case "successful":
		passed := true
		answer.Passed = &passed
	case "failed":
		answer.Passed = new(bool)
	case "inconclusive":
	default:
		return answer, fmt.Errorf("it says %q, want successful, failed or inconclusive", said.verdict)
	}
	return answer, nil
}

// saying is what a webhook answers.
type saying struct{ verdict, reason string }

// fields reads the answer by its exact keys. encoding/json would take "Verdict" for
// verdict, and of two the last.
func fields(raw []byte) (s saying, err error) {
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return s, err
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return s, err
	}
	for key, to := range map[string]*string{"verdict": &s.verdict, "reason": &s.reason} {
		value, ok := object[key]
		if text, isText := value.(string); isText {
			*to = text
		} else if ok && value != nil {
			return s, fmt.Errorf("%s is no text", key)
		}
	}
	return s, nil
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

package action

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// The runner's limits. It rejects a larger summary as a whole and drops further
// annotations silently.
const (
	SummaryLimit    = 1 << 20 // bytes of summary per step
	ValueLimit      = 1 << 20 // bytes of one output
	AnnotationLimit = 10      // annotations of one level per step
)

// heredoc returns one entry of a file command: the name, a delimiter that
// neither name nor value contains, the value. The delimiter is random, so a
// value cannot end its own entry and inject another.
func heredoc(name, value string, delimiter func() string) (string, error) {
	if name == "" || strings.ContainsAny(name, "=<\r\n") {
		return "", fmt.Errorf("%q is not a valid entry name", name)
	}
	if len(value) > ValueLimit {
		return "", fmt.Errorf("%s has %d bytes; the limit is %d", name, len(value), ValueLimit)
	}
	for range 3 {
		d := delimiter()
		if !strings.Contains(name, d) && !strings.Contains(value, d) {
			return name + "<<" + d + "\n" + value + "\n" + d + "\n", nil
		}
	}
	return "", errors.New("the value contains every delimiter tried")
}

func randomDelimiter() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return "delimiter_" + hex.EncodeToString(b[:])
}

// appendFile appends text to a file that the runner reads after the step.
func appendFile(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}

const summaryCut = "\n\n_The summary is cut here, at the runner's size limit. The log has the rest._\n"

// fit cuts text, at the end of a line, to the space left in a summary that
// already has used bytes. It returns "" if nothing fits.
func fit(text string, used int64) string {
	free := int64(SummaryLimit) - used
	if int64(len(text)) <= free {
		return text
	}
	free -= int64(len(summaryCut))
	if free <= 0 {
		return ""
	}
	cut := strings.LastIndexByte(text[:free], '\n')
	return text[:max(cut, 0)] + summaryCut
}

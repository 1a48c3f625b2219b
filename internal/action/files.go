package action

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// The runner's limits. It refuses a summary above its limit as a whole, and
// drops annotations above theirs without a word.
const (
	SummaryLimit    = 1 << 20 // bytes of summary per step
	ValueLimit      = 1 << 20 // bytes of one output
	AnnotationLimit = 10      // annotations of one level per step
)

// heredoc returns one entry of a file command: the name, a delimiter that is in
// neither name nor value, the value. The delimiter is random, so that no value
// can close its own entry and start another.
func heredoc(name, value string, delimiter func() string) (string, error) {
	if name == "" || strings.ContainsAny(name, "=<\r\n") {
		return "", fmt.Errorf("%q cannot name an entry", name)
	}
	if len(value) > ValueLimit {
		return "", fmt.Errorf("%s has %d bytes; at most %d are taken", name, len(value), ValueLimit)
	}
	for range 3 {
		d := delimiter()
		if !strings.Contains(name, d) && !strings.Contains(value, d) {
			return name + "<<" + d + "\n" + value + "\n" + d + "\n", nil
		}
	}
	return "", errors.New("every delimiter is part of the value")
}

func randomDelimiter() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return "delimiter_" + hex.EncodeToString(b[:])
}

// appendFile adds text to a file that the runner reads after the step.
func appendFile(path, text string) (err error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}

const summaryCut = "\n\n_The summary is cut here: the runner takes no more. The log has the rest._\n"

// fit returns the part of text that goes into a summary of which used bytes are
// taken, cut at the end of a line. It never returns text when nothing fits.
func fit(text string, used int64) string {
	room := int64(SummaryLimit) - used
	if int64(len(text)) <= room {
		return text
	}
	room -= int64(len(summaryCut))
	if room <= 0 {
		return ""
	}
	cut := strings.LastIndexByte(text[:room], '\n')
	return text[:max(cut, 0)] + summaryCut
}

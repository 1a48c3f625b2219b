// Package linehash computes primaryLocationLineHash, the partial fingerprint by
// which GitHub's code scanning knows an alert again after its line moved.
//
// The upload action computes it where a SARIF file has none; the REST endpoint does
// not, and shows an alert once more after each move. The hashes are the same as
// those of github/codeql-action (src/fingerprints.ts): a polynomial of the first 100
// characters from the start of the line on, without spaces and tabs, and after a
// colon how many lines so far have it.
package linehash

import (
	"iter"
	"strconv"
	"unicode/utf8"
)

const (
	block = 100   // characters that count
	mod   = 37    // of the polynomial, modulo 2 to the 64
	eof   = 65535 // stands for the end of the file; zeros follow
)

// Of returns the hashes of some lines of a file, by their number from 1. Lines that
// the file does not have are left out. A result about a whole file has the hash of
// line 1.
func Of(text []byte, lines ...int) map[int]string {
	found := make(map[int]string, len(lines))
	for _, line := range lines {
		found[line] = ""
	}
	for line, hash := range Lines(text) {
		if _, wanted := found[line]; wanted {
			found[line] = hash
		}
	}
	for line, hash := range found {
		if hash == "" {
			delete(found, line)
		}
	}
	return found
}

// Lines returns the number and hash of each line, in order. The end of the file is
// on a line of its own if a line break comes before it.
func Lines(text []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		w := window{counts: map[uint64]int{}, yield: yield, first: power(block)}
		var last rune
		for unit := range units(text) {
			skip := unit == ' ' || unit == '\t' || unit == '\n' && last == '\r'
			last = unit
			if unit == '\r' {
				unit = '\n'
			}
			if !skip && !w.add(uint16(unit)) {
				return
			}
		}
		if !w.add(eof) {
			return
		}
		for range block {
			if !w.shift(0) {
				return
			}
		}
	}
}

// power returns mod to the n.
func power(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= mod
	}
	return p
}

// A window has the last characters, and which of them begin a line.
type window struct {
	chars  [block]uint16
	lines  [block]int // 0 for a character that begins none
	at     int
	line   int
	broken bool // the last character was a line break
	hash   uint64
	first  uint64 // what the oldest character weighs when it leaves
	counts map[uint64]int
	yield  func(int, string) bool
}

// add takes the next character that counts; false ends the iteration.
func (w *window) add(c uint16) bool {
	if !w.flush() {
		return false
	}
	if w.broken || w.line == 0 {
		w.line++
		w.lines[w.at] = w.line
	}
	w.broken = c == '\n'
	w.push(c)
	return true
}

// shift takes a zero after the end.
func (w *window) shift(c uint16) bool {
	if !w.flush() {
		return false
	}
	w.push(c)
	return true
}

// flush yields the line that began a whole window ago, if one did.
func (w *window) flush() bool {
	line := w.lines[w.at]
	if line == 0 {
		return true
	}
	w.lines[w.at] = 0
	w.counts[w.hash]++
	return w.yield(line, strconv.FormatUint(w.hash, 16)+":"+strconv.Itoa(w.counts[w.hash]))
}

func (w *window) push(c uint16) {
	w.hash = w.hash*mod + uint64(c) - w.first*uint64(w.chars[w.at])
	w.chars[w.at] = c
	w.at = (w.at + 1) % block
}

// units returns the UTF-16 code units of text, as JavaScript has them: two for what
// is beyond the first plane, and U+FFFD for what is not UTF-8.
func units(text []byte) iter.Seq[rune] {
	return func(yield func(rune) bool) {
		for len(text) > 0 {
			r, size := utf8.DecodeRune(text)
			if r == utf8.RuneError && size == 1 {
				size = malformed(text)
			}
			text = text[size:]
			if r > 0xffff {
				r -= 0x10000
				if !yield(0xd800 + r>>10) {
					return
				}
				r = 0xdc00 + r&0x3ff
			}
			if !yield(r) {
				return
			}
		}
	}
}

// malformed returns how many bytes one U+FFFD stands for: the longest beginning of
// a character that text begins with (the Unicode Standard, 3.9, "U+FFFD
// Substitution of Maximal Subparts"), at least one byte.
func malformed(text []byte) int {
	lead := text[0]
	if lead < 0xc2 || lead > 0xf4 {
		return 1
	}
	low, high := byte(0x80), byte(0xbf) // of the second byte
	switch lead {
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	need := 1
	if lead >= 0xe0 {
		need++
	}
	if lead >= 0xf0 {
		need++
	}
	n := 1
	for ; n <= need && n < len(text) && text[n] >= low && text[n] <= high; n++ {
		low, high = 0x80, 0xbf
	}
	return n
}

package linehash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// greetings are the hashes of one text with all kinds of line breaks.
var greetings = []string{"e9496ae3ebfced30:1", "fb7c023a8b9ccb3f:1", "ce8ba1a563dcdaca:1", "e20e36e16fcb0cc8:1",
	"b3edc88f2938467e:1", "c8e28b0b4002a3a0:1", "c129715d7a2bc9a3:1"}

// The first vectors are those of github/codeql-action, src/fingerprints.test.ts and
// src/testdata/fingerprinting.expected.sarif. The last three were made with Node.js
// 20, by its decoder of UTF-8 and the definition in big integers.
func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{"c129715d7a2bc9a3:1"}},
		{" a\nb\n  \t\tc\n d", []string{"271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"}},
		{" hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End", []string{"8b7cf3e952e7aeb2:1", "b1ae1287ec4718d9:1", "bff680108adb0fcc:1", "c6805c5e1288b612:1", "b86d3392aea1be30:1", "e6ceba753e1a442:1"}},
		{" hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End\n", greetings},
		{" hello; \t\nworld!!!\r\r\r  \t\tGreetings\r End\r", greetings},
		{" hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n", greetings},
		{" hello; \t\nworld!!!\r\n\n\r  \t\tGreetings\r End\r\n", greetings},
		{strings.Repeat("Lorem ipsum dolor sit amet.\n", 10), []string{"a7f2ff13bc495cf2:1", "a7f2ff13bc495cf2:2", "a7f2ff13bc495cf2:3", "a7f2ff13bc495cf2:4", "a7f2ff13bc495cf2:5", "a7f2ff13bc495cf2:6",
			"a7f2ff1481e87703:1", "a9cf91f7bbf1862b:1", "55ec222b86bcae53:1", "cc97dc7b1d7d8f7b:1", "c129715d7a2bc9a3:1"}},
		{"\ufeffx \xe2\x82\nemoji \U0001F600 \xf0\x9f\x98 \xed\xa0\x80 \xff\xc0\xaf\r\n\xf4\x90\x80\x80\xe0\x80\x80\n\xc3",
			[]string{"f6839ca3408bfbed:1", "2781312d9ac2be07:1", "c27c20adab8fe305:1", "8989dec65f08d110:1"}},
		{"a\r \nb\r\t\n", []string{"58bb403fac6df472:1", "79c1ecac854f2c03:1", "a0e70ee94550ca05:1", "3c5bef55b72b93c9:1", "c129715d7a2bc9a3:1"}},
	} {
		var got []string
		for line, hash := range Lines([]byte(c.text)) {
			if got = append(got, hash); line != len(got) {
				t.Errorf("line %d came as number %d", line, len(got))
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	text := []byte("var a = 0;\nvar b = 0;\nvar c = 0;\nvar d = 0;\n")
	want := map[int]string{1: "5e4d5a9cf1294ad9:1", 5: "c129715d7a2bc9a3:1"}
	if diff := cmp.Diff(want, Of(text, 1, 5, 6, 0, -1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A line keeps its hash when lines come in above, unless an equal one is among them.
func TestMovedLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10)
	before := maps.Collect(Lines([]byte("first " + long + "\nsecond " + long + "\n")))
	after := maps.Collect(Lines([]byte("new\n\nfirst" + long + "\n\tsecond " + long + "\n")))
	if before[1] != after[3] || before[2] != after[4] {
		t.Errorf("before %v, after %v", before, after)
	}
}

// FuzzLines compares the rolling hash with the definition, and the iteration with
// one that stops early.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "a", "\r\n\r \n", "x\r", " \t", "\xf0\x9f\x98\xed\xa0\x80", strings.Repeat("ab\n", 80), "\uffff\U0001F600\ufeff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := definition(text)
		var got []string
		for _, hash := range Lines(text) {
			got = append(got, hash)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		for line, hash := range Lines(text) {
			if hash != want[line-1] {
				t.Errorf("line %d: %s, want %s", line, hash, want[line-1])
			}
			break
		}
	})
}

// definition is the hash as it is described, without a window.
func definition(text []byte) (hashes []string) {
	var chars []uint16
	var starts []int
	normal := strings.ReplaceAll(decode(text), "\r\n", "\n")
	for i, line := range strings.Split(strings.ReplaceAll(normal, "\r", "\n"), "\n") {
		if i > 0 {
			chars = append(chars, '\n')
		}
		starts = append(starts, len(chars))
		chars = append(chars, utf16.Encode([]rune(strings.NewReplacer(" ", "", "\t", "").Replace(line)))...)
	}
	chars = append(append(chars, eof), make([]uint16, block)...)
	counts := map[uint64]int{}
	for _, at := range starts {
		var hash uint64
		for _, c := range chars[at : at+block] {
			hash = hash*mod + uint64(c)
		}
		counts[hash]++
		hashes = append(hashes, fmt.Sprintf("%x:%d", hash, counts[hash]))
	}
	return hashes
}

// decode reads UTF-8 by putting one U+FFFD for the longest beginning of a character.
func decode(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		var size int
		if s := string(text[:min(len(text), 4)]); !strings.HasPrefix(s, "\ufffd") {
			r := []rune(s)[0]
			if r == '\ufffd' {
				size = beginning(text)
			} else {
				size = len(string(r))
			}
			b.WriteRune(r)
		} else {
			size = len("\ufffd")
			b.WriteRune('\ufffd')
		}
		text = text[size:]
	}
	return b.String()
}

// beginning finds by trying out how many bytes can be continued to a character.
func beginning(text []byte) int {
	longest := 1
	for n := 2; n <= min(3, len(text)); n++ {
		for _, rest := range []string{"\x80", "\x90", "\xa0", "\x80\x80", "\x90\x80"} {
			if r := []rune(string(text[:n]) + rest); len(r) == 1 && r[0] != '\ufffd' {
				longest = n
			}
		}
	}
	return longest
}

package split

import "bytes"

// value passes any value.
func (s *Scanner) value() error {
	switch c := s.space(); {
	case c == '{':
		return s.object(func([]byte) error { return s.value() })
	case c == '[':
		return s.Array(func(int) error { return s.value() })
	case c == '"':
		return s.text()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	return s.fail("want a value")
}

func (s *Scanner) word(w string) error {
	if rest := s.raw[s.pos:]; !bytes.HasPrefix(rest, []byte(w)) {
		if bytes.HasPrefix([]byte(w), rest) {
			s.pos = len(s.raw)
		}
		return s.fail("want %s", w)
	}
	s.pos += len(w)
	return nil
}

// text passes a string.
func (s *Scanner) text() error {
	s.pos++ // the quote
	for s.pos < len(s.raw) {
		switch c := s.raw[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ':
			return s.fail("a control character in a string")
		default:
			s.pos++
		}
	}
	return s.fail("a string without an end")
}

func (s *Scanner) escape() error {
	if s.pos++; s.pos >= len(s.raw) {
		return s.fail("an escape without an end")
	}
	switch s.raw[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if s.pos >= len(s.raw) || !hex(s.raw[s.pos]) {
				return s.fail("want four hexadecimal digits behind \\u")
			}
			s.pos++
		}
		return nil
	}
	return s.fail("an unknown escape")
}

func hex(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number passes a number in the grammar of JSON.
func (s *Scanner) number() error {
	s.pass("-", 1)
	if !s.pass("0", 1) && !s.digits() {
		return s.fail("want a digit")
	}
	if s.pass(".", 1) && !s.digits() {
		return s.fail("want a digit behind the point")
	}
	if s.pass("eE", 1) {
		s.pass("+-", 1)
		if !s.digits() {
			return s.fail("want a digit in the exponent")
		}
	}
	return nil
}

func (s *Scanner) digits() bool { return s.pass("0123456789", len(s.raw)) }

// pass passes up to limit of these characters and reports whether there was one.
func (s *Scanner) pass(these string, limit int) bool {
	begin := s.pos
	for s.pos < len(s.raw) && s.pos-begin < limit && bytes.IndexByte([]byte(these), s.raw[s.pos]) >= 0 {
		s.pos++
	}
	return s.pos > begin
}

package cmd

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tame returns a text that is safe to show on a terminal. Names, tags and errors come
// from outside: control characters, and those that reorder text, are escaped. Line
// breaks and tabs stay.
func tame(text string) string {
	return written(text, func(r rune) bool { return r == '\n' || r == '\t' })
}

// tameName is [tame] for a text that must stay on one line.
func tameName(name string) string { return written(name, func(rune) bool { return false }) }

func written(text string, kept func(rune) bool) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unruly(r) && !kept(r) }) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case r == '\n' && !kept(r):
			out.WriteString(`\n`)
		case unruly(r) && !kept(r) && r < utf8.RuneSelf:
			fmt.Fprintf(&out, `\x%02x`, r)
		case unruly(r) && !kept(r):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteString(text[:n])
		}
		text = text[n:]
	}
	return out.String()
}

func unruly(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

package textfile

import (
	"errors"
	"strings"
	"testing"
)

// What a decoder says is shown up to a length, and cut at a whole character.
func TestMessageBounds(t *testing.T) {
	t.Parallel()
	a := func(n int) string { return strings.Repeat("a", n) }
	for text, want := range map[string]string{a(200): a(200), a(201): a(200) + "…", a(199) + "é": a(199) + "…"} {
		if got := JSONError([]byte("{}"), errors.New("json: "+text)).Error(); got != want {
			t.Errorf("of JSON, %d bytes: %s", len(text), got)
		}
	}
	for text, want := range map[string]string{a(400): a(400), a(401): a(400) + "…", a(399) + "é": a(399) + "…"} {
		if got := YAMLError(errors.New(text)).Error(); got != want {
			t.Errorf("of YAML, %d bytes: %s", len(text), got)
		}
	}
}

// Two characters are the least that are taken for UTF-16 without a mark.
func TestShortUTF16(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"a\x00": "a\x00", "\x00a": "\x00a", "a\x00b\x00": "ab", "\x00a\x00b": "ab", "a\x00b": "a\x00b", "a\x00b\x00c": "a\x00b\x00c", "a\x00bc": "a\x00bc",
	} {
		if got, err := Decode([]byte(data)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", data, got, err)
		}
	}
}

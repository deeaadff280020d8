package cmd

import (
	"strings"
	"testing"
)

func TestTame(t *testing.T) {
	for text, want := range map[string]string{
		"plain, äöü\tand\nlines":         "plain, äöü\tand\nlines",
		"\x1b[31mred\x1b]0;t\x07":        `\x1b[31mred\x1b]0;t\x07`,
		"over\rwritten\b":                `over\x0dwritten\x08`,
		"c1 \u009b31m":                   `c1 \u009b31m`,
		"bytes \x9b\xff":                 `bytes \x9b\xff`,
		"order \u202egnp.exe":            `order \u202egnp.exe`,
		"\u2028separated, really \ufffd": "\\u2028separated, really \ufffd",
	} {
		if got := tame(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got, want := tameName("a\nb\tc"), `a\nb\x09c`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	if got := clipped("one\ntwo"); got != "one\ntwo" {
		t.Errorf("got %q", got)
	}
	got := clipped(strings.Repeat("x\n", 29) + strings.Repeat("y", 5000))
	if want := strings.Repeat("x\n", 20) + "and 10 more lines"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := clipped(strings.Repeat("y", 5000)), strings.Repeat("y", mostInLine)+"…"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// report prints an error, and returns the exit code. Errors quote arguments, which may
// be URLs with a password: so report redacts all URLs once more.
func (g *global) report(ctx context.Context, err error) int {
	if err = interrupted(ctx, err); err == nil {
		return 0
	}
	kind, hint := fault.KindOf(err), agent.RedactURLs(fault.HintOf(err))
	text := clipped(agent.RedactURLs(err.Error()))
	if g.logFormat == "json" {
		attrs := []any{"exitCode", int(kind)}
		if hint != "" {
			attrs = append(attrs, "hint", hint)
		}
		slog.New(slog.NewJSONHandler(g.env.Stderr, nil)).Error(text, attrs...)
		return int(kind)
	}
	fmt.Fprintf(g.env.Stderr, "botkube-mirror: %s\n", tame(text))
	for line := range strings.Lines(clipped(hint)) {
		fmt.Fprintf(g.env.Stderr, "hint: %s\n", tameName(strings.TrimSuffix(line, "\n")))
	}
	return int(kind)
}

// Bounds of a printed error: it may list every mistake of a long document.
const (
	mostLines  = 20
	mostInLine = 1000
)

func clipped(text string) string {
	lines := strings.Split(text, "\n")
	if more := len(lines) - mostLines; more > 0 {
		lines = append(lines[:mostLines], fmt.Sprintf("and %s", plural(more, "more line", "more lines")))
	}
	for i, line := range lines {
		if len(line) > mostInLine {
			lines[i] = strings.ToValidUTF8(line[:mostInLine], "") + "…"
		}
	}
	return strings.Join(lines, "\n")
}

// oneLine returns a text as one line that a terminal can show.
func oneLine(text string) string {
	return tameName(strings.ReplaceAll(clipped(strings.TrimSpace(text)), "\n", "; "))
}

// tame returns a text that is safe to show on a terminal. Names, tags and errors come from outside:
// control characters, and those that reorder text, are escaped. Line breaks and tabs stay.
func tame(text string) string { return written(text, "\n\t") }

// tameName is [tame] for a text that must stay on one line.
func tameName(name string) string { return written(name, "") }

func written(text, kept string) string {
	unruly := func(r rune) bool {
		known := unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
		return known && !strings.ContainsRune(kept, r)
	}
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unruly) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case !unruly(r):
			out.WriteString(text[:n])
		case r == '\n':
			out.WriteString(`\n`)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		text = text[n:]
	}
	return out.String()
}

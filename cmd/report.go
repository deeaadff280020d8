package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// report prints an error and returns the exit code. It redacts URLs, because errors quote arguments,
// which may have a password.
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
		jsonLog(g.env.Stderr).Error(text, attrs...)
		return int(kind)
	}
	fmt.Fprintln(g.env.Stderr, forTerminal(g.env.Stderr, "botkube-mirror: "+tame(text)))
	for line := range strings.Lines(clipped(hint)) {
		line = tameName(strings.TrimSuffix(line, "\n"))
		fmt.Fprintln(g.env.Stderr, forTerminal(g.env.Stderr, "hint: "+line))
		text += "\nhint: " + line
	}
	newFolds(g.env).annotate("error", text)
	return int(kind)
}

// Bounds of a printed error, which may list every mistake in a long document.
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

// tame makes text from outside safe for a terminal and for the log of a CI system. It escapes control
// characters, characters that reorder text, and commands to the CI system. Line breaks and tabs stay.
func tame(text string) string { return escapeCommands(escaped(text, "\n\t")) }

// escapeCommands escapes lines that GitHub's runner would take for a command: ::NAME:: at the beginning
// (actions/runner, ActionCommand.TryParseV2).
func escapeCommands(text string) string {
	if !strings.Contains(text, "::") {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		rest := strings.TrimLeftFunc(line, unicode.IsSpace)
		if strings.HasPrefix(rest, "::") {
			line = line[:len(line)-len(rest)] + `\x3a` + rest[1:]
		}
		out.WriteString(line)
	}
	return out.String()
}

// command matches the beginning of a command to GitHub, Azure or TeamCity anywhere in a line:
// ##[NAME], ##vso[NAME] (actions/runner, ActionCommand.TryParse).
var command = lazyregexp.New(`##[a-z]*\[`)

// jsonWriter escapes every [command] in JSON. The document means the same.
type jsonWriter struct{ to io.Writer }

func (w jsonWriter) Write(p []byte) (int, error) {
	text := command.ReplaceAllStringFunc(string(p), func(c string) string { return `\u0023` + c[1:] })
	if _, err := io.WriteString(w.to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// jsonLog is for --log-format json.
func jsonLog(to io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(jsonWriter{to}, nil)) }

// tameName is [tame] for a text that must stay on one line.
func tameName(name string) string { return escaped(name, "") }

func escaped(text, kept string) string {
	unruly := func(r rune) bool {
		known := unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
		return known && !strings.ContainsRune(kept, r)
	}
	if strings.Contains(text, "##") {
		text = command.ReplaceAllStringFunc(text, func(c string) string { return `\x23` + c[1:] })
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

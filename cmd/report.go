package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

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

// clipped returns the beginning of a long text.
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

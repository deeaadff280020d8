package cmd

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

// lineWriter writes several lines at once, after a short time. A system call for each line takes as
// long as a small response.
type lineWriter struct {
	mu    sync.Mutex
	to    *bufio.Writer
	some  chan struct{}
	ended bool
}

func newLineWriter(to io.Writer) *lineWriter {
	w := &lineWriter{to: bufio.NewWriterSize(to, 64<<10), some: make(chan struct{}, 1)}
	go func() {
		for range w.some {
			w.mu.Lock()
			if w.to.Flush() != nil {
				w.to.Reset(to) // nobody could be told, and later lines may come through
			}
			w.mu.Unlock()
		}
	}()
	return w
}

// Write takes whole lines.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		defer w.to.Flush()
		return w.to.Write(p)
	}
	select {
	case w.some <- struct{}{}:
	default: // they are to be written already
	}
	return w.to.Write(p)
}

// close writes the lines that wait. Later lines are written at once.
func (w *lineWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	close(w.some)
	_ = w.to.Flush() // nobody could be told
}

type serverLog struct {
	out    io.Writer
	quiet  bool
	probes bool
	json   *slog.Logger // for --log-format json
}

// mostOfField is the longest field of a request in the log, in bytes.
const mostOfField = 300

func (l *serverLog) access(a serve.Access) {
	if l.quiet || a.Probe && !l.probes {
		return
	}
	method, path, userAgent := field(a.Method), field(a.Path), field(a.UserAgent)
	if l.json != nil {
		l.json.Info("request", "method", method, "path", path, "status", a.Status, "bytes", a.Bytes,
			"seconds", a.Duration.Seconds(), "remote", a.Remote, "userAgent", userAgent)
		return
	}
	fmt.Fprintf(l.out, "%s %s %s %s %d %d %.3fs %q\n",
		a.Began.UTC().Format("2006-01-02T15:04:05.000Z"), a.Remote, method, path, a.Status, a.Bytes, a.Duration.Seconds(), userAgent)
}

// field returns a field of a request as the log shows it.
func field(text string) string {
	if len(text) > mostOfField {
		text = strings.ToValidUTF8(text[:mostOfField], "") + "…"
	}
	return tameName(text)
}

// changed logs a version that is served from now on, or no longer.
func (l *serverLog) changed(c serve.Change) {
	tag, source, inPlaceOf := tameName(c.Tag), tameName(c.Source), tameName(c.InPlaceOf)
	switch {
	case l.quiet:
	case l.json != nil:
		attrs := []any{"version", tag, "source", source}
		if inPlaceOf != "" {
			attrs = append(attrs, "inPlaceOf", inPlaceOf)
		}
		l.json.Info(string(c.Event), attrs...)
	case inPlaceOf != "":
		_, _ = fmt.Fprintf(l.out, "botkube-mirror: serving %s from %s in place of %s\n", tag, source, inPlaceOf)
	default:
		text := map[serve.Event]string{serve.Added: "serving %s from %s", serve.Replaced: "serving %s from %s, which was replaced", serve.Removed: "%s ends: %s was removed"}
		_, _ = io.WriteString(l.out, "botkube-mirror: "+fmt.Sprintf(text[c.Event], tag, source)+"\n")
	}
}

// problem logs an error, even with -q.
func (l *serverLog) problem(err error) {
	text, hint := oneLine(err.Error()), fault.HintOf(err)
	if l.json != nil {
		var attrs []any
		if hint != "" {
			attrs = append(attrs, "hint", hint)
		}
		l.json.Error(text, attrs...)
		return
	}
	line := "botkube-mirror: " + text + "\n"
	if hint != "" {
		line += "hint: " + oneLine(hint) + "\n"
	}
	_, _ = io.WriteString(l.out, line)
}

package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// progress shows events on standard error: with a bar on a terminal, and else with a line for each.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	quiet   bool
	verbose bool
	log     *slog.Logger // for --log-format json
	bar     *bar         // on a terminal
}

func (g *global) progress() *progress {
	p := &progress{out: g.env.Stderr, quiet: g.quiet, verbose: g.verbose}
	switch {
	case g.logFormat == "json":
		p.log = slog.New(slog.NewJSONHandler(g.env.Stderr, nil))
	case isTerminal(g.env.Stderr) && !g.noProgress && !g.quiet:
		p.bar = &bar{out: g.env.Stderr, received: map[string]int64{}}
	}
	return p
}

// isTerminal reports whether a bar can be drawn: on a terminal that has a line for it.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && columns(f) > barWidth+barRest
}

func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// close takes the bar away. It may be called again.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.clear()
		p.bar = nil
		p.quiet = true
	}
}

func (p *progress) observe(e mirror.Event) {
	e.Detail = agent.RedactURLs(e.Detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.observe(e)
	}
	if p.quiet && e.Kind != mirror.EventWarning || !p.shown(e.Kind) {
		return
	}
	if p.log != nil {
		level := slog.LevelInfo
		if e.Kind == mirror.EventWarning {
			level = slog.LevelWarn
		}
		p.log.Log(context.Background(), level, string(e.Kind), attributes(e)...)
		return
	}
	if p.bar != nil {
		p.bar.clear()
	}
	fmt.Fprintln(p.out, tame(clipped(line(e))))
}

func (p *progress) retrying(subject string, err error, pause time.Duration) {
	p.observe(mirror.Event{Kind: mirror.EventRetrying, Subject: subject, Detail: err.Error(), Wait: pause})
}

func (p *progress) reading(url, instead string) {
	p.observe(mirror.Event{Kind: mirror.EventReading, Subject: url, From: instead})
}

// shown reports whether an event gets a line of its own.
func (p *progress) shown(kind mirror.EventKind) bool {
	switch kind {
	case mirror.EventProgress:
		return false
	case mirror.EventFetched, mirror.EventReused, mirror.EventResumed, mirror.EventUploaded:
		return p.bar == nil || p.verbose
	case mirror.EventWritten, mirror.EventStarted, mirror.EventReading, mirror.EventCompleted, mirror.EventUnpacked, mirror.EventUploading:
		return p.verbose
	case mirror.EventFailed:
		// It is among the failures at the end.
		return p.log != nil || p.verbose
	case mirror.EventPlanned:
		return p.log != nil
	}
	return true
}

// hasSize reports whether the bytes of an event are the size of its subject.
func hasSize(e mirror.Event) bool {
	switch e.Kind {
	case mirror.EventFetched, mirror.EventReused, mirror.EventUnpacked, mirror.EventUploaded:
		return true
	case mirror.EventWriting:
		return e.Bytes >= 0
	}
	return false
}

func line(e mirror.Event) string {
	switch e.Kind {
	case mirror.EventRetrying:
		return fmt.Sprintf("retrying %s in %s: %s", e.Subject, e.Wait.Round(100*time.Millisecond), e.Detail)
	case mirror.EventRestarted:
		return fmt.Sprintf("starting over %s: %s", e.Subject, e.Detail)
	case mirror.EventWaiting:
		return fmt.Sprintf("waiting for %s: %s", e.Subject, e.Detail)
	case mirror.EventDisplaced:
		return fmt.Sprintf("moved %s out of the way: %s", e.Subject, e.Detail)
	case mirror.EventResumed:
		return fmt.Sprintf("resuming %s after %s", e.Subject, size(e.Bytes))
	case mirror.EventNote, mirror.EventWarning, mirror.EventFailed:
		return fmt.Sprintf("%s: %s", e.Kind, e.Detail)
	}
	if hasSize(e) {
		return fmt.Sprintf("%s %s (%s)", e.Kind, e.Subject, size(e.Bytes))
	}
	if e.From != "" {
		return fmt.Sprintf("%s %s from %s", e.Kind, e.Subject, e.From)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.Subject)
}

func attributes(e mirror.Event) []any {
	var attrs []any
	if e.Subject != "" {
		attrs = append(attrs, "subject", e.Subject)
	}
	if e.From != "" {
		attrs = append(attrs, "from", e.From)
	}
	switch {
	case e.Kind == mirror.EventPlanned:
		attrs = append(attrs, "artifacts", e.Count, "bytes", e.Total)
	case hasSize(e), e.Kind == mirror.EventResumed:
		attrs = append(attrs, "bytes", e.Bytes)
	case e.Kind == mirror.EventRetrying:
		attrs = append(attrs, "waitSeconds", e.Wait.Seconds())
	}
	if e.Detail != "" {
		attrs = append(attrs, "detail", e.Detail)
	}
	return attrs
}

// bar is one progress bar for all that is transferred, with the files in flight.
type bar struct {
	out      io.Writer
	bar      *progressbar.ProgressBar
	done     int64
	received map[string]int64 // by artifact in flight
}

func (b *bar) observe(e mirror.Event) {
	if e.Kind == mirror.EventPlanned {
		b.start(e.Total)
	}
	if b.bar == nil {
		return
	}
	received, ended := b.received[e.Subject], false
	switch e.Kind {
	case mirror.EventStarted, mirror.EventUploading:
	case mirror.EventProgress:
		received += e.Bytes
	case mirror.EventResumed:
		received = e.Bytes
	case mirror.EventRestarted:
		received = 0
	case mirror.EventFetched, mirror.EventReused, mirror.EventUnpacked, mirror.EventUploaded:
		// The size may not have been known, or known wrongly.
		received, ended = e.Bytes, true
	case mirror.EventFailed:
		received, ended = 0, true
	default:
		return
	}
	b.done += received - b.received[e.Subject]
	b.received[e.Subject] = received
	if ended {
		delete(b.received, e.Subject)
	}
	if b.done > b.bar.GetMax64() {
		b.bar.ChangeMax64(b.done)
	}
	b.bar.Describe(tameName(b.inFlight()))
	b.bar.Set64(b.done)
}

func (b *bar) start(total int64) {
	b.bar = progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(b.out),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionClearOnFinish(),
	)
}

// barWidth is the width of the bar alone, barRest the greatest width of the numbers beside it, both in
// columns.
const (
	barWidth = 12
	barRest  = 52
)

// inFlight names the files under way, as many as fit on the line.
func (b *bar) inFlight() string {
	var names []string
	for url := range b.received {
		names = append(names, shortName(url))
	}
	slices.Sort(names)
	for most := len(names); most > 0; most-- {
		line := strings.Join(names[:most], ", ")
		if most < len(names) {
			line += fmt.Sprintf(", +%d", len(names)-most)
		}
		if utf8.RuneCountInString(line) <= columns(b.out)-barWidth-barRest {
			return line
		}
	}
	return count(len(names), "file")
}

func (b *bar) clear() {
	if b.bar != nil {
		b.bar.Clear()
	}
}

func shortName(url string) string {
	source, _, _ := strings.Cut(agent.Redact(url), "?")
	name := path.Base(source)
	if len(name) > 24 {
		name = name[:23] + "…"
	}
	return name
}

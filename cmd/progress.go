package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// progress shows events on standard error. A terminal gets a bar. Otherwise each event gets a line,
// and another line comes every [everyLine] while something moves.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	quiet   bool
	verbose bool
	log     *slog.Logger // for --log-format json
	bar     *bar         // on a terminal
	folds   *folds       // of a CI system that folds its log
	traffic *transfer.Traffic
	meter   *meter
	// lines says whether lines are also written between events: while something moves, while nothing
	// moves, and at the end.
	lines bool
	// told says when the last of them was written, and how much had moved. tellIdle is how long
	// nothing must move before the next one.
	told struct {
		at    time.Time
		moved int64
	}
	tellIdle time.Duration
	stop     func()
}

const (
	// everyLine is the time between two lines while something moves.
	everyLine = 10 * time.Second
	// everyIdle is the longest time between two lines while nothing moves.
	everyIdle = time.Minute
)

// progress begins to show progress. The caller must call close.
func (g *global) progress() *progress {
	p := g.events()
	p.stop = every(time.Second, p.tick)
	return p
}

// events is [global.progress] for a server, which writes nothing while it waits for clients.
func (g *global) events() *progress {
	p := &progress{
		out: g.env.Stderr, quiet: g.quiet, verbose: g.verbose, traffic: &transfer.Traffic{}, lines: !g.quiet && !g.noProgress, tellIdle: everyLine,
	}
	p.told.at = time.Now()
	p.meter = newMeter(p.traffic)
	switch {
	case g.logFormat == "json":
		p.log = jsonLog(g.env.Stderr)
	case p.lines && g.env.canDraw():
		p.bar, p.lines = &bar{out: g.env.Stderr}, false
	case p.lines:
		p.folds = newFolds(g.env)
	}
	p.stop = func() {}
	return p
}

// every calls do regularly, until the function that it returns is called.
func every(d time.Duration, do func()) (stop func()) {
	ticker, done := time.NewTicker(d), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ticker.C:
				do()
			case <-done:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(done)
		running.Wait()
	}
}

// close prints the totals and removes the bar. It may be called twice.
func (p *progress) close() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total(p.meter.end())
	if p.bar != nil {
		p.bar.clear()
		p.bar = nil
	}
	p.folds.end()
	p.quiet, p.lines = true, false
}

func (p *progress) observe(e mirror.Event) {
	e.Detail = agent.RedactURLs(e.Detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == mirror.EventPlanned || e.Kind == mirror.EventWriting {
		p.total(p.meter.begin(e))
	} else {
		p.meter.observe(e)
	}
	if p.shown(e.Kind) && (!p.quiet || e.Kind == mirror.EventWarning) {
		p.tell(e)
	}
	if p.bar != nil {
		p.bar.draw(p.meter)
	}
}

// tell writes the line of an event.
func (p *progress) tell(e mirror.Event) {
	if p.log != nil {
		level := slog.LevelInfo
		if e.Kind == mirror.EventWarning {
			level = slog.LevelWarn
		}
		p.log.Log(context.Background(), level, string(e.Kind), attributes(e)...)
		return
	}
	switch e.Kind {
	case mirror.EventNote, mirror.EventWarning, mirror.EventDisplaced, mirror.EventFailed:
		p.folds.end() // nobody may have to look for it
	default:
		p.folds.begin(p.meter)
	}
	p.line(clipped(line(e)))
	if e.Kind == mirror.EventWarning {
		p.folds.annotate("warning", e.Detail)
	}
}

// line removes the bar and writes a line. The bar is drawn again later.
func (p *progress) line(text string) {
	if p.bar != nil {
		p.bar.clear()
	}
	fmt.Fprintln(p.out, forTerminal(p.out, tame(text)))
}

// tick is called each second.
func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.meter.tick()
	if idle < everyLine {
		p.tellIdle = everyLine
	}
	switch {
	case p.bar != nil:
		p.bar.draw(p.meter)
	case !p.lines:
	case idle >= p.tellIdle:
		p.tellIdle = idle + min(p.tellIdle, everyIdle)
		p.write("idle", idleLine(p.meter, idle), idleAttributes(p.meter, idle))
	case p.told.moved != p.meter.seen && time.Since(p.told.at).Round(time.Second) >= everyLine:
		p.write("progress", progressLine(p.meter), progressAttributes(p.meter))
	}
}

func (p *progress) write(kind, text string, attrs []any) {
	p.told.at, p.told.moved = time.Now(), p.meter.seen
	if p.log != nil {
		p.log.Info(kind, attrs...)
		return
	}
	p.folds.begin(p.meter)
	p.line(text)
}

// total prints the totals of an activity that ended: in JSON always. Otherwise only if it took long:
// the result has the same figures, apart from times and rates.
func (p *progress) total(s *sum) {
	if s == nil || s.bytes == 0 && s.keptBytes == 0 {
		return
	}
	switch {
	case p.lines && p.log != nil:
		p.log.Info("total", s.attributes()...)
	case (p.lines || p.bar != nil) && s.took >= everyLine:
		p.folds.end()
		p.line(s.String())
	}
}

func (p *progress) retrying(subject string, err error, pause time.Duration) {
	p.observe(mirror.Event{Kind: mirror.EventRetrying, Subject: subject, Detail: err.Error(), Wait: pause})
}

func (p *progress) reading(url, instead string) {
	p.observe(mirror.Event{Kind: mirror.EventReading, Subject: url, From: instead})
}

// shown reports whether an event gets a line.
func (p *progress) shown(kind mirror.EventKind) bool {
	switch kind {
	case mirror.EventProgress:
		return false
	case mirror.EventFetched, mirror.EventReused, mirror.EventResumed, mirror.EventUploaded, mirror.EventWriting:
		return p.bar == nil || p.verbose
	case mirror.EventWritten, mirror.EventStarted, mirror.EventReading, mirror.EventCompleted, mirror.EventUnpacked, mirror.EventUploading:
		return p.verbose
	case mirror.EventFailed:
		// The list of failures at the end has it.
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
		return fmt.Sprintf("restarting %s: %s", e.Subject, e.Detail)
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
		attrs = append(attrs, "artifacts", e.Count)
		if e.Total >= 0 {
			attrs = append(attrs, "bytes", e.Total)
		}
		attrs = append(attrs, "activity", e.Activity)
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

// progressLine names the activity, how much is done, the rate and the time that is left.
func progressLine(m *meter) string {
	parts := []string{m.amount()}
	if m.total > 0 {
		parts[0] += fmt.Sprintf(" (%d%%)", m.percent())
	}
	if n, of, told := m.filesDone(); told {
		parts = append(parts, fmt.Sprintf("%d of %s", n, count(of, "file")))
	}
	parts = append(parts, size(m.rate())+"/s")
	if left, told := m.left(); told {
		parts = append(parts, seconds(left)+" left")
	}
	return m.activityName() + ": " + strings.Join(parts, ", ")
}

// progressAttributes has the facts of [progressLine] for JSON. Unknown ones are left out.
func progressAttributes(m *meter) []any {
	attrs := amountAttributes(m)
	attrs = append(attrs, "bytesPerSecond", m.rate())
	if left, told := m.left(); told {
		attrs = append(attrs, "secondsLeft", int64(left/time.Second))
	}
	return attrs
}

func amountAttributes(m *meter) []any {
	activity, bytes := string(m.activity), m.done
	if m.activity == "" {
		activity, bytes = m.activityName(), m.received()
	}
	attrs := []any{"activity", activity}
	if m.subject != "" {
		attrs = append(attrs, "subject", m.subject)
	}
	attrs = append(attrs, "bytes", bytes)
	if m.total >= 0 {
		attrs = append(attrs, "totalBytes", m.total)
	}
	if n, of, told := m.filesDone(); told {
		attrs = append(attrs, "files", n, "totalFiles", of)
	}
	return attrs
}

// idleLine says how long nothing has moved, and what the run waits for.
func idleLine(m *meter, idle time.Duration) string {
	text := fmt.Sprintf("nothing moved for %s: %s", seconds(idle), m.waitsFor())
	if m.total > 0 && m.subject == "" {
		text += fmt.Sprintf(" (%s: %s, %d%%)", m.activityName(), m.amount(), m.percent())
	}
	return text
}

func idleAttributes(m *meter, idle time.Duration) []any {
	attrs := append(amountAttributes(m), "seconds", int64(idle/time.Second))
	if asked := m.traffic.Asked(); len(asked) > 0 {
		attrs = append(attrs, "waitingFor", asked)
	}
	if again, until := m.pauses(); len(again) > 0 {
		attrs = append(attrs, "retrying", again, "retrySeconds", int64(until/time.Second))
	}
	return append(attrs, "detail", m.waitsFor())
}

func (s sum) attributes() []any {
	attrs := []any{"activity", s.activity}
	if s.subject != "" {
		attrs = append(attrs, "subject", s.subject)
	}
	return append(attrs, "files", s.files, "bytes", s.bytes, "filesThere", s.keptFiles, "bytesThere", s.keptBytes,
		"seconds", float64(s.took.Milliseconds())/1000, "bytesPerSecond", s.rate())
}

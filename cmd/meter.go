package cmd

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// meter adds up the bytes that a run moved and those that it has to move. Before the first plan, it
// knows only the traffic.
type meter struct {
	activity mirror.Activity
	// subject is the output being written, or empty.
	subject string
	began   time.Time
	// total is the number of bytes in all, or -1 if it is not known. done of them are complete, and
	// moved of those moved in this run.
	total, done, moved  int64
	files, moving, kept int // planned; done, of which bytes moved; done without
	under               map[string]*flight

	// signs counts everything that moves. traffic counts bytes on the network.
	signs   int64
	traffic *transfer.Traffic
	// changed is when something moved last, or when an activity or a pause began or ended.
	changed time.Time
	seen    int64 // signs and traffic then
	// samples are the last [rateOver] values, one for each [meter.tick].
	samples []sample
	// retrying has the end of the pause before the next attempt, by subject.
	retrying map[string]time.Time
	// waiting is the subject that another run has locked, or empty.
	waiting string
}

// flight is a file that is being transferred.
type flight struct{ done, moved, total int64 }

type sample struct {
	at    time.Time
	bytes int64
}

// rateOver is the number of ticks over which the rate is measured.
const rateOver = 10

func newMeter(traffic *transfer.Traffic) *meter {
	now := time.Now()
	return &meter{under: map[string]*flight{}, retrying: map[string]time.Time{}, traffic: traffic, began: now, changed: now, total: -1}
}

// begin begins an activity, or its next part. If another activity ended, begin returns its sum.
func (m *meter) begin(e mirror.Event) (ended *sum) {
	if m.activity == e.Activity && e.Activity != mirror.Writing {
		m.files = m.moving + m.kept + e.Count
		if m.total = e.Total; e.Total >= 0 {
			m.total += m.done
		}
		return nil
	}
	if m.activity != "" {
		clear(m.under) // but a download may have begun while the plan was made
	}
	ended = m.end()
	for _, f := range m.under {
		m.done, m.moved = m.done+f.done, m.moved+f.moved
	}
	m.activity, m.subject, m.began, m.total, m.files = e.Activity, "", time.Now(), e.Total, e.Count
	if e.Activity == mirror.Writing {
		m.subject = e.Subject
	}
	m.touch()
	return ended
}

// end ends the activity, and returns its sum, or nil if there was none.
func (m *meter) end() (s *sum) {
	// An output that was written while files arrived gets no sum.
	if m.activity != "" && (m.activity != mirror.Writing || m.moved >= m.total/2) {
		s = &sum{m.activity, m.subject, m.moving, m.kept, m.moved, m.done - m.moved, time.Since(m.began)}
		if m.activity == mirror.Verifying {
			s.files = m.files
		}
	}
	m.activity, m.subject, m.total, m.done, m.moved, m.files, m.moving, m.kept = "", "", -1, 0, 0, 0, 0, 0
	m.samples = nil
	return s
}

func (m *meter) touch() { m.changed, m.seen = time.Now(), m.received() }

// received returns the bytes from the network or from standard input, and whatever else moved.
func (m *meter) received() int64 { return m.signs + m.traffic.Moved() }

// isWhole reports whether the activity is about this subject only.
func (m *meter) isWhole(subject string) bool {
	return m.activity == mirror.Verifying || m.activity == mirror.Writing && subject == m.subject
}

// observe takes an event into account.
func (m *meter) observe(e mirror.Event) {
	if e.Kind == mirror.EventProgress {
		m.signs += e.Bytes
	} else {
		m.waiting = ""
		m.touch()
	}
	delete(m.retrying, e.Subject)
	switch e.Kind {
	case mirror.EventRetrying:
		m.retrying[e.Subject] = time.Now().Add(e.Wait)
		return
	case mirror.EventWaiting:
		m.waiting = fmt.Sprintf("%s (%s)", shortName(e.Subject), e.Detail)
		return
	}
	f := m.under[e.Subject]
	if f == nil {
		if e.Kind == mirror.EventProgress && !m.isWhole(e.Subject) {
			return // such as of a directory, which is written while files arrive
		}
		f = &flight{total: -1}
	}
	before := *f
	if !f.observe(e) {
		return
	}
	m.done += f.done - before.done
	m.moved += f.moved - before.moved
	if m.total >= 0 {
		m.total = max(m.total, m.done)
	}
	switch e.Kind {
	case mirror.EventFetched, mirror.EventUploaded, mirror.EventUnpacked:
		m.moving++
	case mirror.EventReused:
		m.kept++
	case mirror.EventFailed:
	default:
		m.under[e.Subject] = f
		return
	}
	delete(m.under, e.Subject)
}

// observe takes an event into account if it is about the bytes of the file.
func (f *flight) observe(e mirror.Event) bool {
	switch e.Kind {
	case mirror.EventStarted, mirror.EventUploading:
		f.total = e.Total
	case mirror.EventProgress:
		f.done, f.moved = f.done+e.Bytes, f.moved+e.Bytes
		if f.total > 0 && f.done > f.total { // it may be read several times
			f.done = f.total
		}
	case mirror.EventResumed, mirror.EventReused, mirror.EventFetched, mirror.EventUploaded:
		f.done = e.Bytes // a server may have told another size, or none
	case mirror.EventUnpacked:
		f.done, f.moved = e.Bytes, e.Bytes
	case mirror.EventRestarted, mirror.EventFailed:
		f.done = 0
	default:
		return false
	}
	f.moved = min(f.moved, f.done)
	return true
}

// tick takes a sample. It returns how long nothing has moved, in whole seconds.
func (m *meter) tick() (idle time.Duration) {
	if m.seen != m.received() {
		m.touch()
	}
	m.samples = append(m.samples, sample{time.Now(), m.measured()})
	if more := len(m.samples) - rateOver - 1; more > 0 {
		m.samples = m.samples[more:]
	}
	return time.Since(m.changed).Round(time.Second)
}

// measured returns the bytes whose rate is measured.
func (m *meter) measured() int64 {
	if m.activity == "" {
		return m.received()
	}
	return m.moved
}

// rate returns bytes per second.
func (m *meter) rate() int64 {
	if len(m.samples) == 0 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	if over := last.at.Sub(first.at); over > 0 {
		return max(int64(float64(last.bytes-first.bytes)/over.Seconds()), 0)
	}
	return 0
}

// left returns how long the rest takes at the current rate, if that is known.
func (m *meter) left() (time.Duration, bool) {
	rate := m.rate()
	if m.total <= m.done || rate <= 0 {
		return 0, false
	}
	seconds := (m.total - m.done) / rate
	return time.Duration(seconds) * time.Second, seconds < 100*60*60
}

// activityName names the activity.
func (m *meter) activityName() string {
	if m.activity == "" {
		return "preparing"
	}
	if m.subject != "" {
		return string(m.activity) + " " + tameName(path.Base(m.subject))
	}
	return string(m.activity)
}

// filesDone returns how many files are complete, if files are counted.
func (m *meter) filesDone() (n, of int, told bool) {
	n = m.moving + m.kept
	return n, max(m.files, n), m.activity != "" && m.activity != mirror.Writing && m.activity != mirror.Verifying && m.total >= 0
}

// amount says how much of the activity is done.
func (m *meter) amount() string {
	switch {
	case m.activity == "":
		return size(m.received()) + " received"
	case m.total < 0:
		return size(m.done)
	}
	return fmt.Sprintf("%s of %s", size(m.done), size(m.total))
}

func (m *meter) percent() int64 {
	if m.total <= 0 {
		return 0
	}
	return int64(float64(m.done) / float64(m.total) * 100)
}

// names returns short names of the files being transferred. Files with bytes come first.
func (m *meter) names() (names []string) {
	if m.subject != "" {
		return []string{tameName(path.Base(m.subject))}
	}
	subjects := slices.SortedFunc(maps.Keys(m.under), func(a, b string) int {
		return cmp.Or(cmp.Compare(sign(m.under[b].done), sign(m.under[a].done)), cmp.Compare(a, b))
	})
	for _, s := range subjects {
		names = append(names, shortName(s))
	}
	return slices.Compact(names)
}

func sign(n int64) int64 { return min(max(n, 0), 1) }

// pauses returns the subjects that will be tried again, and when the first of them will.
func (m *meter) pauses() (subjects []string, until time.Duration) {
	for s, end := range m.retrying {
		if left := time.Until(end); left > 0 {
			if subjects = append(subjects, s); until == 0 || left < until {
				until = left
			}
		}
	}
	slices.Sort(subjects)
	return subjects, until
}

// waitsFor says what the run waits for: servers, the end of a pause, another run, or this machine.
func (m *meter) waitsFor() string {
	again, until := m.pauses()
	asked := m.traffic.Asked()
	switch {
	case len(asked) > 0:
		return "waiting for " + tameName(strings.Join(asked, ", "))
	case len(again) > 0:
		for i, subject := range again {
			again[i] = shortName(subject)
		}
		return fmt.Sprintf("trying %s again in %s", strings.Join(again, ", "), seconds(until))
	case m.waiting != "":
		return "waiting for " + m.waiting
	}
	return "still " + m.activityName()
}

// sum has the totals of an activity that ended.
type sum struct {
	activity         mirror.Activity
	subject          string
	files, keptFiles int
	bytes, keptBytes int64
	took             time.Duration
}

var pastOf = map[mirror.Activity]string{
	mirror.Downloading: "downloaded", mirror.Unpacking: "unpacked", mirror.Uploading: "uploaded",
	mirror.Verifying: "verified", mirror.Writing: "wrote",
}

func (s sum) rate() int64 { return int64(float64(s.bytes) / max(s.took.Seconds(), 0.001)) }

func (s sum) String() string {
	var out strings.Builder
	if out.WriteString(pastOf[s.activity]); s.bytes == 0 && s.keptFiles > 0 {
		return fmt.Sprintf("%s nothing: %s (%s) there before", &out, count(s.keptFiles, "file"), size(s.keptBytes))
	}
	if s.subject != "" {
		fmt.Fprintf(&out, " %s:", tameName(path.Base(s.subject)))
	} else if s.files+s.keptFiles > 0 {
		fmt.Fprintf(&out, " %s,", count(s.files, "file"))
	}
	took := seconds(s.took)
	if s.took < 10*time.Second {
		took = fmt.Sprintf("%.1fs", s.took.Seconds())
	}
	fmt.Fprintf(&out, " %s in %s", size(s.bytes), took)
	if s.took >= time.Second/10 && s.bytes > 0 {
		fmt.Fprintf(&out, ", %s/s", size(s.rate()))
	}
	if s.keptFiles > 0 {
		fmt.Fprintf(&out, "; %s (%s) there before", count(s.keptFiles, "file"), size(s.keptBytes))
	} else if s.keptBytes > 0 {
		fmt.Fprintf(&out, "; %s there before", size(s.keptBytes))
	}
	return out.String()
}

// seconds writes a duration for people.
func seconds(d time.Duration) string { return d.Round(time.Second).String() }

// shortName returns the last part of a URL, a path or a reference. It shortens the names of plugin
// files by the parts that all of them have.
func shortName(subject string) string {
	source, _, _ := strings.Cut(agent.Redact(subject), "?")
	name := path.Base(source)
	if _, digest, ok := strings.Cut(name, "@sha256:"); ok {
		return tameName("sha256:" + digest[:min(len(digest), 12)])
	}
	for _, prefix := range []string{"executor_", "source_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for _, suffix := range []string{".gz", ".tgz", ".xz", ".zip", ".tar"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return shortened(tameName(name), mostOfName)
}

// leastOfName and mostOfName bound, in characters, the name of a file.
const (
	leastOfName = 9
	mostOfName  = 30
)

func shortened(name string, most int) string {
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

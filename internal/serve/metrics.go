package serve

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// metrics counts what a server does. Labels have few values, because clients cannot choose them.
type metrics struct {
	started                                  time.Time
	accepted, droppedIdle, droppedSlow       atomic.Int64
	refused, problems, added, replaced       atomic.Int64
	removed, failed, failing, lastChangeUnix atomic.Int64

	mu       sync.Mutex
	requests map[requestLabels]int64
	// bytes has the bytes of bodies by version.
	bytes map[string]int64
}

type requestLabels struct {
	version string
	status  int
}

// maxVersionLabels is how many versions have a label of their own.
const maxVersionLabels = 100

// otherVersions is the label of all other versions.
const otherVersions = "other"

// count counts an answered request. Version is empty if the request was for no version.
func (m *metrics) count(version string, status int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.bytes[version]; !known && len(m.bytes) >= maxVersionLabels {
		version = otherVersions
	}
	m.requests[requestLabels{version, status}]++
	m.bytes[version] += bytes
}

// exposition writes the text format of Prometheus, version 0.0.4.
type exposition struct{ out io.Writer }

// metric begins a metric.
func (e exposition) metric(name, kind, help string) {
	fmt.Fprintf(e.out, "# HELP botkube_mirror_%s %s\n# TYPE botkube_mirror_%[1]s %[3]s\n", name, help, kind)
}

// sample writes a value of a metric. Labels are names, each with its value after it.
func (e exposition) sample(name string, value any, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+labelValue.Replace(labels[i+1])+`"`)
	}
	in := ""
	if len(pairs) > 0 {
		in = "{" + strings.Join(pairs, ",") + "}"
	}
	fmt.Fprintf(e.out, "botkube_mirror_%s%s %v\n", name, in, value)
}

// labelValue escapes the value of a label.
var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeMetrics writes all metrics.
func (h *Handler) writeMetrics(out io.Writer) {
	m := &h.metrics
	e := exposition{out}
	e.metric("build_info", "gauge", "The program: 1, with its version as a label.")
	e.sample("build_info", 1, "version", h.options.Program, "goversion", runtime.Version())
	e.metric("start_time_seconds", "gauge", "When the server started, in Unix time.")
	e.sample("start_time_seconds", m.started.Unix())

	m.mu.Lock()
	requests, bytes := maps.Clone(m.requests), maps.Clone(m.bytes)
	m.mu.Unlock()
	e.metric("requests_total", "counter", "Answered requests, by requested version and status code; code 0 is a connection that was cut before the answer.")
	for _, l := range slices.SortedFunc(maps.Keys(requests), func(a, b requestLabels) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.status, b.status))
	}) {
		e.sample("requests_total", requests[l], "version", l.version, "code", strconv.Itoa(l.status))
	}
	e.metric("response_bytes_total", "counter", "Bytes of bodies that were sent, by version.")
	for _, version := range slices.Sorted(maps.Keys(bytes)) {
		e.sample("response_bytes_total", bytes[version], "version", version)
	}
	e.metric("requests_in_flight", "gauge", "Requests that are being answered.")
	e.sample("requests_in_flight", h.running.Load())

	if c := h.connections.Load(); c != nil {
		c.mu.Lock()
		open, idle, most := len(c.open), len(c.idle.since), c.most
		c.mu.Unlock()
		e.metric("connections", "gauge", "Open connections.")
		e.sample("connections", open)
		e.metric("connections_idle", "gauge", "Open connections that wait for another request.")
		e.sample("connections_idle", idle)
		e.metric("connections_max", "gauge", "How many connections may be open.")
		e.sample("connections_max", most)
	}
	e.metric("connections_accepted_total", "counter", "Accepted connections.")
	e.sample("connections_accepted_total", m.accepted.Load())
	e.metric("connections_dropped_total", "counter", "Connections that were closed to make room for others: idle ones, and downloads that are almost at a standstill.")
	e.sample("connections_dropped_total", m.droppedIdle.Load(), "reason", "idle")
	e.sample("connections_dropped_total", m.droppedSlow.Load(), "reason", "slow")
	e.metric("connections_refused_total", "counter", "Connections that were closed at once, because their address had reached its limit.")
	e.sample("connections_refused_total", m.refused.Load())

	e.metric("version_served", "gauge", "Served versions: 1 for each.")
	for _, v := range h.catalog.Load().versions {
		e.sample("version_served", 1, "version", v.Tag)
	}
	e.metric("reloads_total", "counter", "Changes of the served content, and sources that could not be served.")
	e.sample("reloads_total", m.added.Load(), "result", "added")
	e.sample("reloads_total", m.failed.Load(), "result", "failed")
	e.sample("reloads_total", m.removed.Load(), "result", "removed")
	e.sample("reloads_total", m.replaced.Load(), "result", "replaced")
	e.metric("last_reload_time_seconds", "gauge", "Last change of the served content, in Unix time; the start of the server before the first change.")
	e.sample("last_reload_time_seconds", m.lastChangeUnix.Load())
	e.metric("sources_failing", "gauge", "Bundles and versions of a site that are not served now, because they are damaged or incomplete.")
	e.sample("sources_failing", m.failing.Load())
	e.metric("problems_total", "counter", "Problems that this server logged, such as a damaged file.")
	e.sample("problems_total", m.problems.Load())
}

// monitor returns the handler for metrics and probes at the address of the metrics.
func (h *Handler) monitor() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		h.writeMetrics(w)
	})
	mux.HandleFunc("GET "+healthPath, h.healthy)
	mux.HandleFunc("GET "+readyPath, h.ready)
	return mux
}

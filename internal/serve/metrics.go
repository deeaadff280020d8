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

// metrics count what a server does. Labels have few values: clients choose none of them.
type metrics struct {
	started                                  time.Time
	accepted, droppedIdle, droppedSlow       atomic.Int64
	refused, problems, added, replaced       atomic.Int64
	removed, failed, failing, lastChangeUnix atomic.Int64

	mu       sync.Mutex
	requests map[requestLabels]int64
	// bytes are those of bodies, by version.
	bytes map[string]int64
}

type requestLabels struct {
	version string
	status  int
}

// maxVersionLabels bounds the versions that are counted apart from each other.
const maxVersionLabels = 100

// otherVersions is the label of the others.
const otherVersions = "other"

// count counts an answered request. Version is empty where none was asked for.
func (m *metrics) count(version string, status int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.bytes[version]; !known && len(m.bytes) >= maxVersionLabels {
		version = otherVersions
	}
	m.requests[requestLabels{version, status}]++
	m.bytes[version] += bytes
}

// writeMetrics writes the text format of Prometheus, version 0.0.4.
func (h *Handler) writeMetrics(out io.Writer) {
	m := &h.metrics
	metric := func(name, kind, help string) {
		fmt.Fprintf(out, "# HELP botkube_mirror_%s %s\n# TYPE botkube_mirror_%[1]s %[3]s\n", name, help, kind)
	}
	sample := func(name string, value any, labels ...string) {
		var pairs []string
		for i := 0; i < len(labels); i += 2 {
			pairs = append(pairs, labels[i]+`="`+labelValue.Replace(labels[i+1])+`"`)
		}
		in := ""
		if len(pairs) > 0 {
			in = "{" + strings.Join(pairs, ",") + "}"
		}
		fmt.Fprintf(out, "botkube_mirror_%s%s %v\n", name, in, value)
	}
	metric("build_info", "gauge", "The program: 1, with its version as a label.")
	sample("build_info", 1, "version", h.options.Program, "goversion", runtime.Version())
	metric("start_time_seconds", "gauge", "When the server started, in Unix time.")
	sample("start_time_seconds", m.started.Unix())

	m.mu.Lock()
	requests, bytes := maps.Clone(m.requests), maps.Clone(m.bytes)
	m.mu.Unlock()
	metric("requests_total", "counter", "Answered requests, by the version that was asked for and the status code; 0 is a connection that was cut before there was one.")
	for _, l := range slices.SortedFunc(maps.Keys(requests), func(a, b requestLabels) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.status, b.status))
	}) {
		sample("requests_total", requests[l], "version", l.version, "code", strconv.Itoa(l.status))
	}
	metric("response_bytes_total", "counter", "Bytes of bodies that were sent, by version.")
	for _, version := range slices.Sorted(maps.Keys(bytes)) {
		sample("response_bytes_total", bytes[version], "version", version)
	}
	metric("requests_in_flight", "gauge", "Requests that are being answered.")
	sample("requests_in_flight", h.running.Load())

	if c := h.connections.Load(); c != nil {
		c.mu.Lock()
		open, idle, most := len(c.open), len(c.idle.since), c.most
		c.mu.Unlock()
		metric("connections", "gauge", "Open connections.")
		sample("connections", open)
		metric("connections_idle", "gauge", "Open connections that wait for another request.")
		sample("connections_idle", idle)
		metric("connections_max", "gauge", "How many connections may be open.")
		sample("connections_max", most)
	}
	metric("connections_accepted_total", "counter", "Accepted connections.")
	sample("connections_accepted_total", m.accepted.Load())
	metric("connections_dropped_total", "counter", "Connections that were closed to make room for others: idle ones, and downloads of clients that take next to nothing.")
	sample("connections_dropped_total", m.droppedIdle.Load(), "reason", "idle")
	sample("connections_dropped_total", m.droppedSlow.Load(), "reason", "slow")
	metric("connections_refused_total", "counter", "Connections that were closed at once, because their address had as many as it may have.")
	sample("connections_refused_total", m.refused.Load())

	metric("version_served", "gauge", "The versions that are served: 1 for each.")
	for _, v := range h.catalog.Load().versions {
		sample("version_served", 1, "version", v.Tag)
	}
	metric("reloads_total", "counter", "Changes of what is served, and sources that could not be served.")
	sample("reloads_total", m.added.Load(), "result", "added")
	sample("reloads_total", m.failed.Load(), "result", "failed")
	sample("reloads_total", m.removed.Load(), "result", "removed")
	sample("reloads_total", m.replaced.Load(), "result", "replaced")
	metric("last_reload_time_seconds", "gauge", "When what is served changed last, in Unix time; at first when the server started.")
	sample("last_reload_time_seconds", m.lastChangeUnix.Load())
	metric("sources_failing", "gauge", "Bundles and versions of a site that are there now and are not served, because they are damaged or incomplete.")
	sample("sources_failing", m.failing.Load())
	metric("problems_total", "counter", "Lines on standard error about what is wrong with this server, such as a damaged file.")
	sample("problems_total", m.problems.Load())
}

// labelValue escapes the value of a label.
var labelValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// monitor answers those who watch over the server, whatever its clients do.
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

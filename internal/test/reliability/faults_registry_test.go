//go:build unix

package reliability

import (
	"net/http"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// Positions in a blob whose size is known when the test runs.
const (
	middleOf = -1 - iota
	lastOf
)

// cut has connections break at a position of the blob, so many times; 0 stands for always.
func cut(at int64, times int) []registrytest.Fault {
	return []registrytest.Fault{
		{Do: registrytest.CutResponse, At: at, Times: times},
		{Do: registrytest.CutRequest, At: at, Times: times},
	}
}

// answers has requests answered by something else than the registry.
func answers(path string, status, times int, header ...string) []registrytest.Fault {
	f := registrytest.Fault{Path: path, Do: registrytest.Answer, Status: status, Times: times, Header: http.Header{}, Body: "no"}
	for i := 0; i+1 < len(header); i += 2 {
		f.Header.Set(header[i], header[i+1])
	}
	return []registrytest.Fault{f}
}

var registryFaults = []*registryFault{
	{
		name: "the connection drops at the first byte of a blob", faults: cut(1, 1), want: done(nothing),
	},
	{
		name: "the connection drops in the middle of a blob", faults: cut(middleOf, 1), want: done(nothing),
		except: map[string]want{"push": done(allOfIt)},
	},
	{
		name: "the connection drops at the last byte of a blob", faults: cut(lastOf, 1), want: done(nothing),
		except: map[string]want{"push": done(allOfIt)},
	},
	{
		name: "the answer is lost", faults: []registrytest.Fault{{Do: registrytest.DropResponse, Times: 1}}, want: done(nothing),
		except: map[string]want{"push": done(allOfIt)},
	},
	{
		name: "the connection drops every time", faults: cut(1000, 0), want: fails(3, "gave up after", nothing),
		except: map[string]want{"push": fails(3, "gave up after", aPart), "verify docker://": fails(3, "gave up after", aPart)},
	},
	{
		name: "the connection drops, and the registry sends no ranges", reads: true,
		faults: append(cut(middleOf, 1)[:1], registrytest.Fault{Do: registrytest.WholeResponse}), want: done(allOfIt),
	},
	{
		name: "the registry stalls in the middle of a blob", stall: true,
		faults: []registrytest.Fault{{Do: registrytest.StallResponse, At: middleOf, Times: 1}}, reads: true, want: done(nothing),
	},
	{
		name: "the registry takes no more in the middle of a blob", stall: true,
		faults: []registrytest.Fault{{Do: registrytest.StallRequest, At: middleOf, Times: 1}}, sends: true, want: done(allOfIt),
	},
	{name: "503 twice", faults: answers("/v2/", http.StatusServiceUnavailable, 2), want: done(nothing)},
	{name: "503 twice, for a blob", faults: answers("", http.StatusServiceUnavailable, 2), want: done(nothing)},
	{name: "429 with Retry-After", faults: answers("/v2/", http.StatusTooManyRequests, 1, "Retry-After", "1"), want: done(nothing)},
	{name: "503 every time", faults: answers("/v2/", http.StatusServiceUnavailable, 0), want: fails(3, "503 Service Unavailable", nothing)},
	{name: "401", faults: answers("/v2/", http.StatusUnauthorized, 0, "WWW-Authenticate", `Basic realm="registry"`), want: fails(3, "401 Unauthorized", nothing)},
	{name: "403", faults: answers("/v2/", http.StatusForbidden, 0), want: fails(3, "403 Forbidden", nothing)},
	{
		name: "a blob is missing", reads: true, faults: answers("", http.StatusNotFound, 0), want: fails(3, "404 Not Found", nothing),
		except: map[string]want{"verify docker://": fails(5, "missing", nothing)},
	},
	{name: "a manifest is missing", reads: true, faults: answers("/manifests/", http.StatusNotFound, 0), want: fails(3, "404 Not Found", nothing)},
	{
		name: "a blob is damaged once", reads: true,
		faults: []registrytest.Fault{{Do: registrytest.FlipResponse, At: middleOf, Times: 1}}, want: done(allOfIt),
	},
	{
		name: "a blob is damaged every time", reads: true,
		faults: []registrytest.Fault{{Do: registrytest.FlipResponse, At: middleOf}}, want: fails(4, "", allOfIt),
	},
	{
		name: "a manifest is another than its digest says", reads: true,
		faults: []registrytest.Fault{{Path: "/manifests/sha256:", Do: registrytest.FlipResponse, At: 10}}, want: fails(4, "", nothing),
	},
	{
		name: "a redirect in a circle", reads: true,
		faults: append(answers("", http.StatusTemporaryRedirect, 0, "Location", "/v2/circle"), answers("/v2/circle", http.StatusTemporaryRedirect, 0, "Location", "/v2/circle")...),
		want:   fails(3, "redirects", nothing),
	},
	{name: "an authority that is not known", tls: true, flags: []string{"--retries", "2"}, want: fails(2, "unknown authority", nothing)},
	{name: "http where https should be", flags: []string{"--retries", "2"}, want: fails(2, "", nothing)},
	{name: "https where http should be", tls: true, flags: []string{"--plain-http"}, want: fails(2, "", nothing)},
}

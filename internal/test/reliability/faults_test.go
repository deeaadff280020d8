//go:build unix

package reliability

import (
	"fmt"
	"maps"
	"net/http"
)

// downloaded are the places of files that are resumed, files the places of
// those that have no form of their own.
var downloaded = []place{theArchive, theDependency}

// once has trouble with the first request for content alone.
func once(trouble func(*answer)) func(*answer) {
	return times(1, trouble)
}

// times has trouble with the first n requests for content.
func times(n int, trouble func(*answer)) func(*answer) {
	return func(a *answer) {
		if a.get() && a.n < n {
			trouble(a)
			return
		}
		a.right()
	}
}

// always has trouble with all requests for content.
func always(trouble func(*answer)) func(*answer) { return times(1<<30, trouble) }

// wrongSum is how it ends if a wrong checksum was given.
func wrongSum(by string) want {
	w := fails(4, "does not match", allOfIt)
	w.about = by
	return w
}

// short is a length that loses something that matters.
func short(data []byte) int { return len(data) - 1 - len(data)/10 }

func first(*answer) int    { return 1 }
func middle(a *answer) int { return len(a.data) / 2 }
func last(a *answer) int   { return len(a.data) - 1 }

func dropAt(at func(*answer) int) func(*answer) { return func(a *answer) { a.drop(at(a)) } }

// documents says of small files, which are not resumed, how that ends.
func documents(w want) map[string]want {
	return map[string]want{"index": w, "checksum": w, "chart": w}
}

// pinned are outcomes for lock and list, which do without a checksum file that they
// cannot have.
func pinned(a again) map[string]want {
	w := unverified
	w.again = a
	return map[string]want{"checksum/lock": w, "checksum/list": w}
}

// wrongChart is how it ends if a chart is not what its repository says.
func wrongChart(a again) want { return fails(4, "but the index of the chart repository has", a) }

// unsized are outcomes for list, which can do without a size.
var unsized = map[string]want{"archive/list": unknownSize, "dependency/list": unknownSize}

// and returns both.
func and(a, b map[string]want) map[string]want {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

var upstreamFaults = []*fault{
	{
		name: "the connection drops at the first byte", downloads: true,
		answer: once(dropAt(first)), want: done(nothing), except: documents(done(allOfIt)),
	},
	{
		name: "the connection drops in the middle", downloads: true,
		answer: once(dropAt(middle)), want: done(nothing), except: documents(done(allOfIt)),
	},
	{
		name: "the connection drops at the last byte", downloads: true,
		answer: once(dropAt(last)), want: done(nothing), except: documents(done(allOfIt)),
	},
	{
		name: "the connection drops in the middle, over HTTP/2", downloads: true, places: downloaded, over: http2,
		answer: once(dropAt(middle)), want: done(nothing),
	},
	{
		name: "the connection is reset in the middle", downloads: true,
		answer: once(func(a *answer) { a.reset(middle(a)) }), want: done(aPart), except: documents(done(allOfIt)),
	},
	{
		name: "the connection is reset in the middle, over HTTP/2", downloads: true, places: downloaded, over: http2,
		answer: once(func(a *answer) { a.reset(middle(a)) }), want: done(aPart),
	},
	{
		name: "the connection drops every time", downloads: true,
		answer: always(func(a *answer) { a.drop(min(middle(a), 100<<10)) }), want: fails(3, "the connection ended after", nothing), except: and(documents(fails(3, "the connection ended after", allOfIt)), pinned(allOfIt)),
	},
	{
		name: "the connection drops, and the server sends no ranges", downloads: true, places: downloaded,
		answer: func(a *answer) {
			if a.get() && a.n == 0 {
				a.left, a.end = middle(a), func() { panic(http.ErrAbortHandler) }
			}
			a.whole()
		},
		want: done(allOfIt),
	},
	{
		name: "the connection drops, and the server tells no version of the file", downloads: true, places: downloaded,
		answer: func(a *answer) {
			a.etag = ""
			if a.get() && a.n == 0 {
				a.drop(middle(a))
			}
			a.right()
		},
		want: done(nothing), except: map[string]want{"dependency": done(allOfIt)},
	},
	{
		name: "the file changes while the connection is down", downloads: true, places: downloaded, delivers: reversed,
		answer: func(a *answer) {
			if a.get() && a.n == 0 {
				a.drop(middle(a))
			}
			a.data = reversed(a.data)
			a.etag = etag(a.data)
			a.right()
		},
		want: fails(4, "", allOfIt), except: map[string]want{"dependency": {again: allOfIt, note: "with the new one"}},
	},
	{
		name: "the server stalls in the middle", downloads: true, stall: true,
		answer: once(func(a *answer) { a.stall(middle(a)) }), want: done(nothing), except: documents(done(allOfIt)),
	},
	{
		name: "the server stalls in the middle, over HTTP/2", downloads: true, places: downloaded, stall: true, over: http2,
		answer: once(func(a *answer) { a.stall(middle(a)) }), want: done(nothing),
	},
	{
		name: "the server is slow but steady", downloads: true, stall: true,
		answer: once((*answer).slow), want: done(nothing), places: downloaded,
	},
	{
		name: "the server is slow but steady, over HTTP/2", downloads: true, stall: true, over: http2,
		answer: once((*answer).slow), want: done(nothing), places: downloaded,
	},
	{
		name: "503 twice",
		answer: func(a *answer) {
			if a.n < 2 {
				a.status(http.StatusServiceUnavailable)
				return
			}
			a.right()
		},
		want: done(nothing),
	},
	{
		name: "429 with Retry-After",
		answer: func(a *answer) {
			if a.n < 1 {
				a.status(http.StatusTooManyRequests, "Retry-After", "1")
				return
			}
			a.right()
		},
		want: done(nothing),
	},
	{
		name: "503 every time", answer: func(a *answer) { a.status(http.StatusServiceUnavailable) },
		want: fails(3, "503 Service Unavailable", nothing), except: and(unsized, pinned(nothing)),
	},
	{
		name: "401", answer: func(a *answer) { a.status(http.StatusUnauthorized, "WWW-Authenticate", `Basic realm="files"`) },
		want: fails(3, "401 Unauthorized", nothing), except: and(unsized, map[string]want{"checksum": unverified}),
	},
	{
		name: "404", answer: func(a *answer) { a.status(http.StatusNotFound) },
		want: fails(3, "404 Not Found", nothing), except: map[string]want{"checksum": unverified},
	},
	{
		name: "HEAD is answered 405",
		answer: func(a *answer) {
			if !a.get() {
				a.status(http.StatusMethodNotAllowed)
				return
			}
			a.right()
		},
		want: done(nothing), places: downloaded,
	},
	{
		name: "HEAD is answered 403",
		answer: func(a *answer) {
			if !a.get() {
				a.status(http.StatusForbidden)
				return
			}
			a.right()
		},
		want: done(nothing), places: downloaded,
	},
	{
		name: "damaged once", downloads: true, answer: once((*answer).corrupt), delivers: damagedTool, want: done(allOfIt),
		except: and(documents(unnoticed), map[string]want{
			"dependency": unnoticed, "chart": wrongChart(allOfIt),
			"index/pull to a directory": wrongSum("the index of a"), "index/pull to a file": wrongSum("the index of a"),
			"checksum/pull to a directory": wrongSum("tool00.sha256"), "checksum/pull to a file": wrongSum("tool00.sha256"),
		}),
	},
	{
		name: "damaged every time", downloads: true, answer: always((*answer).corrupt), delivers: damagedTool, want: fails(4, "does not match", allOfIt),
		except: and(documents(unnoticed), map[string]want{
			"dependency": unnoticed, "chart": wrongChart(allOfIt),
			"index/pull to a directory": wrongSum("the index of a"), "index/pull to a file": wrongSum("the index of a"),
			"checksum/pull to a directory": wrongSum("tool00.sha256"), "checksum/pull to a file": wrongSum("tool00.sha256"),
		}),
	},
	{
		name: "Content-Length is too short", downloads: true,
		answer: always(func(a *answer) { a.raw(fmt.Sprintf("Content-Length: %d", short(a.data)), a.data) }),
		want:   fails(4, "", allOfIt), except: map[string]want{"dependency": fails(4, "the size does not match", aPart), "chart": wrongChart(allOfIt), "index": fails(4, "has errors for which the agent would refuse all of it", allOfIt), "checksum": unverified},
	},
	{
		name: "Content-Length is too long", downloads: true,
		answer: always(func(a *answer) { a.raw(fmt.Sprintf("Content-Length: %d", len(a.data)+100), a.data) }),
		// The right size was told before. What the buffers hold comes in vain.
		want: fails(3, "", allOfIt), except: and(pinned(allOfIt), map[string]want{"dependency": fails(4, "the size does not match", aPart)}),
	},
	{
		name: "a chunked body ends early", downloads: true,
		answer: always(func(a *answer) { a.raw("Transfer-Encoding: chunked", chunked(a.data[:middle(a)])) }),
		want:   fails(3, "the connection ended", allOfIt), except: pinned(allOfIt),
	},
	{
		name: "compressed though not asked to", downloads: true,
		answer: func(a *answer) {
			a.Header().Set("Content-Encoding", "gzip")
			a.data = compressed(a.data)
			a.whole()
		},
		// What cannot be compressed becomes longer on the way.
		want: done(aPart), except: map[string]want{"index": done(nothing), "checksum": done(allOfIt), "chart": done(allOfIt)},
	},
	{
		name: "an empty file", answer: func(a *answer) { a.data = nil; a.whole() }, want: fails(3, "empty", nothing),
		except: map[string]want{
			"chart": wrongChart(nothing), "archive": fails(4, "does not match", nothing), "checksum": unverified,
			"archive/list": done(nothing), "dependency/list": done(nothing),
		},
	},
	{
		name: "a web page instead",
		answer: func(a *answer) {
			a.Header().Set("Content-Type", "text/html")
			a.WriteHeader(http.StatusOK)
			_, _ = a.ResponseWriter.Write([]byte("<!DOCTYPE html><html><title>Log in</title>"))
		},
		want: fails(3, "a web page", nothing), except: map[string]want{
			"checksum": unverified, "archive": fails(4, "does not match", nothing),
			"archive/list": unknownSize, "dependency/list": unknownSize,
		},
	},
	{
		name: "a redirect in a circle", answer: func(a *answer) { a.redirect(a.request.URL.Path) },
		want: fails(3, "redirects in a circle", nothing), except: and(unsized, map[string]want{"checksum": unverified}),
	},
	{
		name: "a redirect from https to http", over: https, answer: func(a *answer) { a.redirect("http://127.0.0.1:1/") },
		want: fails(3, "redirects from https to plain http", nothing), except: and(unsized, map[string]want{"checksum": unverified}),
	},
	{
		name: "an authority that is not known", over: https, certificate: certUnknown, places: hosts,
		want: fails(3, "unknown authority", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "a certificate of another host", over: https, certificate: certOtherHost, places: hosts,
		want: fails(3, "certificate", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "an expired certificate", over: https, certificate: certExpired, places: hosts,
		want: fails(3, "expired", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "http where https should be", over: https, certificate: certNone, places: hosts,
		want: fails(3, "HTTP", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "a name that no name server knows", host: unresolved, places: hosts,
		want: fails(3, "lookup", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "a proxy that refuses, for http", host: unresolved, gated: true, places: hosts,
		want: fails(3, "407", nothing), except: map[string]want{"archive/list": unknownSize},
	},
	{
		name: "a proxy that refuses, for https", over: https, host: unresolved, gated: true, places: hosts,
		want: fails(3, "407", nothing), except: map[string]want{"archive/list": unknownSize},
	},
}

// hosts are the places that have a host of their own.
var hosts = []place{theIndex, theArchive}

func damagedTool(data []byte) []byte { return damaged("tool00", data) }

// reversed returns another version of a file.
func reversed(data []byte) []byte {
	other := make([]byte, len(data))
	for i, b := range data {
		other[len(data)-1-i] = b
	}
	return other
}

// chunked returns a part of a chunked body, without its end (RFC 9112, section 7.1).
func chunked(data []byte) []byte {
	return append(fmt.Appendf(nil, "%x\r\n", len(data)), append(data[:len(data):len(data)], "\r\n"...)...)
}

package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

func TestContentRange(t *testing.T) {
	tests := map[string]struct {
		start, end, total int64
		ok                bool
	}{
		"bytes 0-9/10":                    {0, 9, 10, true},
		"bytes 5-5/*":                     {5, 5, -1, true},
		"bytes 5-4/10":                    {},
		"bytes 0-10/10":                   {},
		"bytes */10":                      {},
		"bytes -1-3/10":                   {},
		"bytes 0-9":                       {},
		"items 0-9/10":                    {},
		"":                                {},
		"bytes 0-99999999999999999999/10": {},
	}
	for field, want := range tests {
		start, end, total, ok := parseContentRange(field)
		if ok != want.ok || ok && (start != want.start || end != want.end || total != want.total) {
			t.Errorf("%q: %d-%d/%d, %t", field, start, end, total, ok)
		}
	}
}

func TestGuard(t *testing.T) {
	const then, now = "Tue, 02 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 03:04:06 GMT"
	for want, headers := range map[string][]http.Header{
		`"a"`: {{"Etag": {`"a"`}}, {"Etag": {`"a"`}, "Last-Modified": {then}, "Date": {now}}},
		then:  {{"Etag": {`W/"a"`}, "Last-Modified": {then}, "Date": {now}}, {"Last-Modified": {then}, "Date": {now}}},
		"": {{}, {"Etag": {`W/"a"`}}, {"Etag": {`a`}}, {"Last-Modified": {then}}, {"Last-Modified": {then}, "Date": {then}},
			{"Last-Modified": {"then"}, "Date": {now}}, {"Etag": {`"a"`}, "Accept-Ranges": {"none"}}},
	} {
		for _, h := range headers {
			if got := guard(h); got != want {
				t.Errorf("%v: %q, want %q", h, got, want)
			}
		}
	}
}

func TestProxySettingsAreNotQuoted(t *testing.T) {
	// net/http reads the environment once, so the error is made here.
	if transfer.Transient(transfer.ErrProxySetting, 1) || hint(transfer.ErrProxySetting) == "" {
		t.Error("it is not to be retried, and has a hint")
	}
}

// A proxy that refuses knows nothing of the file.
func TestProxyIsNotTheServer(t *testing.T) {
	at := &url.URL{Scheme: "https", Host: "example.com"}
	for code, is := range map[int]func(error) bool{
		http.StatusNotFound: IsNotFound, http.StatusGone: IsNotFound, http.StatusForbidden: IsForbidden,
		http.StatusUnauthorized: func(err error) bool { return IsUnwelcome(err, at) },
	} {
		server := &transfer.StatusError{Code: code, Host: at.Host}
		proxy := &transfer.StatusError{Code: code, Host: at.Host, Proxy: true}
		if !is(server) || is(proxy) {
			t.Errorf("%d: the server's %t, the proxy's %t", code, is(server), is(proxy))
		}
	}
	if IsUnwelcome(&transfer.StatusError{Code: http.StatusUnauthorized, Host: "elsewhere.example.com"}, at) {
		t.Error("another host's is taken for the server's")
	}
}

// A connection that cannot be made in time is the server's trouble; the error
// of net is context.DeadlineExceeded too.
func TestTimeoutIsUpstream(t *testing.T) {
	_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", "127.0.0.1:9")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error of a dial in no time is %v", err)
	}
	if kind := fault.KindOf(failure("reading", "https://example.com/x", err)); kind != fault.Upstream {
		t.Errorf("exit code %d, want %d", kind, fault.Upstream)
	}
}

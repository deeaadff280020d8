package fetch

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

func TestValidator(t *testing.T) {
	t.Parallel()
	const then, now = "Tue, 02 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 03:04:06 GMT"
	for want, headers := range map[string][]http.Header{
		`"a"`: {{"Etag": {`"a"`}}, {"Etag": {`"a"`}, "Last-Modified": {then}, "Date": {now}}},
		then:  {{"Etag": {`W/"a"`}, "Last-Modified": {then}, "Date": {now}}, {"Last-Modified": {then}, "Date": {now}}},
		"": {{}, {"Etag": {`W/"a"`}}, {"Etag": {`a`}}, {"Last-Modified": {then}}, {"Last-Modified": {then}, "Date": {then}},
			{"Last-Modified": {"then"}, "Date": {now}}, {"Etag": {`"a"`}, "Accept-Ranges": {"none"}}},
	} {
		for _, h := range headers {
			if got := validator(h); got != want {
				t.Errorf("%v: %q, want %q", h, got, want)
			}
		}
	}
}

func TestProxySettingsAreNotQuoted(t *testing.T) {
	t.Parallel()
	// net/http reads the environment once, so the error is made here.
	if transfer.Transient(transfer.ErrProxySetting, 1) || hint("reading", transfer.ErrProxySetting) == "" {
		t.Error("it is not to be retried, and has a hint")
	}
}

// TestAbsence has what says that a file is not there, and what says nothing of it.
func TestAbsence(t *testing.T) {
	t.Parallel()
	for want, errs := range map[bool][]error{
		true: {
			&transfer.StatusError{Code: 400}, &transfer.StatusError{Code: 401}, &transfer.StatusError{Code: 403}, &transfer.StatusError{Code: 404},
			&transfer.StatusError{Code: 405}, &transfer.StatusError{Code: 409}, &transfer.StatusError{Code: 410}, &transfer.StatusError{Code: 204},
			&transfer.StatusError{Code: 301}, &transfer.RedirectError{Reason: "the server redirects in a circle"}, errWebPage, fs.ErrNotExist,
		},
		false: {
			nil, &transfer.StatusError{Code: 407}, &transfer.StatusError{Code: 408}, &transfer.StatusError{Code: 425}, &transfer.StatusError{Code: 429},
			&transfer.StatusError{Code: 500}, &transfer.StatusError{Code: 501}, &transfer.StatusError{Code: 502}, &transfer.StatusError{Code: 503},
			&transfer.StatusError{Code: 404, Proxy: true}, errors.New("connection refused"), transfer.ErrStalled, tooLong(1),
		},
	} {
		for _, err := range errs {
			if got := Absence(err); (got != "") != want {
				t.Errorf("%v: %q", err, got)
			}
			if err != nil && (Absence((&Client{}).failure("reading", "https://example.com", err)) != "") != want {
				t.Errorf("%v is not known in an error for the user", err)
			}
		}
	}
}

// A proxy that refuses knows nothing of the file.
func TestProxyIsNotTheServer(t *testing.T) {
	t.Parallel()
	at := &url.URL{Scheme: "https", Host: "example.com"}
	absent := func(err error) bool { return Absence(err) != "" }
	for code, is := range map[int]func(error) bool{
		http.StatusNotFound: IsNotFound, http.StatusGone: IsNotFound, http.StatusForbidden: absent, http.StatusMethodNotAllowed: absent,
		http.StatusUnauthorized: func(err error) bool { return IsUnauthorized(err, at) },
	} {
		server := &transfer.StatusError{Code: code, Host: at.Host}
		proxy := &transfer.StatusError{Code: code, Host: at.Host, Proxy: true}
		if !is(server) || is(proxy) {
			t.Errorf("%d: the server's %t, the proxy's %t", code, is(server), is(proxy))
		}
	}
	if IsUnauthorized(&transfer.StatusError{Code: http.StatusUnauthorized, Host: "elsewhere.example.com"}, at) {
		t.Error("another host's is taken for the server's")
	}
}

// A connection that cannot be made in time is the server's trouble; the error
// of net is context.DeadlineExceeded too.
func TestTimeoutIsUpstream(t *testing.T) {
	t.Parallel()
	_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", "127.0.0.1:9")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error of a dial in no time is %v", err)
	}
	if kind := fault.KindOf((&Client{}).failure("reading", "https://example.com/x", err)); kind != fault.Upstream {
		t.Errorf("exit code %d, want %d", kind, fault.Upstream)
	}
}

// TestParseS3 has the forms that go-getter reads.
func TestParseS3(t *testing.T) {
	t.Parallel()
	aws := func(region, bucket, key string) s3Place {
		return s3Place{domain: "amazonaws.com", region: region, bucket: bucket, key: key}
	}
	for raw, want := range map[string]s3Place{
		"https://s3.amazonaws.com/b/k/x":                     aws("us-east-1", "b", "k/x"),
		"https://s3-eu-west-1.amazonaws.com/b/k":             aws("eu-west-1", "b", "k"),
		"https://b.s3-eu-west-1.amazonaws.com/k/x":           aws("eu-west-1", "b", "k/x"),
		"https://b.s3.eu-west-1.amazonaws.com/k":             aws("eu-west-1", "b", "k"),
		"https://s3-cn-north-1.amazonaws.com.cn/b/k":         {domain: "amazonaws.com.cn", region: "cn-north-1", bucket: "b", key: "k"},
		"https://minio.example.com:9000/b/k/x":               {"", "https://minio.example.com:9000", "us-east-1", "b", "k/x", ""},
		"http://127.0.0.1:9000/b/k?version=7&region=eu-x":    {"", "http://127.0.0.1:9000", "eu-x", "b", "k", "7"},
		"https://s3.amazonaws.com/b/":                        {},
		"https://s3.amazonaws.com/b":                         {},
		"https://b.s3.amazonaws.com/k":                       {}, // no region
		"https://minio.example.com/b":                        {},
		"https://minio.example.com//k":                       {},
		"https://amazonaws.com/b/k":                          {},
		"https://a.b.c.s3.eu-west-1.amazonaws.com/k":         {},
		"https://s3.eu-west-1.amazonaws.com.example.com/b/k": {"", "https://s3.eu-west-1.amazonaws.com.example.com", "us-east-1", "b", "k", ""},
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseS3(u)
		if (err == nil) != (want != s3Place{}) || err == nil && got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}

// No password is among the arguments of git, whatever the transport.
func TestGitRemoteHasNoPassword(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	t.Cleanup(c.Close)
	for _, raw := range []string{"https://user:secret@host/x", "ssh://git:secret@host/x", "git://user:secret@host/x"} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		w, err := (&gitClone{fetch: c}).workTree(t.Context(), t.TempDir(), u)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(w.remote, "secret") {
			t.Errorf("%s: %s", raw, w.remote)
		}
	}
}

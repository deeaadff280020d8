package transfer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestTraffic(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	last := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "answer")
	}))
	defer last.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-goOn
		http.Redirect(w, r, last.URL, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	traffic := &Traffic{}
	c := NewClient(http.DefaultTransport, "the server", Options{IdleTimeout: DefaultIdleTimeout, Traffic: traffic})
	is := func(where string, moved int64, hosts ...string) {
		t.Helper()
		if got := traffic.Asked(); !slices.Equal(got, hosts) || traffic.Moved() != moved {
			t.Errorf("%s: %v are asked and %d bytes moved, want %v and %d", where, got, traffic.Moved(), hosts, moved)
		}
	}
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	go func() {
		<-asked
		is("while the first server thinks", 0, host(first))
		close(goOn)
	}()
	req, err := http.NewRequest(http.MethodGet, first.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req, 0)
	if err != nil {
		t.Fatal(err)
	}
	is("with the answer of the second", 0, host(last))
	if _, err := io.ReadAll(resp); err != nil {
		t.Fatal(err)
	}
	is("once it is read", 6, host(last))
	if err := resp.Close(); err != nil {
		t.Fatal(err)
	}
	is("once it is closed", 6)
	if req, err = http.NewRequest(http.MethodPost, last.URL, io.NopCloser(strings.NewReader("question"))); err != nil {
		t.Fatal(err)
	}
	if resp, err = c.Do(req, 0); err != nil {
		t.Fatal(err)
	}
	is("with what was sent", 14, host(last))
	if err := resp.Close(); err != nil {
		t.Fatal(err)
	}
	last.Close()
	if resp, err := c.Do(req, 0); err == nil {
		t.Error(resp.Close())
	}
	is("after a failure", traffic.Moved())
	var none *Traffic
	none.Move(1)
	none.Ask("host")()
}

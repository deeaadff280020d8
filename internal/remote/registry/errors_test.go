package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// A dial that times out is context.DeadlineExceeded to errors.Is, but no end of
// the context.
func TestTimeoutIsUpstream(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	c := new(Client)
	if got := c.failure(t.Context(), "x", "h", err); fault.KindOf(got) != fault.Upstream || fault.HintOf(got) == "" {
		t.Error(got)
	}
}

// Who reads from a registry sends nothing: the next step must suit him, too.
func TestHintsSuitReaders(t *testing.T) {
	t.Parallel()
	var hints []string
	for _, c := range []*Client{{}, {Config: Config{PlainHTTP: true}}} {
		_, hint := c.advice("h", errors.New("x"))
		hints = append(hints, hint)
	}
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		hints = append(hints, (&statusError{StatusError: &transfer.StatusError{Code: code}}).hint("h"))
	}
	for _, hint := range hints {
		if !strings.Contains(hint, "run the command again") || strings.Contains(hint, "sent") {
			t.Error(hint)
		}
	}
}

func TestUploadedTo(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{"0-0": -1, "": -1, "0-": -1, "0-9": 10, "bytes=0-9": 10, "1-9": -1, "0--1": -1, "x": -1} {
		got, ok := uploadedTo(value)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
}

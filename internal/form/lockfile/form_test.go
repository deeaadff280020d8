package lockfile

import (
	"bytes"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// TestTooLarge has more on standard input than is read of a lock.
func TestTooLarge(t *testing.T) {
	p := &form.Place{Target: form.StandardStream, Stream: bytes.NewReader(bytes.Repeat([]byte("{"), lock.MaxSize+10))}
	_, err := open(t.Context(), p)
	if fault.KindOf(err) != fault.Integrity || fault.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

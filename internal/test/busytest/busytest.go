// Package busytest tries what has to do with patience on machines that may be busy.
package busytest

import (
	"testing"
	"time"
)

// patiences are tried one after the other. The first is for machines with
// nothing else to do, the last for those that let a process wait for seconds.
var patiences = []time.Duration{500 * time.Millisecond, 3 * time.Second, 20 * time.Second}

// Try fails a test in which something fails with every patience. A server that
// has to wait for the processor looks silent to who waits for half a second; a
// limit that should not be there is met with any patience, if whatever is tried
// takes some multiple of it.
func Try(t testing.TB, something func(patience time.Duration) error) {
	t.Helper()
	var err error
	for _, patience := range patiences {
		if err = something(patience); err == nil {
			return
		}
		t.Logf("with a patience of %s: %v", patience, err)
	}
	t.Error(err)
}

package atomicdir

import (
	"context"
	"errors"
	"testing"
)

// TestSettle waits for a run that writes, and for nothing else.
func TestSettle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unasked := func(path string) { t.Errorf("it waits for %s", path) }
	for _, quiet := range []string{dir, dir + "/absent"} {
		if err := Settle(t.Context(), quiet, unasked); err != nil {
			t.Errorf("%s: %v", quiet, err)
		}
	}
	writing := open(t, dir)
	ctx, stop := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	if err := Settle(ctx, dir, func(string) { stop(enough) }); !errors.Is(err, enough) {
		t.Errorf("while a run writes, and the wait is ended: %v", err)
	}
	waits := 0
	err := Settle(t.Context(), dir, func(path string) {
		waits++
		if path != dir {
			t.Errorf("it waits for %s", path)
		}
		writing.Close()
	})
	if err != nil || waits != 1 {
		t.Errorf("once the run ends: %v after %d waits", err, waits)
	}
}

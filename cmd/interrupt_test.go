package cmd

import (
	"context"
	"errors"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestInterrupted has what failed after a signal count as interrupted, and a run that was
// completed all the same not.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	err := fault.New(fault.Upstream, "it is gone")
	running, stop := context.WithCancel(t.Context())
	if got := interrupted(running, err); !errors.Is(got, err) {
		t.Errorf("not interrupted: %v", got)
	}
	stop()
	if got := interrupted(running, err); fault.KindOf(got) != 130 || fault.HintOf(got) == "" {
		t.Errorf("interrupted: %v", got)
	}
	if got := interrupted(running, nil); got != nil {
		t.Errorf("completed: %v", got)
	}
}

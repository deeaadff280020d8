package cmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
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

// silent is a pipe to which nobody writes. What reads it is interrupted.
type silent struct {
	interrupt context.CancelFunc
	end       <-chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	s.interrupt()
	<-s.end
	return 0, io.EOF
}

// TestInterruptedWhileReading has every command that reads standard input end at a signal,
// also when nothing comes.
func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range []string{
		"list -", "verify -", "verify {} --against -", "diff - {}", "values - --pvc x",
		"unpack - -o {}/out", "push - registry.example.com/x",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		var out bytes.Buffer
		code := Run(ctx, Environment{
			Args:  append(strings.Fields(strings.ReplaceAll(args, "{}", dir)), "--store", filepath.Join(dir, "store")),
			Stdin: silent{interrupt, t.Context().Done()}, Stdout: &out, Stderr: &out,
			Getenv: func(string) string { return "" },
		})
		interrupt()
		if code != 130 || !strings.Contains(out.String(), "interrupted") {
			t.Errorf("%q ended with %d\n%s", args, code, &out)
		}
	}
}

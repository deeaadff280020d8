package cmd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// TestInterrupted checks that a failure after a signal counts as interrupted, and that a run which
// was completed does not.
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

// silent is a pipe without a writer. Readers wait until they are interrupted.
type silent struct {
	interrupt context.CancelFunc
	end       <-chan struct{}
}

func (s silent) Read([]byte) (int, error) {
	s.interrupt()
	<-s.end
	return 0, io.EOF
}

// TestInterruptedWhileReading checks that every command that reads standard input ends at a signal,
// even if no input comes.
func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range []string{
		"list -", "verify -", "verify {} --against -", "diff - {}", "outdated -", "values - --pvc x",
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

// unread is a pipe without a reader. Writers wait until they are interrupted.
type unread struct {
	interrupt context.CancelFunc
	end       <-chan struct{}
}

func (u unread) Write([]byte) (int, error) {
	u.interrupt()
	<-u.end
	return 0, io.ErrClosedPipe
}

// TestInterruptedWhileWriting checks that a command that writes to standard output ends at a signal,
// even if nobody reads.
func TestInterruptedWhileWriting(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.FileServer(http.Dir("../testdata/upstream")))
	t.Cleanup(upstream.Close)
	for _, command := range []string{"pull -o -", "lock -", "list"} {
		ctx, interrupt := context.WithCancel(t.Context())
		var out bytes.Buffer
		code := Run(ctx, Environment{
			Args: append(strings.Fields(command), "--repository", "x="+upstream.URL+"/plugins-index.yaml", "--plugin", "x/raw",
				"--platform", "linux/amd64", "--store", filepath.Join(t.TempDir(), "store")),
			Stdout: unread{interrupt, t.Context().Done()}, Stderr: &out, Getenv: func(string) string { return "" },
		})
		interrupt()
		if code != 130 || !strings.Contains(out.String(), "interrupted") {
			t.Errorf("%q ended with %d\n%s", command, code, &out)
		}
	}
}

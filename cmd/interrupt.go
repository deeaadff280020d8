package cmd

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// UntilInterrupted returns a context that ends at the first signal to stop. A second signal kills the
// process.
func UntilInterrupted() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// hangup returns a channel that receives SIGHUP until ctx is done. Windows has no such signal.
func hangup(ctx context.Context) <-chan os.Signal {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(received) })
	return received
}

// interrupted returns the error of a run. If its context ended, every failure comes from that, and
// the exit code is 130. Otherwise err is returned as it is.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fault.New(fault.Interrupted, "interrupted").
		WithHint("run the same command again: it reuses complete downloads")
}

// stalled is how long a write may take once the run is interrupted.
const stalled = 300 * time.Millisecond

// interruptible is standard output. A write ends with the context even if nobody reads.
type interruptible struct {
	ctx    context.Context
	to     io.Writer
	buf    []byte
	failed error
}

func (w *interruptible) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	// A write that was given up may still read its bytes, so they are copied.
	w.buf = append(w.buf[:0], p...)
	var n int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, err = w.to.Write(w.buf)
	}()
	select {
	case <-done:
		return n, err
	case <-w.ctx.Done():
	}
	select {
	case <-done:
		return n, err
	case <-time.After(stalled):
		w.failed = context.Cause(w.ctx)
		return 0, w.failed
	}
}

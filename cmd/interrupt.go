package cmd

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// UntilInterrupted returns a context that ends at the first signal to stop, so that the
// run ends cleanly. A second signal kills.
func UntilInterrupted() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// interrupted returns the error of a run whose context ended: whatever failed, failed
// because of that, and the exit code is 130. Another error stays as it is.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fault.New(fault.Interrupted, "interrupted").
		WithHint("run the same command again: it uses what is there already")
}

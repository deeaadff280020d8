// Command botkube-mirror carries Botkube plugins, and what they need, to where
// there is no internet.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/botkube-mirror/botkube-mirror/cmd"
)

// version is set by the linker.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal stops cleanly; a second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(cmd.Run(ctx, cmd.Environment{
		Args:      os.Args[1:],
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		LookupEnv: os.LookupEnv,
		Environ:   os.Environ(),
		Version:   version,
	}))
}

// Command botkube-mirror mirrors Botkube plugins and their dependencies for clusters without
// internet access.
package main

import (
	"os"

	"github.com/botkube-mirror/botkube-mirror/cmd"
)

// version is set by the linker.
var version = ""

func main() {
	os.Exit(cmd.Run(cmd.UntilInterrupted(), cmd.Environment{
		Args:    os.Args[1:],
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Getenv:  os.Getenv,
		Environ: os.Environ(),
		Version: version,
	}))
}

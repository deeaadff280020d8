package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// nameless creates a file that never has a name, so that nothing stays of it
// whenever the process ends. Some file systems cannot.
func nameless(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
}

//go:build !linux

package serve

import (
	"errors"
	"net"
	"os"
)

const canSendFile = false

// sendFile is for Linux only.
func sendFile(*net.TCPConn, *os.File, int64, int) (int, error) { return 0, errors.ErrUnsupported }

//go:build !linux

package transfer

import (
	"errors"
	"net"
	"os"
)

// CanSendFile says whether [SendFile] works on this system.
const CanSendFile = false

// SendFile works on Linux only.
func SendFile(*net.TCPConn, *os.File, int64, int) (int, error) { return 0, errors.ErrUnsupported }

// Acknowledged works on Linux only.
func Acknowledged(net.Conn) (n int64, ok bool) { return 0, false }

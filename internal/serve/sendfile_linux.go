package serve

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// sendFile sends bytes of a file without copying them. It sends what the system
// takes at once, and an error if that is nothing.
func sendFile(to *net.TCPConn, from *os.File, offset int64, size int) (n int, err error) {
	conn, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := int(from.Fd())
	var sendErr error
	err = conn.Write(func(socket uintptr) bool {
		for {
			n, sendErr = unix.Sendfile(int(socket), fd, &offset, size)
			if sendErr != unix.EINTR {
				return sendErr != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case sendErr != nil:
		return 0, os.NewSyscallError("sendfile", sendErr)
	case n == 0:
		return 0, io.ErrUnexpectedEOF // it became shorter
	}
	return n, nil
}

const canSendFile = true

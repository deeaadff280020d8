package transfer

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanSendFile says whether [SendFile] works on this system.
const CanSendFile = true

// SendFile sends at most size bytes of a file with sendfile(2) and returns how many it sent. It
// returns an error if the system took none. Another goroutine may close the file meanwhile.
func SendFile(to *net.TCPConn, from *os.File, offset int64, size int) (n int, err error) {
	conn, err := to.SyscallConn()
	if err != nil {
		return 0, err
	}
	file, err := from.SyscallConn()
	if err != nil {
		return 0, err
	}
	var sendErr, connErr error
	err = file.Control(func(fd uintptr) {
		connErr = conn.Write(func(socket uintptr) bool {
			for {
				n, sendErr = unix.Sendfile(int(socket), int(fd), &offset, size)
				if sendErr != unix.EINTR {
					return sendErr != unix.EAGAIN
				}
			}
		})
	})
	switch {
	case err != nil || connErr != nil:
		return 0, errors.Join(err, connErr)
	case sendErr != nil:
		return 0, os.NewSyscallError("sendfile", sendErr)
	case n == 0:
		return 0, io.ErrUnexpectedEOF // it became shorter
	}
	return n, nil
}

// Acknowledged returns how many bytes the other side has acknowledged (tcp(7), TCP_INFO). It is not
// ok if the system does not tell.
func Acknowledged(conn net.Conn) (n int64, ok bool) {
	c, isSocket := conn.(syscall.Conn)
	if !isSocket {
		return 0, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if ok = err == nil; ok {
			n = int64(info.Bytes_acked)
		}
	})
	return n, ok && err == nil
}

package transfer

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledged returns how many bytes the other side has acknowledged (tcp(7), TCP_INFO).
func acknowledged(conn net.Conn) (n uint64, ok bool) {
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
			n = info.Bytes_acked
		}
	})
	return n, ok && err == nil
}

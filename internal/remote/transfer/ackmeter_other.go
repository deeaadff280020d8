//go:build !linux

package transfer

import "net"

// acknowledged returns how many bytes the other side has acknowledged, which
// is not known here.
func acknowledged(net.Conn) (n uint64, ok bool) { return 0, false }

package transfer

import "net"

// AckMeter tells whether the other side of a connection takes what it is sent. The
// system takes megabytes at once, which a slow line needs minutes for, without a sign
// of it in between; on Linux it says what was acknowledged.
type AckMeter struct {
	acked  uint64
	looked bool
}

// Moved reports whether something was acknowledged since the last call. The first call,
// and one on a system that does not tell, reports false.
func (m *AckMeter) Moved(conn net.Conn) bool {
	acked, ok := acknowledged(conn)
	if !ok {
		return false
	}
	moved := m.looked && acked > m.acked
	m.acked, m.looked = acked, true
	return moved
}

// Package proxytest has what proxies in tests do.
package proxytest

import (
	"io"
	"net"
	"net/http"
)

// Tunnel answers a CONNECT: it connects the client of a proxy to a server, until the server closes
// the connection (RFC 9110, section 9.3.6).
func Tunnel(w http.ResponseWriter, server string) {
	there, err := net.Dial("tcp", server)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	w.WriteHeader(http.StatusOK)
	here, ahead, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // a mistake of the test's: HTTP/2, or a writer without it
	}
	defer here.Close()
	go func() {
		// A client that is quick sends more before the connection is ours: that has
		// been read ahead.
		_, _ = io.Copy(there, ahead)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

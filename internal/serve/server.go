package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Limits for clients. There is none for the time of a download: see [stallTimeoutConn].
const (
	headerTimeout    = 10 * time.Second
	keepAliveTimeout = 2 * time.Minute
	maxHeader        = 16 << 10
)

// suites are the cipher suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325,
// section 4.2). Those of TLS 1.3 all have both.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Run answers requests until ctx is done, and then waits for running ones. Monitoring is the listener
// for metrics, or nil.
//
// Run does not offer HTTP/2. The agent does not need it, and with many streams on a connection, a
// client that reads nothing cannot be told from a slow one.
func (h *Handler) Run(ctx context.Context, l, monitoring net.Listener) error {
	collectEarly()
	bounded := newConnections(l, h.options.Connections, h.options.ConnectionsOfAddress, &h.metrics)
	h.connections.Store(bounded)
	l = bounded
	if certificate := h.options.Certificate; certificate != nil {
		l = tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12, CipherSuites: suites, GetCertificate: certificate.get, NextProtos: []string{"http/1.1"},
		})
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: keepAliveTimeout, MaxHeaderBytes: maxHeader,
		ConnState: bounded.changed, ConnContext: withConnection,
		ErrorLog: log.New(serverLog{h.options.Refused, h.options.Problem}, "", 0),
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.watch(watching)
	}()
	defer func() {
		stop()
		select {
		case <-watched:
			h.endAll()
		case <-time.After(cutTimeout): // the file system does not answer
		}
	}()
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(l) }()
	if monitoring != nil {
		bounded := newConnections(monitoring, monitorConnections, monitorConnections, new(metrics))
		monitor := &http.Server{
			Handler: h.monitor(), ReadTimeout: headerTimeout, WriteTimeout: headerTimeout, IdleTimeout: keepAliveTimeout, MaxHeaderBytes: maxHeader,
			ConnState: bounded.changed, ErrorLog: log.New(io.Discard, "", 0),
		}
		go func() { ended <- monitor.Serve(bounded) }()
		defer monitor.Close()
	}
	select {
	case err := <-ended:
		return fmt.Errorf("accepting connections: %w", err)
	case <-ctx.Done():
	}
	h.stopping.Store(true)
	return h.shutdown(context.WithoutCancel(ctx), server)
}

// memory is the soft memory limit in bytes: enough for some thousand connections.
const memory = 96 << 20

// collectEarly sets a soft memory limit, unless GOMEMLIMIT sets one. Without a limit, memory may double
// before garbage is collected.
func collectEarly() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memory)
	}
}

func (h *Handler) shutdown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, h.options.ShutdownTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if n := h.running.Load(); n > 0 {
		h.options.Problem(fmt.Errorf("stopping: requests cut because they took longer than %s: %d", h.options.ShutdownTimeout, n))
	}
	err = server.Close()
	// The caller will close files that requests read.
	for deadline := time.Now().Add(cutTimeout); h.running.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return err
}

// cutTimeout is how long a request may take to notice that its connection is cut.
const cutTimeout = 2 * time.Second

// serverLog receives what net/http logs: connections without a request, and panics. It ignores port
// scans, and silent connections that were closed for others.
type serverLog struct{ refused, problem func(error) }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch handshake := strings.HasPrefix(text, "http: TLS handshake error"); {
	case !handshake:
		l.problem(errors.New(text))
	case !strings.HasSuffix(text, ": EOF") && !strings.HasSuffix(text, net.ErrClosed.Error()):
		l.refused(errors.New(strings.TrimPrefix(text, "http: ")))
	}
	return len(line), nil
}

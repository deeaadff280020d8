package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Limits on clients. None is on the time that a download takes: see [patientConn].
const (
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	maxHeader      = 16 << 10
)

// RunOptions say how a handler is run.
type RunOptions struct {
	// Certificate, if not nil, has requests come over TLS.
	Certificate *Certificate
	// ShutdownTimeout is how long requests may go on once the context is done.
	ShutdownTimeout time.Duration
}

// suites are those of TLS 1.2 that give forward secrecy and authenticated
// encryption (RFC 9325, section 4.2); those of TLS 1.3 all do.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Run answers requests until ctx is done, and then those that have begun.
//
// There is no HTTP/2: the agent gains nothing by it, and a client that reads
// nothing of one of many streams cannot be told from one that is slow.
func (h *Handler) Run(ctx context.Context, l net.Listener, o RunOptions) error {
	collectEarly()
	bounded := newConnections(l)
	l = bounded
	if o.Certificate != nil {
		l = tls.NewListener(l, &tls.Config{
			MinVersion: tls.VersionTLS12, CipherSuites: suites, GetCertificate: o.Certificate.get, NextProtos: []string{"http/1.1"},
		})
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience, MaxHeaderBytes: maxHeader,
		ConnState: bounded.changed, ConnContext: withConnection,
		ErrorLog: log.New(serverLog{h.options.Refused, h.options.Problem}, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("accepting connections: %w", err)
	case <-ctx.Done():
	}
	return h.shutdown(context.WithoutCancel(ctx), server, o.ShutdownTimeout)
}

// memory is from how many bytes on the collector does all it can. It leaves room for
// some thousand connections.
const memory = 96 << 20

// collectEarly has memory be freed sooner than by default, which lets it double,
// unless GOMEMLIMIT says otherwise.
func collectEarly() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memory)
	}
}

func (h *Handler) shutdown(ctx context.Context, server *http.Server, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := server.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if n := h.running.Load(); n > 0 {
		h.options.Problem(fmt.Errorf("stopping: requests that did not end within %s are cut: %d", patience, n))
	}
	err = server.Close()
	// What they read is closed next.
	for deadline := time.Now().Add(cutPatience); h.running.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return err
}

// cutPatience is how long a request may take to notice that its connection is cut.
const cutPatience = 2 * time.Second

// serverLog takes what net/http logs: connections that came to no request, and
// panics. Who only looks whether the port is open, and closes it again, is no news;
// nor is who was silent, and dropped for others.
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

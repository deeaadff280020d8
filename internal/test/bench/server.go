//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// freePort returns an address on loopback where nothing listens.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}

// withServer calls f while a command listens at an address.
func (b *bench) withServer(dir, address string, command []string, f func() error) error {
	c := b.cmd(dir, command...)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		return err
	}
	stop := func() {
		_ = c.Cancel()
		_ = c.Wait()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			break
		}
		if b.ctx.Err() != nil || time.Now().After(deadline) {
			stop()
			return fmt.Errorf("%s does not listen at %s: %w\n%s", command[0], address, context.Cause(b.ctx), output.Bytes())
		}
	}
	defer stop()
	return f()
}

const registryConfiguration = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q}
`

// withRegistry calls f with the host and port of an empty registry: Debian's docker-registry.
func (b *bench) withRegistry(dir string, f func(host string) error) error {
	host, file := freePort(), filepath.Join(dir, "registry.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, registryConfiguration, filepath.Join(dir, "registry"), host), 0o644); err != nil {
		return err
	}
	return b.withServer(dir, host, []string{"docker-registry", "serve", file}, func() error { return f(host) })
}

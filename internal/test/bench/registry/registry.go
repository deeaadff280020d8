//go:build linux

// Package registry runs Debian's docker-registry for benchmarks.
package registry

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/bench/measure"
)

const config = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q}
`

// With calls f with the host and port of an empty registry, whose storage is in
// a new directory. Both are gone afterwards.
func With(ctx context.Context, dir string, f func(host string) error) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, err := freePort()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, dir, host), 0o644); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var output bytes.Buffer
	c := measure.Command(ctx, dir, "docker-registry", "serve", file)
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		stop()
		return fmt.Errorf("starting the registry: %w", err)
	}
	defer c.Wait()
	defer stop()
	if err := await(ctx, host); err != nil {
		return fmt.Errorf("starting the registry: %w", stopped(c, stop, &output, err))
	}
	return f(host)
}

// stopped adds to an error what the registry said, once it cannot say more.
func stopped(c *exec.Cmd, stop func(), output *bytes.Buffer, err error) error {
	stop()
	c.Wait()
	return fmt.Errorf("%w\n%s", err, output.Bytes())
}

func freePort() (host string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// await waits until the registry answers.
func await(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		if ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Digest asks for the digest of an image index.
func Digest(ctx context.Context, host, repository, tag string) (string, error) {
	url := fmt.Sprintf("http://%s/v2/%s/manifests/%s", host, repository, tag)
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Header.Get("Docker-Content-Digest"), nil
}

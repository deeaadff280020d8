// Package registrytest runs a real container registry for tests: Debian's
// docker-registry on loopback, and before it a proxy that makes trouble.
package registrytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// The user of a registry with [Options.Auth].
const (
	User     = "mirror"
	Password = "s3cret-Pa55word"
	// htpasswd has the password as bcrypt, which is all that the registry
	// reads, at its lowest cost.
	htpasswd = User + ":$2a$04$Nlt5K6NhNPKvDkliUSruEe3UsLh17U51ni7BxVTm79A1swgQXyGnq\n"
)

// ErrNotInstalled says that there is no docker-registry on this machine.
var ErrNotInstalled = errors.New("docker-registry is not installed (apt-get install docker-registry)")

// Options are what a registry is like. The zero value speaks http to anybody.
type Options struct {
	// TLS makes the registry speak https, with a certificate for 127.0.0.1 and localhost from its
	// own authority.
	TLS bool
	// Auth has it ask for [User] and [Password].
	Auth bool
	// Memory has it keep what it is sent in memory, which takes half the time for
	// kilobytes, and too long for megabytes.
	Memory bool
	// RelativeURLs has it give locations without a host.
	RelativeURLs bool
}

// Registry is a registry that runs until it is closed.
type Registry struct {
	// Host is 127.0.0.1:PORT, URL that with the scheme.
	Host, URL string
	// CAFile is the certificate of the authority; empty without TLS.
	CAFile string
	// Dir is where it keeps its storage and its configuration.
	Dir string

	cmd   *exec.Cmd
	out   *output
	pair  *pair
	mu    sync.Mutex
	close []func()
}

// Start runs a registry for as long as a test.
func Start(t testing.TB, o Options) *Registry {
	t.Helper()
	r, err := StartRegistry(t.TempDir(), o)
	if errors.Is(err, ErrNotInstalled) {
		tier.Missing(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// Proxy starts a proxy before the registry for as long as a test: see
// [Registry.StartProxy].
func (r *Registry) Proxy(t testing.TB, faults ...Fault) *Proxy {
	t.Helper()
	p, err := r.StartProxy(faults...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// StartRegistry runs a registry that keeps everything in a directory, which
// must be there.
func StartRegistry(dir string, o Options) (*Registry, error) {
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		return nil, ErrNotInstalled
	}
	r := &Registry{Dir: dir, out: &output{found: make(chan string, 1)}}
	if o.TLS {
		if r.pair, err = newPair(dir); err != nil {
			return nil, err
		}
		r.CAFile = r.pair.caFile
	}
	config, err := r.configure(o)
	if err != nil {
		return nil, err
	}
	r.cmd = exec.Command(program, "serve", config)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	r.cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none", "GOGC=400")
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting docker-registry: %w", err)
	}
	if err := r.await(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// await waits until the registry listens.
func (r *Registry) await() error {
	select {
	case r.Host = <-r.out.found:
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("docker-registry does not listen; it says:\n%s", r.Log())
	}
	r.URL = r.scheme() + "://" + r.Host
	return nil
}

func (r *Registry) scheme() string {
	if r.pair != nil {
		return "https"
	}
	return "http"
}

// Log returns what the registry has written so far.
func (r *Registry) Log() string { return r.out.String() }

// Close ends the registry, and the proxies before it.
func (r *Registry) Close() {
	r.mu.Lock()
	closers := r.close
	r.close = nil
	r.mu.Unlock()
	for _, f := range closers {
		f()
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// configure writes the registry's configuration.
func (r *Registry) configure(o Options) (path string, err error) {
	http := map[string]any{"addr": net.JoinHostPort("127.0.0.1", "0"), "secret": "of a test", "relativeurls": o.RelativeURLs}
	config := map[string]any{
		"version": "0.1",
		"log":     map[string]any{"level": "info", "accesslog": map[string]any{"disabled": true}},
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": filepath.Join(r.Dir, "storage")},
			"delete":     map[string]any{"enabled": true},
		},
		"http": http,
	}
	if o.Memory {
		config["storage"] = map[string]any{"inmemory": map[string]any{}}
	}
	if r.pair != nil {
		http["tls"] = map[string]any{"certificate": r.pair.certFile, "key": r.pair.keyFile}
	}
	if o.Auth {
		file := filepath.Join(r.Dir, "htpasswd")
		if err := os.WriteFile(file, []byte(htpasswd), 0o600); err != nil {
			return "", err
		}
		config["auth"] = map[string]any{"htpasswd": map[string]any{"realm": "test", "path": file}}
	}
	data, err := json.MarshalIndent(config, "", "  ") // JSON is YAML
	if err != nil {
		return "", err
	}
	path = filepath.Join(r.Dir, "registry.yml")
	return path, os.WriteFile(path, data, 0o600)
}

// WriteDockerConfig writes a config.json for docker into a directory, with a
// user and a password for every host.
func WriteDockerConfig(dir, user, password string, hosts ...string) error {
	auths := make(map[string]any)
	for _, host := range hosts {
		auths[host] = map[string]string{"username": user, "password": password}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600)
}

// output keeps what the registry writes, and finds in it where it listens.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	done  bool
	found chan string
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:[0-9]+)\b`)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if m := listening.FindSubmatch(o.buf.Bytes()); m != nil && !o.done && bytes.Contains(o.buf.Bytes()[bytes.Index(o.buf.Bytes(), m[0]):], []byte("\n")) {
		o.done = true
		o.found <- string(m[1])
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

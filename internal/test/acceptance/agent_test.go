//go:build linux

package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// agentConfig and agentReport are what program agent reads and writes.
type agentConfig struct {
	Rendered     *configuration             `json:"rendered,omitempty"`
	CacheDir     string                     `json:"cacheDir"`
	Repositories map[string]agentRepository `json:"repositories"`
	Executors    []string                   `json:"executors"`
	Sources      []string                   `json:"sources"`
}

type agentRepository struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
}

type agentReport struct {
	Error     string                 `json:"error"`
	Executors map[string]agentAnswer `json:"executors"`
	Sources   map[string]agentAnswer `json:"sources"`
}

type agentAnswer struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

// description is a plugin's answer; see package self of module agent.
type description struct {
	Stamp        string            `json:"stamp"`
	Dependencies map[string]string `json:"dependencies"`
}

// repositories turns index URLs into the agent's configuration.
func repositories(urls map[string]string) map[string]agentRepository {
	out := map[string]agentRepository{}
	for name, url := range urls {
		out[name] = agentRepository{URL: url}
	}
	return out
}

// runOnline starts the agent from a directory it may write to, with a network behind the proxy.
func runOnline(t *testing.T, proxy *Proxy, cfg agentConfig) agentReport {
	t.Helper()
	cmd := exec.Command(agentProgram(t))
	cmd.Env = proxyEnv(t, proxy)
	return runAgent(t, cmd, cfg)
}

// runIsolated starts the agent without a network from the cache directory dir, which it sees at mount, or where it
// lies if nothing can be mounted. If it starts, it must leave the directory as it is.
func runIsolated(t *testing.T, dir, mount string, cfg agentConfig) agentReport {
	t.Helper()
	before := readTree(t, dir)
	var report agentReport
	if isolation(t) == "namespace" {
		cfg.CacheDir = mount
		report = runInNamespace(t, dir, cfg)
	} else {
		cfg.CacheDir = dir
		makeWritable := makeReadOnly(t, dir)
		report, _ = runRefused(t, cfg)
		makeWritable()
	}
	if after := readTree(t, dir); report.Error == "" && !equalTrees(before, after) {
		t.Errorf("the agent changed %s:\n%s", dir, diffTrees(before, after))
	}
	return report
}

func runInNamespace(t *testing.T, dir string, cfg agentConfig) agentReport {
	t.Helper()
	cmd, err := namespace{Source: dir, Target: cfg.CacheDir, Command: agentProgram(t)}.command()
	if err != nil {
		t.Fatal(err)
	}
	home := tempDir(t)
	if err := os.Chown(home, agentUser, agentUser); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, homeEnv(home)...)
	return runAgent(t, cmd, cfg)
}

// makeReadOnly takes the right to write from every directory below dir until the function that it returns is called.
// Root writes nevertheless.
func makeReadOnly(t *testing.T, dir string) func() {
	t.Helper()
	chmod := func(mode fs.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return os.Chmod(path, mode)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o555)
	return func() { chmod(0o755) }
}

// runRefused starts the agent behind a proxy that refuses everything, and returns what it asked for.
func runRefused(t *testing.T, cfg agentConfig) (agentReport, []Request) {
	t.Helper()
	down := startProxy(t, nil)
	report := runOnline(t, down, cfg)
	return report, down.Requests()
}

func agentProgram(t *testing.T) string {
	t.Helper()
	programs, err := buildAgent()
	return filepath.Join(must(t, programs, err), "agent")
}

// startProxy starts a proxy for one test in front of upstream, or one that refuses everything if that is nil.
func startProxy(t *testing.T, upstream *Upstream) *Proxy {
	t.Helper()
	if upstream == nil {
		return startProxyTo(t, nil)
	}
	return startProxyTo(t, upstream)
}

// startProxyTo is [NewProxy] for one test.
func startProxyTo(t *testing.T, handler http.Handler) *Proxy {
	t.Helper()
	proxy, err := NewProxy(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	return proxy
}

// proxyEnv is the whole environment of a child that reaches the network through proxy, and nothing else of the world.
func proxyEnv(t *testing.T, proxy *Proxy) []string {
	t.Helper()
	home := tempDir(t)
	ca := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(ca, proxy.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return append(homeEnv(home),
		"HTTPS_PROXY="+proxy.URL(), "HTTP_PROXY="+proxy.URL(), "SSL_CERT_FILE="+ca, "SSL_CERT_DIR="+home)
}

func homeEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}
}

// runAgent gives cmd the configuration and reads its report. Plugins that outlive the agent are killed: it leaves
// some behind when it starts over.
func runAgent(t *testing.T, cmd *exec.Cmd, cfg agentConfig) agentReport {
	t.Helper()
	input, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	group := -cmd.Process.Pid
	err = cmd.Wait()
	if killErr := syscall.Kill(group, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
		t.Errorf("killing what the agent left running: %v", killErr)
	}
	if err != nil {
		t.Fatalf("running agent: %v\n%s", err, &stderr)
	}
	var report agentReport
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("reading the agent's report: %v\n%s\n%s", err, &stdout, &stderr)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", &stderr)
		}
	})
	return report
}

//go:build linux

package acceptance

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// outcome is how a run of the product ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// runProduct runs botkube-mirror as a user would, with the proxy's network. The release has no repository of git, so
// it goes without the templates of exec, of which TestExecFindsTemplates is.
func runProduct(t *testing.T, proxy *Proxy, args ...string) outcome {
	t.Helper()
	programs, err := buildProduct()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programs, "botkube-mirror"), args...)
	cmd.Env = append(proxyEnv(t, proxy), "BOTKUBE_MIRROR_NO_EXEC_TEMPLATES=true")
	cmd.Dir = tempDir(t)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("botkube-mirror %q: exit code %d\n%s%s", args, cmd.ProcessState.ExitCode(), &stdout, &stderr)
		}
	})
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// runOffline runs botkube-mirror where there is no network but loopback, and wants it to come to its end without one.
func runOffline(t *testing.T, args ...string) {
	t.Helper()
	down := startProxy(t, nil)
	if got := runProduct(t, down, args...); got.code != 0 {
		t.Fatalf("botkube-mirror %q: exit code %d", args, got.code)
	}
	if asked := down.Requests(); len(asked) > 0 {
		t.Errorf("botkube-mirror %q asked for %v", args, asked)
	}
}

// mirrored is a cache directory that the product wrote, and where the agent is to see it.
type mirrored struct {
	dir, mount string
}

// pull mirrors for this platform into a new directory, from a store that the calls share.
func pull(t *testing.T, upstream *Upstream, args ...string) mirrored {
	t.Helper()
	return pullThrough(t, startProxy(t, upstream), append(args,
		"--platform", here.String(), "--store", filepath.Join(scratch, "store"))...)
}

// pullAll mirrors the whole release for this platform. What a test gets is shared: it is to be looked at only.
func pullAll(t *testing.T) mirrored {
	t.Helper()
	pulled.once.Do(func() {
		m := mirrored{dir: filepath.Join(scratch, "pulled"), mount: filepath.Join(scratch, "pulled")}
		if namespacesWork() == nil {
			m.mount = filepath.Join(scratch, "mount")
			if err := os.Mkdir(m.mount, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		m.pull(t, startProxy(t, release(t)), "--platform", here.String(), "--store", filepath.Join(scratch, "store"))
		pulled.mirrored = m
	})
	if pulled.dir == "" {
		t.Fatal("the release could not be pulled; see the first test that asked for it")
	}
	return pulled.mirrored
}

var pulled struct {
	once sync.Once
	mirrored
}

// pullThrough runs pull with only the output and the mount given.
func pullThrough(t *testing.T, proxy *Proxy, args ...string) mirrored {
	t.Helper()
	m := mirrored{dir: filepath.Join(tempDir(t), "plugins")}
	m.mount = mountFor(t, m.dir)
	m.pull(t, proxy, args...)
	return m
}

func (m mirrored) pull(t *testing.T, proxy *Proxy, args ...string) {
	t.Helper()
	args = append([]string{"pull", "--version", Version, "-o", m.dir, "--mount", m.mount}, args...)
	if got := runProduct(t, proxy, args...); got.code != 0 {
		t.Fatalf("botkube-mirror %q: exit code %d", args, got.code)
	}
}

// remove takes a file out of the directory.
func (m mirrored) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// start runs the agent without a network.
func (m mirrored) start(t *testing.T, cfg agentConfig) agentReport {
	t.Helper()
	return runIsolated(t, m.dir, m.mount, cfg)
}

// checkStarts wants the agent to start without a network, with every plugin at work, and to ask for nothing if it has one.
func (m mirrored) checkStarts(t *testing.T) {
	t.Helper()
	checkAnswers(t, everything(), m.start(t, everything()))
	if _, asked := m.asksFor(t, everything()); len(asked) > 0 {
		t.Errorf("the agent asked for %q", asked)
	}
}

// asksFor returns what the agent would request, were there a network.
func (m mirrored) asksFor(t *testing.T, cfg agentConfig) (agentReport, []string) {
	t.Helper()
	cfg.CacheDir = m.dir
	down := startProxy(t, nil)
	return runOnline(t, down, cfg), down.Fetched()
}

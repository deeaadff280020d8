//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// here is the platform that the tests run on.
var here = platform{runtime.GOOS, runtime.GOARCH}

// scratch is the directory of everything built. Unlike [testing.T.TempDir], user 101 can get to what lies in it.
var scratch string

func TestMain(m *testing.M) {
	if enterNamespace() {
		return
	}
	os.Exit(runIn(m))
}

func runIn(m *testing.M) int {
	dir, err := openTempDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	defer func() { stopAPIServer() }()
	return m.Run()
}

// openTempDir makes a temporary directory that everybody may enter. Its name is short: the agent's Unix sockets,
// whose paths are limited to 108 bytes, lie below.
func openTempDir() (string, error) {
	dir, err := os.MkdirTemp("", "bm")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// tempDir is [openTempDir] for one test.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := openTempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// build runs go build in a module's directory and returns the directory with the programs.
func build(module, name string, env []string, packages ...string) (string, error) {
	out := filepath.Join(scratch, name)
	if err := os.Mkdir(out, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", append([]string{"build", "-ldflags=-s -w", "-o", out + "/"}, packages...)...)
	cmd.Dir = module
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOOS="+here.OS, "GOARCH="+here.Arch), env...)
	if log, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, log)
	}
	return out, nil
}

// buildAgent builds the agent and the plugin programs.
var buildAgent = sync.OnceValues(func() (string, error) { return build("agent", "agent", nil, "./...") })

// buildProduct builds botkube-mirror as it is released: static, so that it puts itself into images.
var buildProduct = sync.OnceValues(func() (string, error) {
	return build(filepath.Join("..", "..", ".."), "product", []string{"CGO_ENABLED=0"}, ".")
})

// loadPrograms reads the plugin programs.
var loadPrograms = sync.OnceValues(func() (Programs, error) {
	dir, err := buildAgent()
	if err != nil {
		return Programs{}, err
	}
	executor, err := os.ReadFile(filepath.Join(dir, "executor"))
	if err != nil {
		return Programs{}, err
	}
	source, err := os.ReadFile(filepath.Join(dir, "source"))
	return Programs{Platform: here, Executor: executor, Source: source}, err
})

// publishRelease is the release that the tests share: nothing changes it.
var publishRelease = sync.OnceValues(func() (*Upstream, error) {
	programs, err := loadPrograms()
	if err != nil {
		return nil, err
	}
	u := NewUpstream()
	return u, PublishRelease(u, programs)
})

// must is for what no test is about.
func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// release returns the shared release.
func release(t *testing.T) *Upstream {
	t.Helper()
	u, err := publishRelease()
	return must(t, u, err)
}

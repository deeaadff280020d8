//go:build linux

package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/test/gittest"
)

// defaultTemplates is what exec v1.14.0 uses where nothing is configured (botkube-plugins, cmd/executor/exec/main.go,
// getDefaultTemplateSource).
const defaultTemplates = "github.com/kubeshop/botkube//cmd/executor/exec/templates?ref=release-1.8"

// buildExec builds exec's way to its templates.
var buildExec = sync.OnceValues(func() (string, error) { return build("exec", "exec", nil, ".") })

// gitWorld is a git server in the place of github.com, a repository of plugins, and what runs with them.
type gitWorld struct {
	*gittest.Server
	dir string
	env []string
}

func newGitWorld(t *testing.T) gitWorld {
	t.Helper()
	gittest.Need(t)
	w := gitWorld{dir: tempDir(t)}
	root := filepath.Join(w.dir, "git")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := gittest.Start(root)
	w.Server = must(t, server, err)
	t.Cleanup(w.Close)
	config := fmt.Sprintf("[url %q]\n\tinsteadOf = https://github.com/\n", w.URL+"/")
	w.write(t, "gitconfig", config)
	w.env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+filepath.Join(w.dir, "gitconfig"), "HOME="+w.dir)
	return w
}

// commit has a repository hold files, as its branch main and at a ref.
func (w gitWorld) commit(t *testing.T, name, ref string, files map[string]string) (r *gittest.Repository, commit string) {
	t.Helper()
	r, err := w.Create(name)
	must(t, r, err)
	for name, content := range files {
		if err := r.Write(name, content); err != nil {
			t.Fatal(err)
		}
	}
	if commit, err = r.Commit(); err == nil {
		err = r.Point(ref)
	}
	return must(t, r, err), commit
}

func (w gitWorld) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// mirror pulls to the outputs, and returns what it says of them.
func (w gitWorld) mirror(t *testing.T, args ...string) (result struct {
	Outputs []struct {
		Form      string
		Templates []struct{ Plugin, Ref, URL string }
	}
}) {
	t.Helper()
	programs, err := buildProduct()
	must(t, programs, err)
	cmd := exec.Command(filepath.Join(programs, "botkube-mirror"), append([]string{"pull", "--store", filepath.Join(w.dir, "store"),
		"--format", "json", "--platform", here.String(), "--repository", "botkubeExtra=index.yaml"}, args...)...)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &result)
	}
	if exit, ok := err.(*exec.ExitError); ok {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	}
	must(t, out, err)
	return result
}

// templates runs what exec runs before a command, without git unless that is wanted, and returns the templates.
func (w gitWorld) templates(t *testing.T, git bool, deps string, refs ...string) (string, error) {
	t.Helper()
	programs, err := buildExec()
	must(t, programs, err)
	cmd := exec.Command(filepath.Join(programs, "botkube-mirror-acceptance"), append([]string{deps}, refs...)...)
	cmd.Env = w.env
	if !git {
		cmd.Env = append(slices.Clone(cmd.Env), "PATH="+filepath.Join(w.dir, "nothing"))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, &stderr)
	}
	return string(out), nil
}

// TestExecFindsTemplates has exec's own code look for its templates in what the product wrote, without git; and where
// it has to download them, do so from a site alone.
func TestExecFindsTemplates(t *testing.T) {
	w := newGitWorld(t)
	const dir = "cmd/executor/exec/templates/"
	const ref = "refs/heads/release-1.8"
	repository, _ := w.commit(t, "kubeshop/botkube.git", ref, map[string]string{
		dir + "helm.yaml":      "templates:\n  - type: parser:table:space\n    trigger: {command: {prefix: helm list}}\n",
		dir + "more/flux.yaml": "templates:\n  - type: wrapper\n    trigger: {command: {prefix: flux}}\n  - type: tutorial\n",
		dir + "README.md":      "templates: [no]\n",
		// Links are followed where a sub-directory is copied, and submodules fetched.
		dir + "linked.yaml@": "../../../../linked.yaml",
		"linked.yaml":        "templates:\n  - type: linked\n",
	})
	_, more := w.commit(t, "kubeshop/more.git", ref, map[string]string{"more.yaml": "templates:\n  - type: included\n"})
	commit, err := "", repository.Include(dir+"sub", "../more.git", more)
	if err == nil {
		commit, err = repository.Commit()
	}
	must(t, commit, errors.Join(err, repository.Point(ref)))
	schema := fmt.Sprintf(`{"properties": {"templates": {"items": {"properties": {"ref": {"default": %q}}}}}}`, defaultTemplates)
	w.write(t, "program", "exec")
	w.write(t, "index.yaml", string(index{Entries: []entry{{
		Name: "exec", Type: "executor", Version: Version, URLs: []entryURL{{URL: "program", Platform: here}}, JSONSchema: entrySchema{Value: schema},
	}}}.marshal()))
	cloned := filepath.Join(w.dir, "cloned")
	want, err := w.templates(t, true, cloned, defaultTemplates)
	if err != nil || !strings.Contains(want, "helm list") || !strings.Contains(want, "tutorial") || !strings.Contains(want, "linked") || !strings.Contains(want, "included") || strings.Contains(want, "no") {
		t.Fatalf("online, exec reads %s, %v", want, err)
	}
	if got, err := w.templates(t, false, filepath.Join(w.dir, "empty"), defaultTemplates); err == nil {
		t.Fatalf("without git and a mirror, exec reads %s", got)
	}

	var served []string
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		served = append(served, r.Method+" "+r.URL.Path)
		http.FileServer(http.Dir(filepath.Join(w.dir, "site"))).ServeHTTP(rw, r)
	}))
	defer site.Close()
	pulled := w.mirror(t, "-o", "plugins", "-o", "site:site", "--base-url", site.URL)

	t.Run("directory", func(t *testing.T) {
		dir := filepath.Join(w.dir, "plugins")
		deps := filepath.Join(dir, agent.DependencyDir(agent.BinaryPath("botkubeExtra", agent.Executor, Version, "exec")))
		defer makeReadOnly(t, dir)()
		before := readTree(t, dir)
		if got, err := w.templates(t, false, deps, defaultTemplates); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		if after := readTree(t, dir); !equalTrees(before, after) {
			t.Error(diffTrees(before, after))
		}
		if len(served) > 0 {
			t.Errorf("it asked for %q", served)
		}
	})
	t.Run("site", func(t *testing.T) {
		offered := pulled.Outputs[1].Templates
		if len(offered) != 1 || offered[0].Ref != defaultTemplates || offered[0].Plugin != "botkubeExtra/exec@"+Version {
			t.Fatalf("%+v", pulled)
		}
		deps := filepath.Join(w.dir, "deps")
		for range 2 {
			if got, err := w.templates(t, false, deps, offered[0].URL); err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		}
		gets := slices.DeleteFunc(slices.Clone(served), func(r string) bool { return strings.HasPrefix(r, "HEAD ") })
		if len(gets) != 1 || !strings.HasSuffix(gets[0], "/templates.tar") {
			t.Errorf("it asked for %q", served)
		}
		archive := filepath.Join(w.dir, "site", filepath.FromSlash(strings.TrimPrefix(gets[0], "GET ")))
		data, err := os.ReadFile(archive)
		must(t, data, err)
		data[len("helm.yaml")+600] ^= 1
		if err := os.WriteFile(archive, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := w.templates(t, false, filepath.Join(w.dir, "other"), offered[0].URL); err == nil || !strings.Contains(err.Error(), "hecksum") {
			t.Errorf("of an altered archive, exec reads %s, %v", got, err)
		}
	})
}

// TestAgentStartsFromWhatWasCloned: plugins and dependencies that an index has in git repositories are the files of
// those, in a directory and downloaded from a site. That the agent of this suite cannot clone itself is due to the
// go-getter that it is built with: see TestAgentIsBuiltAsReleased.
func TestAgentStartsFromWhatWasCloned(t *testing.T) {
	w := newGitWorld(t)
	programs, err := loadPrograms()
	must(t, programs, err)
	w.commit(t, "acme/plugins.git", "refs/tags/v1", map[string]string{
		"dist/README.md": "plugins", "dist/executor_v1.0.0_echo": string(programs.Stamped("executor", "cloned", here)),
	})
	w.commit(t, "acme/tools.git", "refs/heads/stable", map[string]string{"linux/greet": "#!/bin/sh\necho hello\n"})
	w.write(t, "index.yaml", string(index{Entries: []entry{{Name: "echo", Type: "executor", Version: "v1.0.0", URLs: []entryURL{{
		URL: "git::https://github.com/acme/plugins.git//dist?ref=v1", Platform: here,
		Dependencies: map[string]entryDependency{"greet": {"github.com/acme/tools//linux?ref=stable"}},
	}}}}}.marshal()))
	site := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(w.dir, "site"))))
	defer site.Close()
	m := mirrored{dir: filepath.Join(w.dir, "plugins")}
	m.mount = mountFor(t, m.dir)
	w.mirror(t, "-o", m.dir, "--mount", m.mount, "-o", "site:site", "--base-url", site.URL)

	key := "botkubeExtra/echo"
	want := description{Stamp: "cloned", Dependencies: map[string]string{"greet": "hello"}}
	cfg := agentConfig{Repositories: repositories(map[string]string{"botkubeExtra": "https://plugins.example.com/index.yaml"}), Executors: []string{key}}
	report := m.start(t, cfg)
	checkAnswer(t, key, report.Executors[key], want)

	indexes, err := filepath.Glob(filepath.Join(w.dir, "site", "*", "botkubeExtra", "plugins-index.yaml"))
	if err != nil || len(indexes) != 1 {
		t.Fatalf("%q, %v", indexes, err)
	}
	rel, err := filepath.Rel(filepath.Join(w.dir, "site"), indexes[0])
	must(t, rel, err)
	cfg.Repositories = repositories(map[string]string{"botkubeExtra": site.URL + "/" + filepath.ToSlash(rel)})
	cfg.CacheDir = tempDir(t)
	down := startProxy(t, nil)
	report = runOnline(t, down, cfg)
	checkAnswer(t, key, report.Executors[key], want)
	if asked := down.Fetched(); len(asked) > 0 {
		t.Errorf("the agent asked for %q", asked)
	}
}

// Package gittest serves real git repositories over HTTP, for tests.
package gittest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// Server serves the bare repositories of a directory: at /NAME as git does
// itself, and at /dumb/NAME as files.
type Server struct {
	*httptest.Server
	root string

	mu       sync.Mutex
	requests []*http.Request
	user     string
	password string
}

// Installed reports whether there is a git that can serve.
func Installed() bool {
	backend, err := backend()
	if err != nil {
		return false
	}
	_, err = os.Stat(backend)
	return err == nil
}

// Need skips a test where there is no git that can serve, or fails it where
// everything must be tried.
func Need(t testing.TB) {
	t.Helper()
	if !Installed() {
		tier.Missing(t, "there is no git that can serve")
	}
}

func backend() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), err
}

// Start serves the repositories that will be in a directory.
func Start(root string) (*Server, error) {
	program, err := backend()
	if err != nil {
		return nil, err
	}
	s := &Server{root: root}
	smart := &cgi.Handler{Path: program, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}, Stderr: io.Discard}
	dumb := http.StripPrefix("/dumb", http.FileServer(http.Dir(root)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.admit(w, r) {
			return
		}
		if name, is := strings.CutPrefix(r.URL.Path, "/dumb/"); is {
			if name, is := strings.CutSuffix(name, "/info/refs"); is {
				_, _ = (&Repository{bare: filepath.Join(root, filepath.FromSlash(name)), work: root}).git("update-server-info")
			}
			dumb.ServeHTTP(w, r)
			return
		}
		smart.ServeHTTP(w, r)
	}))
	return s, nil
}

// Protect has the server want a user and a password.
func (s *Server) Protect(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
}

func (s *Server) admit(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Clone(r.Context()))
	user, password, _ := r.BasicAuth()
	if s.user == user && s.password == password || s.user == "" {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

// Seen returns the requests so far, and forgets them.
func (s *Server) Seen() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

// Repository is one that a server has.
type Repository struct {
	bare, work string
}

// Create makes a repository without a commit. It is what git init makes, which
// takes as long as all the rest.
func (s *Server) Create(name string) (*Repository, error) {
	r := &Repository{bare: filepath.Join(s.root, filepath.FromSlash(name)), work: filepath.Join(s.root, ".work", filepath.FromSlash(name))}
	var failed error
	for _, dir := range []string{r.work, filepath.Join(r.bare, "objects"), filepath.Join(r.bare, "refs", "heads")} {
		failed = errors.Join(failed, os.MkdirAll(dir, 0o755))
	}
	for file, content := range map[string]string{
		"HEAD":   "ref: refs/heads/main\n",
		"config": "[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n",
	} {
		failed = errors.Join(failed, os.WriteFile(filepath.Join(r.bare, file), []byte(content), 0o644))
	}
	return r, failed
}

// Write changes a file of the work tree; a name that ends in "@" is that of a link,
// and the content where it leads.
func (r *Repository) Write(name, content string) error {
	link := strings.HasSuffix(name, "@")
	p := filepath.Join(r.work, filepath.FromSlash(strings.TrimSuffix(name, "@")))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	if link {
		return os.Symlink(content, p)
	}
	return os.WriteFile(p, []byte(content), 0o644)
}

// Include makes a commit of another repository a submodule, whose URL .gitmodules
// has unless it is empty.
func (r *Repository) Include(name, url, commit string) error {
	if err := os.MkdirAll(filepath.Join(r.work, filepath.FromSlash(name)), 0o755); err != nil {
		return err
	}
	if _, err := r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+name); err != nil || url == "" {
		return err
	}
	settings, err := os.OpenFile(filepath.Join(r.work, ".gitmodules"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer settings.Close()
	_, err = fmt.Fprintf(settings, "[submodule %q]\n\tpath = %q\n\turl = %q\n", "of."+name, name, url)
	return err
}

// Commit commits the work tree to the branch main. It returns the name of the commit.
func (r *Repository) Commit() (string, error) {
	if _, err := r.git("add", "--all", "--force"); err != nil {
		return "", err
	}
	if _, err := r.git("commit", "--quiet", "--allow-empty", "--message=change"); err != nil {
		return "", err
	}
	return r.head()
}

// head returns the last commit of the branch main.
func (r *Repository) head() (string, error) {
	data, err := os.ReadFile(filepath.Join(r.bare, "refs", "heads", "main"))
	return strings.TrimSpace(string(data)), err
}

// Nest lets a ref be a commit of width to the power of depth files: a tree holds the
// one below it many times.
func (r *Repository) Nest(ref string, width, depth int) error {
	hash, err := r.git("rev-parse", "HEAD:t/b.yaml")
	entry := "100644 blob"
	for level := 0; err == nil && level < depth; level++ {
		var list strings.Builder
		for i := range width {
			fmt.Fprintf(&list, "%s %s\t%03d.yaml\n", entry, strings.TrimSpace(hash), i)
		}
		hash, err = r.feed(list.String(), "mktree")
		entry = "040000 tree"
	}
	if err == nil {
		hash, err = r.git("commit-tree", "-m", "nested", strings.TrimSpace(hash))
	}
	if err != nil {
		return err
	}
	return r.set(ref, hash)
}

// Point lets a ref, as refs/heads/x or refs/tags/x, be the last commit.
func (r *Repository) Point(ref string) error {
	commit, err := r.head()
	if err != nil {
		return err
	}
	return r.set(ref, commit)
}

// set lets a ref be a commit.
func (r *Repository) set(ref, commit string) error {
	file := filepath.Join(r.bare, filepath.FromSlash(ref))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.TrimSpace(commit)+"\n"), 0o644)
}

// git runs git, whatever the user has configured.
func (r *Repository) git(args ...string) (string, error) { return r.feed("", args...) }

// feed is git with something to read.
func (r *Repository) feed(stdin string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{
		"-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "core.autocrlf=false", "-c", "core.fsync=none", "-c", "maintenance.auto=false",
	}, args...)...)
	cmd.Dir = r.work
	cmd.Env = append(cmd.Environ(), "GIT_DIR="+r.bare, "GIT_WORK_TREE="+r.work, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_DATE=2023-04-05T06:07:08Z", "GIT_COMMITTER_DATE=2023-04-05T06:07:08Z")
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

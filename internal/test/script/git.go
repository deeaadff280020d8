package script

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/gittest"
)

// gitServer is that of a script, with its repositories by name.
type gitServer struct {
	*gittest.Server
	repositories map[string]*gittest.Repository
	// commits are the last ones.
	commits map[string]string
}

// gitServerKey is the key of a script's server.
type gitServerKey struct{}

func commitToGit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: git NAME DIR REF [PATH=NAME]...")
	}
	server := ts.Value(gitServerKey{}).(*gitServer)
	if server.Server == nil {
		startGit(ts, server)
	}
	repository := server.repositories[args[0]]
	var err error
	if repository == nil {
		repository, err = server.Create(args[0])
		ts.Check(err)
		server.repositories[args[0]] = repository
	}
	dir := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		ts.Check(err)
		data, err := os.ReadFile(path)
		ts.Check(err)
		if strings.HasSuffix(rel, "@") {
			data = bytes.TrimSpace(data)
		}
		return repository.Write(rel, string(data))
	}))
	for _, module := range args[3:] {
		path, name, _ := strings.Cut(module, "=")
		ts.Check(repository.Include(path, "https://github.com/"+name, cmp.Or(server.commits[name], strings.Repeat("ab", 20))))
	}
	commit, err := repository.Commit()
	ts.Check(err)
	server.commits[args[0]] = commit
	ts.Check(repository.Point(args[2]))
	ts.Setenv("COMMIT", commit)
}

func startGit(ts *testscript.TestScript, server *gitServer) {
	root := ts.MkAbs(".git-server")
	ts.Check(os.MkdirAll(root, 0o755))
	s, err := gittest.Start(root)
	ts.Check(err)
	ts.Defer(s.Close)
	config := ts.MkAbs(".gitconfig")
	ts.Check(os.WriteFile(config, fmt.Appendf(nil, "[url %q]\n\tinsteadOf = https://github.com/\n", s.URL+"/"), 0o644))
	ts.Setenv("GIT_CONFIG_GLOBAL", config)
	ts.Setenv("GIT_URL", s.URL)
	server.Server, server.repositories, server.commits = s, map[string]*gittest.Repository{}, map[string]string{}
}

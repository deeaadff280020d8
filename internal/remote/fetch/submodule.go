package fetch

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Limits for submodules.
const (
	maxSubmodules     = 100
	maxSubmoduleDepth = 10
)

// submodule is an entry of a tree: a commit of another repository.
type submodule struct{ path, commit string }

// treeList counts the files of a commit and collects its submodules, from the output of git ls-tree
// (git-ls-tree(1), Output format). After an error, it stops.
type treeList struct {
	left    int
	record  []byte
	modules []submodule
	err     error
}

func (l *treeList) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && l.err == nil; {
		part, after, ended := bytes.Cut(rest, []byte{0})
		if l.record = append(l.record, part...); len(l.record) > 64<<10 {
			l.err = fault.New(fault.Integrity, "the repository has a file name that is too long")
		} else if ended {
			l.err = l.entry(string(l.record))
			l.record = l.record[:0]
		}
		rest = after
	}
	return len(p), l.err
}

func (l *treeList) entry(record string) error {
	about, name, _ := strings.Cut(record, "\t")
	if commit, isModule := strings.CutPrefix(about, "160000 commit "); isModule {
		l.modules = append(l.modules, submodule{name, commit})
	}
	switch l.left--; {
	case l.left < 0:
		return fault.New(fault.Integrity, "the repository has more than %d files", maxTreeEntries)
	case len(l.modules) > maxSubmodules:
		return fault.New(fault.Integrity, "the repository has more than %d submodules", maxSubmodules)
	}
	return nil
}

// submodules clones the submodules of a repository. go-getter leaves that to git (get_git.go,
// fetchSubmodules). Here each gets the same checks as the main repository.
func (g *gitClone) submodules(ctx context.Context, w *workTree, of *url.URL, depth int) error {
	if len(w.tree.modules) == 0 {
		return nil
	}
	settings, err := w.moduleSettings(ctx)
	if err != nil {
		return err
	}
	for _, m := range w.tree.modules {
		s := settings[m.path]
		if s[".update"] == "none" {
			continue // as git-submodule(1) says, update
		}
		if g.repositories++; g.repositories > maxSubmodules || depth == maxSubmoduleDepth {
			return fault.New(fault.Integrity, "the repository has more than %d submodules, or they are nested more than %d deep", maxSubmodules, maxSubmoduleDepth)
		}
		if err := g.submodule(ctx, w, m, s[".url"], of, depth); err != nil {
			return fmt.Errorf("submodule %q: %w", m.path, err)
		}
	}
	return nil
}

func (g *gitClone) submodule(ctx context.Context, w *workTree, m submodule, raw string, of *url.URL, depth int) error {
	u, err := moduleURL(raw, of)
	if err == nil {
		err = isWithin(w.dir, m.path)
	}
	if err != nil {
		return err
	}
	u.RawQuery = url.Values{"ref": {m.commit}, "sshkey": {of.Query().Get("sshkey")}}.Encode() // go-getter uses the key for all submodules
	if err := g.clone(ctx, filepath.Join(w.dir, filepath.FromSlash(m.path)), u, depth+1); err != nil {
		u.RawQuery = ""
		name := agent.Redact(u.String())
		if instead := g.fetch.cfg.Via.Instead(u); instead != "" {
			name += " from " + instead
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// isWithin returns an error unless a submodule's path is a directory without links on the way. A file
// system that ignores case may turn it into a link (CVE-2024-32002).
func isWithin(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return transfer.Local(err)
	}
	defer root.Close()
	for p := path.Clean(name); p != "."; p = path.Dir(p) {
		fi, err := root.Lstat(filepath.FromSlash(p))
		if err != nil || !fi.IsDir() {
			return fault.New(fault.Integrity, "%q is not a directory", p)
		}
	}
	return nil
}

// moduleSettings returns the settings in .gitmodules (gitmodules(5)), by the submodule's path and the
// setting's suffix, such as .url.
func (w *workTree) moduleSettings(ctx context.Context) (map[string]map[string]string, error) {
	const most = 1 << 20
	out := &tail{most: most + 1}
	err := w.run(ctx, out, "config", "--no-includes", "--blob", w.commit+":.gitmodules", "--null", "--get-regexp", `^submodule\..*\.(path|url|update)$`)
	if out.Len() > most {
		return nil, fault.New(fault.Integrity, "the repository's .gitmodules has more than %d bytes", most)
	}
	if err != nil && !transfer.Is[*gitError](err) {
		return nil, err
	} // a gitError means that there is no .gitmodules, or one that git cannot read: no submodule has a URL
	byName, byPath := map[string]map[string]string{}, map[string]map[string]string{}
	for record := range strings.SplitSeq(out.String(), "\x00") {
		key, value, _ := strings.Cut(record, "\n")
		setting := path.Ext(key) // "" at the end
		name := strings.TrimSuffix(key, setting)
		if byName[name] == nil {
			byName[name] = map[string]string{}
		}
		byName[name][setting] = value
		if setting == ".path" { // if two have the same path, the last one counts, as with git
			byPath[strings.TrimSuffix(value, "/")] = byName[name]
		}
	}
	return byPath, nil
}

// moduleURL returns the URL of a submodule. A relative one has the repository's host and credentials
// (git-submodule(1), add).
func moduleURL(raw string, of *url.URL) (*url.URL, error) {
	if raw == "" {
		return nil, fault.New(fault.Upstream, "the repository's .gitmodules has no URL for it, so the agent cannot fetch it either").WithHint("report it to the repository's publisher")
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		u := *of
		if u.Path = relativeTo(of.Path, raw); u.Path == "" {
			return nil, fault.New(fault.Upstream, "its relative URL %.200q has too many ..", raw).WithHint("report it to the repository's publisher")
		}
		u.RawPath, u.RawQuery = "", ""
		return &u, nil
	}
	located, local, err := Locate(raw)
	if err != nil {
		return nil, err
	}
	name, rest := agent.SplitGetter(located)
	u, err := url.Parse(rest)
	// Git takes github.com/… for a directory.
	scp := name == "git" && u != nil && u.Scheme == "ssh"
	if err != nil || local || !scp && !strings.Contains(raw, "://") {
		return nil, fault.New(fault.Usage, "its URL is a path on this machine: %s", agent.Redact(raw)).WithHint("report it to the repository's publisher")
	}
	return u, nil
}

// relativeTo resolves a relative URL as git does (remote.c, relative_url). It returns "" if that has
// more ".." than base has directories.
func relativeTo(base, relative string) string {
	base = strings.TrimSuffix(base, "/")
	for {
		if rest, up := strings.CutPrefix(relative, "../"); up {
			i := strings.LastIndexByte(base, '/')
			if i < 0 {
				return ""
			}
			base, relative = base[:i], rest
		} else if rest, here := strings.CutPrefix(relative, "./"); here {
			relative = rest
		} else {
			return base + "/" + relative
		}
	}
}

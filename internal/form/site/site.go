// Package site writes and reads sites. A site is a static web root from which an agent downloads
// plugins. Its upstream files are byte for byte those of their publishers:
//
//	{tag}/{repository}/plugins-index.yaml    an index that names files of the site only
//	{tag}/lock.json                          what the version was made of
//	{tag}/SHA256SUMS                         the digest of every file of the version, for sha256sum -c
//	files/{first 2 digits}/{sha256}/{name}   an upstream file
//	index.html, {tag}/index.html             pages for people
//
// A tag is a Botkube version, or a part of the lock's digest: see [lock.Lock.Tag]. Versions are
// side by side and share files. The URL of a file contains its digest, so servers and proxies may
// cache it forever. Only documents change.
//
// Files are written first and indexes last, each under a temporary name in
// .botkube-mirror that is renamed when it is whole, so that an agent always
// finds a complete version. What else is in the web root stays as it is.
package site

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// fileMode is that of all files: a web server may run as anybody.
const fileMode = 0o644

// writer writes one version of a site.
type writer struct {
	options form.WriteOptions
	blobs   blob.Source
	tree    *atomicdir.Tree

	mu    sync.Mutex
	added map[string]bool
}

// baseURL returns the URL without a slash at its end.
func baseURL(raw string) (string, error) {
	if err := form.CheckBaseURL(raw); err != nil {
		return "", err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// IndexURL returns the URL at which an agent finds the index of a repository.
func IndexURL(base string, l *lock.Lock, repository string) (string, error) {
	base, err := baseURL(base)
	if err != nil {
		return "", err
	}
	tag, err := l.Tag()
	if err != nil {
		return "", err
	}
	return base + (&url.URL{Path: "/" + indexPath(tag, repository)}).EscapedPath(), nil
}

// openOutput waits for another run that writes the site, and sweeps what a killed one left.
func openOutput(ctx context.Context, root string, plan *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	if err := checkNames(plan); err != nil {
		return nil, err
	}
	t, err := atomicdir.Open(ctx, root, atomicdir.Options{Reader: disk.Anyone, Waiting: o.Waiting})
	if err != nil {
		return nil, err
	}
	if wasWritten(t) {
		t.MayDisplace(o.Displaced)
	}
	w := &writer{options: o, blobs: from.Blobs, tree: t, added: map[string]bool{}}
	if err := w.checkRoot(plan); err != nil {
		t.Close()
		return nil, err
	}
	return w, nil
}

// checkRoot refuses a directory of another form, and files in the place of the site's own files.
func (w *writer) checkRoot(plan *lock.Lock) error {
	for form, sign := range map[string]string{"an agent's cache directory": pluginsdir.LockPath, "a bundle": "oci-layout"} {
		if _, err := w.tree.Root.Lstat(sign); err == nil {
			return fault.New(fault.Usage, "the output %s is %s, so it cannot become a site", w.tree.Path, form).WithHint("name another directory")
		}
	}
	if err := w.tree.Check(filesDir, true); err != nil {
		return err
	}
	if plan.BotkubeVersion == "" {
		return nil // the tag follows from digests that are not known yet
	}
	tag, err := plan.Tag()
	if err != nil {
		return err
	}
	return w.checkVersion(tag, plan)
}

// Add brings one upstream file into the site. A file that already has the right bytes is left
// alone. It reports whether anything was written.
func (w *writer) Add(ctx context.Context, a lock.Artifact) (bool, error) {
	e := fileEntry(a, w.blobs)
	err := w.tree.Check(e.Path, false)
	written := false
	if err == nil {
		_, written, err = entry.Write(ctx, w.tree, e)
	}
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", w.tree.At(e.Path), atomicdir.Explain(err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.added[e.Path] = true
	return written, nil
}

// Commit writes the documents, the indexes last, and makes all of the version durable.
func (w *writer) Commit(ctx context.Context, l *lock.Lock) (out form.Written, err error) {
	// Once it has begun, it is better brought to its end.
	out.Changed, err = w.commit(context.WithoutCancel(ctx), l.PluginsOnly())
	if err != nil {
		return out, fmt.Errorf("completing %s: %w", w.tree.Path, atomicdir.Explain(err))
	}
	if out.Tag, err = l.Tag(); err != nil {
		return out, err
	}
	if out.Templates, err = Templates(w.options.BaseURL, l); err != nil {
		return out, err
	}
	out.Indexes = map[string]string{}
	for _, r := range l.Repositories {
		if out.Indexes[r.Name], err = IndexURL(w.options.BaseURL, l, r.Name); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (w *writer) commit(ctx context.Context, l *lock.Lock) (bool, error) {
	var files []string
	for _, f := range Files(l) {
		if !w.added[f.Path] {
			return false, fault.New(fault.Incomplete, "the file %s is missing in the site", f.Path)
		}
		files = append(files, f.Path)
	}
	tag, err := l.Tag()
	if err != nil {
		return false, err
	}
	if err := w.checkVersion(tag, l); err != nil {
		return false, err
	}
	documents, err := Documents(l, w.options.BaseURL, pluginsdir.Upstream{Blobs: w.blobs})
	if err != nil {
		return false, err
	}
	if err := w.tree.SyncDirs(files); err != nil {
		return false, err
	}
	var plan []entry.Entry
	for _, d := range documents {
		plan = append(plan, entry.OfData(d.Path, fileMode, d.Data))
	}
	written, err := entry.WriteAll(ctx, w.tree, plan)
	if err != nil {
		return false, err
	}
	if err := w.tree.SyncDirs(entry.Paths(plan)); err != nil {
		return false, err
	}
	// Agents have all that they need; the pages are for people.
	paged, err := w.writePages(ctx, tag, l)
	return written || paged || w.tree.Mended(), err
}

// checkVersion refuses a directory in which the site would replace files that botkube-mirror did
// not write.
func (w *writer) checkVersion(tag string, l *lock.Lock) error {
	if err := w.tree.Check(tag, true); err != nil {
		return err
	}
	paths := []string{path.Join(tag, sumsName), path.Join(tag, lockName), PagePath(tag)}
	for _, r := range l.Repositories {
		if err := w.tree.Check(path.Join(tag, r.Name), true); err != nil {
			return err
		}
		paths = append(paths, indexPath(tag, r.Name))
	}
	s := readState(w.tree, tag)
	for _, p := range paths {
		if disk.CheckParents(w.tree.Root, p) != nil {
			continue // a link on the way to it is moved aside, and what it leads to stays
		}
		if err := w.tree.Check(p, false); err != nil {
			return err
		}
		if _, err := w.tree.Root.Lstat(p); err == nil && !s.isVersion && s.lock == nil {
			return w.tree.InTheWay(p, "is not a file of a site")
		}
	}
	return nil
}

// Close removes what is unfinished and lets the next run have the site.
func (w *writer) Close() error { return w.tree.Close() }

package site

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Names of the documents of a version.
const (
	lockName  = "lock.json"
	sumsName  = "SHA256SUMS"
	indexName = "plugins-index.yaml"
)

// maxDocument bounds, in bytes, a document that is read back.
const maxDocument = lock.MaxSize

// tagForm is that of the directory of a version: what can be an OCI tag, so
// that every form of output calls it the same.
var tagForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// Version is one version of a site.
type Version struct {
	// Tag is the name of its directory.
	Tag  string
	Lock *lock.Lock
}

func indexPath(tag, repository string) string { return path.Join(tag, repository, indexName) }

// checkNames refuses names in a lock that mean something else in a site.
func checkNames(l *lock.Lock) error {
	if l.BotkubeVersion != "" {
		tag, err := l.Tag()
		if err != nil {
			return err
		}
		if !tagForm.MatchString(tag) || strings.EqualFold(tag, filesDir) {
			return fault.New(fault.Usage, "the Botkube version %.80q cannot be the name of a directory of the site", l.BotkubeVersion)
		}
	}
	for _, r := range l.Repositories {
		if strings.EqualFold(r.Name, lockName) || strings.EqualFold(r.Name, sumsName) {
			return fault.New(fault.Usage, "the repository cannot be called %q in a site, which has a file of that name", r.Name)
		}
	}
	return nil
}

// Documents returns all files of a version but the upstream ones, for a base URL,
// in the order in which they must be written: whatever comes last is what an
// agent takes as the sign that the rest is there. Upstream has the indexes, which
// may be those of a site: URLs in them do not matter.
func Documents(l *lock.Lock, base string, upstream form.Indexes) ([]pluginsdir.Document, error) {
	base, err := baseURL(base)
	if err != nil {
		return nil, err
	}
	l = l.PluginsOnly()
	if err := checkNames(l); err != nil {
		return nil, err
	}
	tag, err := l.Tag()
	if err != nil {
		return nil, err
	}
	data, err := l.Marshal()
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fault.New(fault.Usage, "the lock has %d bytes; at most %d can be read back", len(data), maxDocument).
			WithHint("mirror fewer plugins or platforms")
	}
	digests := pinned(l, data)
	urls := newRewriter(base, l)
	var indexes []pluginsdir.Document
	for _, r := range l.Repositories {
		ix, err := upstream.Index(agent.Platform{}, r)
		if err != nil {
			return nil, fmt.Errorf("reading the index of %q: %w", r.Name, err)
		}
		rewritten, err := pluginsdir.Rewrite(l, r, ix, urls.builds)
		if err != nil {
			return nil, err
		}
		digests[r.Name+"/"+indexName] = lock.Sum(rewritten)
		indexes = append(indexes, pluginsdir.Document{Path: indexPath(tag, r.Name), Data: rewritten})
	}
	head := []pluginsdir.Document{{Path: path.Join(tag, sumsName), Data: digests.Marshal()}, {Path: path.Join(tag, lockName), Data: data}}
	return append(head, indexes...), nil
}

// pinned returns the digests of a version's files that follow from its lock: of all
// but the indexes. Paths are relative to the directory of the version.
func pinned(l *lock.Lock, data []byte) entry.Sums {
	digests := entry.Sums{lockName: lock.Sum(data)}
	for _, f := range Files(l) {
		digests["../"+f.Path] = f.SHA256
	}
	return digests
}

// state is what a directory of a web root holds of a version.
type state struct {
	tag string
	// sums are those of SHA256SUMS, or nil where that cannot be read.
	sums entry.Sums
	// hasSums says that SHA256SUMS names a lock, damaged as it may be.
	hasSums bool
	// odd says why what is in the place of SHA256SUMS beside a lock is none.
	odd error
	// lock is nil where err says why it cannot be read.
	lock     *lock.Lock
	lockData []byte
	err      error
}

// isOurs reports whether the directory was written as a version.
func (s *state) isOurs() bool { return s.hasSums || s.odd != nil }

func readState(t *atomicdir.Tree, tag string) *state {
	s := &state{tag: tag}
	data, err := t.Read(path.Join(tag, sumsName), maxDocument)
	if err == nil && bytes.Contains(data, []byte("  "+lockName+"\n")) {
		s.hasSums = true
		s.sums, _ = entry.ParseSums(data) // what cannot be read names nothing
	}
	if s.lockData, s.err = t.Read(path.Join(tag, lockName), maxDocument); s.err == nil {
		s.lock, s.err = lock.Parse(s.lockData)
	}
	if s.lock != nil && fault.KindOf(err) == fault.Integrity {
		s.odd = err
	}
	return s
}

// checkDocuments refuses anything but a regular file in the place of a document of a version
// that has a lock. What the documents hold is not read.
func (s *state) checkDocuments(t *atomicdir.Tree) error {
	if s.odd != nil {
		return damaged(t, path.Join(s.tag, sumsName), s.odd)
	}
	for _, r := range s.lock.Repositories {
		p := indexPath(s.tag, r.Name)
		if _, err := disk.StatRegular(t.Root, p); fault.KindOf(err) == fault.Integrity {
			return damaged(t, p, err)
		}
	}
	return nil
}

// damaged says what to do about a document of a version that is none.
func damaged(t *atomicdir.Tree, p string, err error) error {
	return fault.New(fault.Integrity, "%s: %w", t.At(p), err).
		WithHint("run the pull again to write it anew, or remove the directory of the version")
}

// damage says why a version's lock cannot be read.
func (s *state) damage(t *atomicdir.Tree) error {
	at := t.At(path.Join(s.tag, lockName))
	const again = "run the pull again to write it anew, or remove the directory %s"
	if errors.Is(s.err, fs.ErrNotExist) {
		return fault.New(fault.Incomplete, "%s is missing: the version is unfinished", at).WithHint(again, t.At(s.tag))
	}
	if _, ok := errors.AsType[*fs.PathError](s.err); ok {
		return fmt.Errorf("reading %s: %w", at, atomicdir.Explain(s.err))
	}
	return fault.New(fault.Integrity, "%s: %w", at, s.err).WithHint(again, t.At(s.tag))
}

// indexes returns the indexes of a version that has a lock, by repository. They and the
// lock must be those that SHA256SUMS names: a run that ends while it completes a version
// leaves others, and an index may then still name what the lock does not.
func (s *state) indexes(t *atomicdir.Tree) (map[string][]byte, error) {
	settled := s.sums.Names(lockName, s.lockData)
	indexes := map[string][]byte{}
	for _, r := range s.lock.Repositories {
		p := indexPath(s.tag, r.Name)
		data, err := t.Read(p, maxDocument)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading %s: %w", t.At(p), atomicdir.Explain(err))
		}
		settled = settled && err == nil && s.sums.Names(r.Name+"/"+indexName, data)
		indexes[r.Name] = data
	}
	if !settled {
		return nil, fault.New(fault.Incomplete, "an update of %s is unfinished, or an index was changed", t.At(s.tag)).
			WithHint("run the pull again; verify tells what is wrong")
	}
	return indexes, nil
}

// states returns what the directories of a web root hold that may be versions,
// by name.
func states(t *atomicdir.Tree) ([]*state, error) {
	entries, err := fs.ReadDir(t.Root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Path, atomicdir.Explain(err))
	}
	var all []*state
	for _, e := range entries {
		if e.IsDir() && tagForm.MatchString(e.Name()) && e.Name() != filesDir {
			if s := readState(t, e.Name()); s.isOurs() || s.lock != nil || served(t, e.Name()) {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// served reports whether a directory has an index that only we write: one that
// names files of a site. It is a version then, even if it lost all else.
func served(t *atomicdir.Tree, tag string) bool {
	repositories, err := fs.ReadDir(t.Root.FS(), tag)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(repositories, func(e fs.DirEntry) bool {
		data, err := t.Read(indexPath(tag, e.Name()), maxDocument)
		return err == nil && baseURLIn(data) != ""
	})
}

// unread returns the names of directories that may be versions, which cannot be
// told because they may not be read.
func unread(t *atomicdir.Tree) []string {
	return mayBeVersions(t, func(e fs.DirEntry) bool {
		if !e.IsDir() {
			return false
		}
		s := readState(t, e.Name())
		return !s.isOurs() && errors.Is(s.err, fs.ErrPermission)
	})
}

// linked returns the names of links that may lead to versions elsewhere, which are
// not read. One to a directory beside it is another name of that.
func linked(t *atomicdir.Tree) []string {
	return mayBeVersions(t, func(e fs.DirEntry) bool {
		if e.Type()&fs.ModeSymlink == 0 {
			return false
		}
		to, err := t.Root.Readlink(e.Name())
		if err == nil && filepath.IsLocal(to) && filepath.Base(to) == filepath.Clean(to) {
			return false
		}
		fi, err := t.Root.Stat(e.Name())
		return err == nil && fi.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)
	})
}

// mayBeVersions returns the names of entries of a web root that have the form of a
// version's, and more.
func mayBeVersions(t *atomicdir.Tree, more func(fs.DirEntry) bool) []string {
	entries, err := fs.ReadDir(t.Root.FS(), ".")
	if err != nil {
		return nil // as states does, which says so
	}
	var names []string
	for _, e := range entries {
		if tagForm.MatchString(e.Name()) && e.Name() != filesDir && more(e) {
			names = append(names, e.Name())
		}
	}
	return names
}

// begun reports whether a run has written to a web root: a version, or a file
// below files that is called as only ours are.
func begun(t *atomicdir.Tree) bool {
	if all, err := states(t); err == nil && slices.ContainsFunc(all, (*state).isOurs) {
		return true
	}
	found := false
	pr := &pruner{tree: t}
	_ = pr.eachContent(func(sum lock.SHA256) error { // what cannot be read says nothing
		entries, err := fs.ReadDir(t.Root.FS(), contentDir(sum))
		found = found || err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Type().IsRegular() })
		return nil
	})
	return found
}

// checkVersion refuses a directory that somebody else wrote files to which ours
// would replace.
func (w *Writer) checkVersion(tag string, l *lock.Lock) error {
	if err := w.tree.CheckDir(tag); err != nil {
		return err
	}
	paths := []string{path.Join(tag, sumsName), path.Join(tag, lockName)}
	for _, r := range l.Repositories {
		if err := w.tree.CheckDir(path.Join(tag, r.Name)); err != nil {
			return err
		}
		paths = append(paths, indexPath(tag, r.Name))
	}
	s := readState(w.tree, tag)
	for _, p := range paths {
		if disk.CheckParents(w.tree.Root, p) != nil {
			continue // a link on the way to it is moved aside, and what it leads to stays
		}
		if err := w.tree.CheckFile(p); err != nil {
			return err
		}
		if _, err := w.tree.Root.Lstat(p); err == nil && !s.isOurs() && s.lock == nil {
			return w.tree.InTheWay(p, "is not of a site")
		}
	}
	return nil
}

// ReadLocks returns the versions of a site, by tag. One whose first run ended
// before it was complete is none yet.
func ReadLocks(root string) ([]Version, error) {
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	all, err := states(t)
	if err != nil {
		return nil, err
	}
	var versions []Version
	var unfinished error
	for _, s := range all {
		switch {
		case !s.isOurs():
		case s.lock != nil:
			if err := s.checkDocuments(t); err != nil {
				return nil, err
			}
			versions = append(versions, Version{Tag: s.tag, Lock: s.lock})
		case errors.Is(s.err, fs.ErrNotExist):
			unfinished = s.damage(t)
		default:
			return nil, s.damage(t)
		}
	}
	if len(versions) == 0 && unfinished != nil {
		return nil, unfinished
	}
	if len(versions) == 0 {
		return nil, fault.New(fault.Usage, "%s is not a site that pull wrote: no directory in it has a %s and a %s", root, lockName, sumsName)
	}
	return versions, nil
}

// BaseURL returns where a version of a site must be served, by its indexes, or ""
// where they do not say: they name no file of a site, or cannot be read.
func BaseURL(root string, v Version) string {
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return ""
	}
	defer t.Close()
	for _, r := range v.Lock.Repositories {
		if data, err := t.Read(indexPath(v.Tag, r.Name), maxDocument); err == nil {
			if base := baseURLIn(data); base != "" {
				return base
			}
		}
	}
	return ""
}

// IsSite reports whether a directory looks like a site. Whether it can be read,
// [ReadLocks] says.
func IsSite(dir string) bool {
	return holds(dir, (*state).isOurs)
}

// InTree is [IsSite] for a directory that is open.
func InTree(t *atomicdir.Tree) bool {
	return treeHolds(t, (*state).isOurs)
}

// HasVersions reports whether a directory has anything of a site, damaged as it
// may be.
func HasVersions(dir string) bool {
	return holds(dir, func(*state) bool { return true })
}

// holds reports whether a directory has a version of some kind.
func holds(dir string, which func(*state) bool) bool {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return false
	}
	defer t.Close()
	return treeHolds(t, which)
}

func treeHolds(t *atomicdir.Tree, which func(*state) bool) bool {
	all, err := states(t)
	return err == nil && slices.ContainsFunc(all, which)
}

package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
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

func indexPath(tag, repository string) string { return path.Join(tag, repository, indexName) }

// checkNames refuses names in a lock that mean something else in a site.
func checkNames(l *lock.Lock) error {
	if l.BotkubeVersion != "" {
		tag, err := l.Tag()
		if err != nil {
			return err
		}
		if !lock.IsTag(tag) || strings.EqualFold(tag, filesDir) || strings.EqualFold(tag, page.Name) {
			return fault.New(fault.Usage, "the Botkube version %.80q cannot be a directory name in a site", l.BotkubeVersion)
		}
	}
	for _, r := range l.Repositories {
		if slices.ContainsFunc([]string{lockName, sumsName, page.Name}, func(name string) bool { return strings.EqualFold(r.Name, name) }) {
			return fault.New(fault.Usage, "a repository in a site cannot have the name %q: the site has a file with that name", r.Name)
		}
	}
	return nil
}

// Documents returns all files of a version but the upstream ones, for a base URL,
// in the order in which they must be written: whatever comes last is what an
// agent takes as the sign that the rest is there. Upstream has the indexes, which
// may be those of a site: URLs in them do not matter.
func Documents(l *lock.Lock, base string, upstream pluginsdir.Indexes) ([]pluginsdir.Document, error) {
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
		return nil, fault.New(fault.Usage, "the lock has %d bytes, but the maximum is %d", len(data), maxDocument).
			WithHint("mirror fewer plugins or platforms: use --plugin, --exclude or --platform")
	}
	at := func(repository string) string { return indexPath(tag, repository) }
	indexes, err := pluginsdir.Rewrite(l, agent.Platform{}, upstream, at, newRewriter(base, l).builds)
	if err != nil {
		return nil, err
	}
	digests := pinned(l, data)
	for _, d := range indexes {
		digests[strings.TrimPrefix(d.Path, tag+"/")] = lock.Sum(d.Data)
	}
	head := []pluginsdir.Document{{Path: path.Join(tag, sumsName), Data: digests.Marshal()}, {Path: path.Join(tag, lockName), Data: data}}
	return append(head, indexes...), nil
}

// pinned has the digests that follow from a lock: those of all files but the indexes.
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
	// isVersion says that botkube-mirror wrote the directory as a version: it has a SHA256SUMS that
	// names a lock, damaged as it may be, or a lock and something else in the place of SHA256SUMS.
	isVersion bool
	// lock is nil where err says why it cannot be read.
	lock *lock.Lock
	err  error
}

func readState(t *atomicdir.Tree, tag string) *state {
	s := &state{tag: tag}
	data, err := t.Read(path.Join(tag, sumsName), maxDocument)
	if err == nil && bytes.Contains(data, []byte("  "+lockName+"\n")) {
		s.isVersion = true
		s.sums, _ = entry.ParseSums(data) // what cannot be read names nothing
	}
	var locked []byte
	if locked, s.err = t.Read(path.Join(tag, lockName), maxDocument); s.err == nil {
		s.lock, s.err = lock.Parse(locked)
	}
	s.isVersion = s.isVersion || s.lock != nil && fault.KindOf(err) == fault.Integrity
	return s
}

// checkDocuments refuses anything but regular files in the place of documents.
func (s *state) checkDocuments(t *atomicdir.Tree) error {
	paths := []string{path.Join(s.tag, sumsName)}
	for _, r := range s.lock.Repositories {
		paths = append(paths, indexPath(s.tag, r.Name))
	}
	return t.CheckRegular("run the pull again: it writes the file anew; or remove the directory of the version", paths...)
}

// damage says why a version's lock cannot be read.
func (s *state) damage(t *atomicdir.Tree) error {
	at := t.At(path.Join(s.tag, lockName))
	const again = "run the pull again: it writes the file anew; or remove the directory %s"
	if errors.Is(s.err, fs.ErrNotExist) {
		return fault.New(fault.Incomplete, "%s is missing: the version was not written completely", at).WithHint(again, t.At(s.tag))
	}
	if _, ok := errors.AsType[*fs.PathError](s.err); ok {
		return fmt.Errorf("reading %s: %w", at, atomicdir.Explain(s.err))
	}
	return fault.New(fault.Integrity, "%s: %w", at, s.err).WithHint(again, t.At(s.tag))
}

// indexes are those of a version, by repository.
type indexes map[string][]byte

// Index returns the index of a repository as the site has it.
func (all indexes) Index(_ agent.Platform, r lock.Repository) (pluginsdir.Index, error) {
	return pluginsdir.Index{Data: all[r.Name]}, nil
}

// indexes returns the indexes of a version that has a lock, which is complete.
func (s *state) indexes(t *atomicdir.Tree) (indexes, error) {
	names := []string{lockName}
	for _, r := range s.lock.Repositories {
		names = append(names, r.Name+"/"+indexName)
	}
	documents, err := s.sums.Documents(t, s.tag, names)
	all := indexes{}
	for _, r := range s.lock.Repositories {
		all[r.Name] = documents[r.Name+"/"+indexName]
	}
	return all, err
}

// webRoot is what a directory has that may be a site.
type webRoot struct {
	// versions are the directories that may be versions, by name.
	versions []*state
	// unread are directories that may be versions, but that this user cannot read.
	unread []string
	// linked are links that may lead to versions elsewhere, which are not read.
	linked []string
}

func look(t *atomicdir.Tree) (found webRoot, err error) {
	entries, err := fs.ReadDir(t.Root.FS(), ".")
	if err != nil {
		return found, fmt.Errorf("reading %s: %w", t.Path, atomicdir.Explain(err))
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case !lock.IsTag(name) || name == filesDir:
		case e.IsDir():
			s := readState(t, name)
			if s.isVersion || s.lock != nil || served(t, name) {
				found.versions = append(found.versions, s)
			}
			if !s.isVersion && errors.Is(s.err, fs.ErrPermission) {
				found.unread = append(found.unread, name)
			}
		case e.Type()&fs.ModeSymlink != 0 && leadsElsewhere(t, name):
			found.linked = append(found.linked, name)
		}
	}
	return found, nil
}

// served reports whether a directory has an index that only we write: one that
// names files of a site. It is a version then, even if it lost all else.
func served(t *atomicdir.Tree, tag string) bool {
	repositories, err := disk.ReadDir(t.Root, tag)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(repositories, func(e fs.DirEntry) bool {
		data, err := t.Read(indexPath(tag, e.Name()), maxDocument)
		return err == nil && baseURLIn(agent.ReadIndex(data)) != ""
	})
}

// leadsElsewhere takes a link to a directory that is not beside it.
func leadsElsewhere(t *atomicdir.Tree, name string) bool {
	to, err := t.Root.Readlink(name)
	if err == nil && filepath.IsLocal(to) && filepath.Base(to) == filepath.Clean(to) {
		return false
	}
	fi, err := t.Root.Stat(name)
	return err == nil && fi.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// wasWritten reports whether a run has written to a web root: it has a version, or a file below "files"
// with a digest in its path.
func wasWritten(t *atomicdir.Tree) bool {
	if InTree(t) {
		return true
	}
	found := false
	_ = eachContent(t, leave, func(_ lock.SHA256, files []fs.DirEntry) error { // what cannot be read says nothing
		found = found || len(files) > 0
		return nil
	})
	return found
}

// finished returns the versions by tag. One whose first run has not ended is none yet.
func finished(t *atomicdir.Tree) ([]*state, error) {
	found, err := look(t)
	if err != nil {
		return nil, err
	}
	var all []*state
	var unfinished error
	for _, s := range found.versions {
		switch {
		case !s.isVersion:
		case s.lock != nil:
			if err := s.checkDocuments(t); err != nil {
				return nil, err
			}
			all = append(all, s)
		case errors.Is(s.err, fs.ErrNotExist):
			unfinished = s.damage(t)
		default:
			return nil, s.damage(t)
		}
	}
	if len(all) == 0 && unfinished != nil {
		return nil, unfinished
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Usage, "%s is not a site that pull wrote: it has no directory with a %s and a %s", t.Path, lockName, sumsName)
	}
	return all, nil
}

// InTree reports whether a directory looks like a site.
func InTree(t *atomicdir.Tree) bool {
	found, err := look(t)
	return err == nil && slices.ContainsFunc(found.versions, func(s *state) bool { return s.isVersion })
}

// Plan returns the upstream files of a version as entries of a site. An artifact of 0 bytes has a
// size that is not known yet.
func Plan(l *lock.Lock) []entry.Entry {
	at := map[string]int{}
	var plan []entry.Entry
	for _, a := range l.Artifacts {
		e := fileEntry(a, nil)
		i, planned := at[e.Path]
		if !planned {
			at[e.Path] = len(plan)
			plan = append(plan, e)
			continue
		}
		plan[i].Sources = append(plan[i].Sources, a)
	}
	return plan
}

// fileEntry is an upstream file as an entry of a site. Only making it needs blobs.
func fileEntry(a lock.Artifact, blobs blob.Source) entry.Entry {
	e := entry.OfBlob(FilePath(a), fileMode, a.Blob)
	e.Guess = a.Size == 0
	e.Content, e.Basis, e.Sources = "an upstream file", audit.ByLock, []lock.Artifact{a}
	e.Make = func(ctx context.Context, to blob.Sink) error {
		if err := blobs.Verify(ctx, a.SHA256); err != nil {
			return err
		}
		from, err := blobs.Open(a.SHA256)
		if err != nil {
			return err
		}
		defer from.Close()
		return blob.Copy(ctx, to, from)
	}
	return e
}

// plan returns all files of a version.
func (s *state) plan() []entry.Entry {
	if s.lock == nil {
		return nil
	}
	plan := []entry.Entry{document(path.Join(s.tag, sumsName), "the digests of all files"), document(path.Join(s.tag, lockName), "the lock")}
	plan = append(plan, Plan(s.lock)...)
	for _, r := range s.lock.Repositories {
		e := document(indexPath(s.tag, r.Name), "the index of "+r.Name)
		e.Basis = audit.BySums
		plan = append(plan, e)
	}
	return plan
}

// document is the entry of a small file of a version with unknown content.
func document(p, content string) entry.Entry {
	return entry.Entry{Path: p, Mode: fileMode, Needed: fileMode, Most: maxDocument, Content: content, Document: true}
}

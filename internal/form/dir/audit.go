package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// IsDirectory reports whether a directory looks like one that this package wrote.
func IsDirectory(dir string) bool {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return false
	}
	defer t.Close()
	for _, p := range []string{lockPath, sumsPath, supersededPath} {
		if _, err := t.Root.Lstat(p); err == nil {
			return true
		}
	}
	return false
}

// MayBeDirectory reports whether a directory has what is left of one that this
// package wrote: it lost all that tells, or that may not be looked at.
func MayBeDirectory(dir string) bool {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return false
	}
	defer t.Close()
	_, err = t.Root.Lstat(pluginsdir.MetaDir)
	return err == nil
}

// Audited is what was found of a directory.
type Audited struct {
	// Lock is nil where it cannot be read, which the report says.
	Lock *lock.Lock
	// Mount is where the agent must see it, or empty if its indexes do not say.
	Mount string
	// Digest is that of the list of all files as they are, in the form of
	// SHA256SUMS: of an intact directory for one platform it is the digest of that file.
	Digest lock.SHA256
}

// AuditOptions are those of [Audit].
type AuditOptions struct {
	// Mount is where the agent must see the directory, or empty to take that from
	// its indexes.
	Mount string
	// Waiting is as in [Options].
	Waiting func(string)
	// Hashed, if not nil, is told of bytes that were read, from several goroutines.
	Hashed func(n int64)
}

// Audit reads every file of a directory, and reports what is wrong with it. A
// run that writes the directory is waited for.
func Audit(ctx context.Context, dir string, r *audit.Report, o AuditOptions) (*Audited, error) {
	if err := atomicdir.Settle(ctx, dir, o.Waiting); err != nil {
		return nil, err
	}
	a := &auditor{AuditOptions: o, report: r, all: map[string]lock.SHA256{}}
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	l, err := lockOf(t)
	if err != nil {
		f, detail := audit.File{Path: lockPath, Content: "the lock", State: audit.Damaged}, err.Error()
		if fault.KindOf(err) == fault.Usage {
			f.State, detail = audit.Missing, "it is missing"
		}
		r.Add(f, detail)
		return &Audited{}, nil
	}
	if len(l.Platforms) == 1 {
		err = a.platform(ctx, t, "", l)
	} else {
		err = a.platforms(ctx, t, l)
	}
	return &Audited{Lock: l, Mount: a.mount, Digest: lock.Sum(pluginsdir.Sums(a.all))}, err
}

// auditor is one run of [Audit].
type auditor struct {
	AuditOptions
	report *audit.Report
	// mount is where the agent must see the directory, by its indexes.
	mount string
	// all has the digests of all files that are there, as Audited.Digest counts them.
	all map[string]lock.SHA256
}

// platforms audits a directory for several platforms.
func (a *auditor) platforms(ctx context.Context, top *atomicdir.Tree, l *lock.Lock) error {
	found, err := a.read(ctx, top, []string{lockPath}, nil)
	if err != nil {
		return err
	}
	if f := found[lockPath]; f.Problem == "" {
		a.report.Add(audit.File{Path: lockPath, Content: "the lock of all platforms", State: audit.Intact, Size: f.Size, SHA256: &f.SHA256}, "")
		a.all[lockPath] = f.SHA256
	}
	a.superseded(top, "")
	for _, p := range l.Platforms {
		if err := a.sub(ctx, top, p, l.ForPlatform(p)); err != nil {
			return err
		}
	}
	return nil
}

// sub audits the directory of one of several platforms. A link in its place may
// lead to what is not copied with the whole.
func (a *auditor) sub(ctx context.Context, top *atomicdir.Tree, p agent.Platform, l *lock.Lock) error {
	t, err := top.Sub(p.Dir())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.report.Fail(audit.Problem{Kind: audit.KindMissing, Path: p.Dir(), Detail: "the directory of " + p.String() + " is missing"})
		return nil
	case fault.KindOf(err) == fault.Integrity:
		a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: p.Dir(), Detail: err.Error()})
		return nil
	case err != nil:
		a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: p.Dir(), Detail: "it cannot be opened: " + reason(err)})
		return nil
	}
	defer t.Close()
	return a.platform(ctx, t, p.Dir(), l)
}

// superseded returns the paths that a list names as superseded. One that cannot be
// read is a problem: prune would not know what to remove.
func (a *auditor) superseded(t *atomicdir.Tree, prefix string) []string {
	paths, err := newDirectory(t).listed()
	if err != nil {
		a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: path.Join(prefix, supersededPath), Detail: err.Error()})
	}
	return paths
}

// platform audits the directory of one platform, which is below the whole at a
// prefix.
func (a *auditor) platform(ctx context.Context, t *atomicdir.Tree, prefix string, l *lock.Lock) error {
	at := func(p string) string { return path.Join(prefix, p) }
	p := l.Platforms[0]
	// The mode of the whole is that of the volume, or of who made the directory.
	if fi, err := t.Root.Lstat("."); err == nil && prefix != "" {
		a.enterable(prefix, fi)
	}
	paths, err := a.list(t, l, at)
	if err != nil {
		return err
	}
	most := map[string]int64{}
	for _, f := range l.Files(p) {
		most[f.Path] = pluginsdir.MostOf(f)
	}
	found, err := a.read(ctx, t, paths, most)
	if err != nil {
		return err
	}
	superseded := a.superseded(t, prefix)
	for name, f := range found {
		if f.Problem == "" && name != sumsPath && !slices.Contains(superseded, name) {
			a.all[at(name)] = f.SHA256
		}
	}
	for _, r := range l.Repositories {
		a.mount = cmp.Or(a.mount, pluginsdir.MountIn(found[agent.IndexPath(r.Name)].Data, r.Name, p))
	}
	pluginsdir.Audited{Lock: l, Platform: p, Found: found, At: at, Superseded: superseded, Mount: a.Mount}.Audit(a.report)
	return nil
}

// list returns the paths of everything that an agent might look at, and of our
// own documents. It follows no link.
func (a *auditor) list(t *atomicdir.Tree, l *lock.Lock, at func(string) string) ([]string, error) {
	var paths []string
	for _, p := range []string{lockPath, sumsPath} {
		if _, err := t.Root.Lstat(p); err == nil {
			paths = append(paths, p)
		}
	}
	entries, err := fs.ReadDir(t.Root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Path, atomicdir.Explain(err))
	}
	for _, e := range entries {
		isRepository := slices.ContainsFunc(l.Repositories, func(r lock.Repository) bool { return r.Name == e.Name() })
		switch {
		case isRepository && !e.IsDir():
			a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at(e.Name()), Detail: "it is " + disk.DescribeType(e.Type()) + ", not a directory"})
		case isRepository:
			paths = append(paths, a.walk(t, e.Name(), at)...)
		case path.Ext(e.Name()) == ".yaml":
			paths = append(paths, e.Name())
		}
	}
	// A directory in the place of a file is not walked over.
	for _, p := range pluginsdir.Paths(l, l.Platforms[0]) {
		if fi, err := t.Root.Lstat(p); err == nil && fi.IsDir() {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// walk returns the paths of all that is no directory. A directory that an agent
// of another user cannot read is a problem.
func (a *auditor) walk(t *atomicdir.Tree, repository string, at func(string) string) []string {
	var paths []string
	err := fs.WalkDir(t.Root.FS(), repository, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at(p), Detail: "it cannot be read: " + reason(err)})
			return fs.SkipDir
		}
		if !e.IsDir() {
			paths = append(paths, p)
			return nil
		}
		if fi, err := e.Info(); err == nil {
			a.enterable(at(p), fi)
		}
		return nil
	})
	if err != nil {
		return nil // the walk itself never fails
	}
	return paths
}

// enterable reports a directory that the agent cannot read.
func (a *auditor) enterable(at string, fi fs.FileInfo) {
	if lacking := disk.AccessOf(fi).Lacking(pluginsdir.Reader, agent.DirectoryMode); lacking != "" {
		a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at, Detail: lacking})
	}
}

// reason drops the path of an error, which stands beside it.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// read hashes files, the largest first, and keeps the content of documents. Most
// says how many bytes those may have that the lock names.
func (a *auditor) read(ctx context.Context, t *atomicdir.Tree, paths []string, most map[string]int64) (map[string]pluginsdir.Found, error) {
	type job struct {
		path string
		info fs.FileInfo
	}
	var jobs []job
	found := map[string]pluginsdir.Found{}
	for _, p := range paths {
		fi, err := t.Root.Lstat(p)
		if err != nil {
			found[p] = pluginsdir.Found{Problem: "cannot be read: " + reason(err)}
			continue
		}
		jobs = append(jobs, job{p, fi})
	}
	slices.SortStableFunc(jobs, func(x, y job) int { return cmp.Compare(y.info.Size(), x.info.Size()) })
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range jobs {
		group.Go(func() error {
			most, named := most[j.path]
			if !named {
				most = pluginsdir.MostOfAny()
			}
			f, err := a.file(ctx, t, j.path, j.info, most)
			mu.Lock()
			defer mu.Unlock()
			found[j.path] = f
			return err
		})
	}
	return found, group.Wait()
}

// file reads one file. Only the end of ctx is an error.
func (a *auditor) file(ctx context.Context, t *atomicdir.Tree, p string, fi fs.FileInfo, most int64) (pluginsdir.Found, error) {
	if !fi.Mode().IsRegular() {
		return pluginsdir.Found{Problem: "is " + disk.DescribeType(fi.Mode()) + ", not a regular file"}, nil
	}
	f := pluginsdir.Found{Blob: lock.Blob{Size: fi.Size()}, Access: disk.AccessOf(fi)}
	var err error
	if pluginsdir.IsDocument(p) {
		if f.Data, err = t.Read(p, maxMeta); err == nil {
			f.Blob = lock.Blob{Size: int64(len(f.Data)), SHA256: lock.Sum(f.Data)}
		}
	} else {
		f.Blob, f.Program, err = t.Digest(ctx, p, most)
	}
	if ctx.Err() != nil {
		return f, context.Cause(ctx)
	}
	if fi.Size() > most && !pluginsdir.IsDocument(p) {
		return pluginsdir.Found{Problem: fmt.Sprintf("has %d bytes, more than the %d that it may have", fi.Size(), most)}, nil
	}
	if err != nil {
		return pluginsdir.Found{Problem: "cannot be read: " + reason(err)}, nil
	}
	if a.Hashed != nil {
		a.Hashed(f.Size)
	}
	return f, nil
}

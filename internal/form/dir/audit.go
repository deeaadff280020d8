package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
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
	a := &auditor{AuditOptions: o, report: r, all: entry.Sums{}}
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
	return &Audited{Lock: l, Mount: a.mount, Digest: lock.Sum(a.all.Marshal())}, err
}

// auditor is one run of [Audit].
type auditor struct {
	AuditOptions
	report *audit.Report
	// mount is where the agent must see the directory, by its indexes.
	mount string
	// all has the digests of all files that are there, as Audited.Digest counts them.
	all entry.Sums
}

// platforms audits a directory for several platforms.
func (a *auditor) platforms(ctx context.Context, top *atomicdir.Tree, l *lock.Lock) error {
	e := entry.Entry{Path: lockPath, Most: maxMeta, Content: "the lock of all platforms"}
	found, err := entry.Find(ctx, top, []entry.Entry{e}, a.Hashed)
	if err != nil {
		return err
	}
	if f, there := found[lockPath]; there && f.Problem == "" {
		a.all[lockPath] = f.SHA256
	}
	files := entry.Audit{Report: a.report, Reader: pluginsdir.Reader, At: path.Clean, Found: found}
	files.Entry(e, "")
	var subs []entry.Entry
	for _, p := range l.Platforms {
		subs = append(subs, entry.Entry{Path: path.Join(p.Dir(), lockPath)})
	}
	files.Dirs(top, subs)
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
		a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: p.Dir(), Detail: "it cannot be opened: " + disk.Reason(err).Error()})
		return nil
	}
	defer t.Close()
	return a.platform(ctx, t, p.Dir(), l)
}

// superseded returns the paths that a list names as superseded. One that cannot be
// read is a problem: prune would not know what to remove.
func (a *auditor) superseded(t *atomicdir.Tree, prefix string) []string {
	paths, err := listSuperseded(t)
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
	plan := pluginsdir.Plan(l, p)
	list, err := a.list(t, l, at, plan)
	if err != nil {
		return err
	}
	found, err := entry.Find(ctx, t, list, a.Hashed)
	if err != nil {
		return err
	}
	files := entry.Audit{Report: a.report, Reader: pluginsdir.Reader, At: at}
	files.Dirs(t, plan)
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

// list adds to a plan everything else that an agent might look at. It follows no link.
func (a *auditor) list(t *atomicdir.Tree, l *lock.Lock, at func(string) string, plan []entry.Entry) ([]entry.Entry, error) {
	planned := map[string]bool{}
	for _, e := range plan {
		planned[e.Path] = true
	}
	all := slices.Clone(plan)
	add := func(p string) {
		if !planned[p] {
			all = append(all, entry.Entry{Path: p, Most: pluginsdir.MostOfAny()})
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
			a.walk(t, e.Name(), at, add)
		case path.Ext(e.Name()) == ".yaml":
			add(e.Name())
		}
	}
	return all, nil
}

// walk adds all that is no directory. A directory that cannot be read is a problem.
func (a *auditor) walk(t *atomicdir.Tree, repository string, at func(string) string, add func(string)) {
	_ = fs.WalkDir(t.Root.FS(), repository, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at(p), Detail: "it cannot be read: " + disk.Reason(err).Error()})
			return fs.SkipDir
		}
		if !e.IsDir() {
			add(p)
		}
		return nil
	})
}

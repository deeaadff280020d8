package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// verify reads every file of a directory, and reports what is wrong with it. A run that
// writes the directory is waited for.
func verify(ctx context.Context, p *form.Place, report *form.Audit) error {
	if err := report.Begin(); err != nil {
		return err
	}
	l, err := readDocuments(p.Path)
	if _, gone := os.Lstat(filepath.Join(p.Path, metaDir)); err != nil && gone != nil {
		return err // says what a copy lacks
	}
	if err == nil {
		report.Planned(l.ArtifactBytes(), len(l.Artifacts)) // about what there is to be read
	}
	if err := atomicdir.Settle(ctx, p.Path, p.Waiting); err != nil {
		return err
	}
	t, err := atomicdir.OpenExisting(p.Path)
	if err != nil {
		return err
	}
	defer t.Close()
	if l, err = lockOf(t); err != nil {
		f, detail := audit.File{Path: lockPath, Content: "the lock", State: audit.Damaged}, err.Error()
		if fault.KindOf(err) == fault.Usage {
			f.State, detail = audit.Missing, "the file is missing"
		}
		report.Add(f, detail)
		return nil
	}
	a := &auditor{Audit: report, all: entry.Sums{}}
	report.Lock = l
	report.FileAt = func(_ agent.Platform, file string) string { return file }
	if len(l.Platforms) == 1 {
		err = a.platform(ctx, t, "", l)
	} else {
		report.FileAt = func(p agent.Platform, file string) string { return p.Dir() + "/" + file }
		err = a.platforms(ctx, t)
	}
	report.Digest = lock.Sum(a.all.Marshal()).OCI()
	return err
}

// auditor is one verification.
type auditor struct {
	*form.Audit
	// all has the digests of all files that are there, in the form of SHA256SUMS: of an
	// intact directory for one platform they are that file.
	all entry.Sums
}

// platforms audits a directory for several platforms.
func (a *auditor) platforms(ctx context.Context, top *atomicdir.Tree) error {
	e := entry.Entry{Path: lockPath, Most: maxMeta, Content: "the lock of all platforms"}
	found, err := entry.Find(ctx, top, []entry.Entry{e}, a.Hashed)
	if err != nil {
		return err
	}
	if f, there := found[lockPath]; there && f.Problem == "" {
		a.all[lockPath] = f.SHA256
	}
	files := entry.Audit{Report: &a.Report, Reader: pluginsdir.Reader, At: path.Clean, Found: found}
	files.Entry(e, "")
	locks := []entry.Entry{e}
	for _, p := range a.Lock.Platforms {
		locks = append(locks, entry.Entry{Path: path.Join(p.Dir(), lockPath)})
	}
	files.Dirs(top, locks)
	a.superseded(top, "")
	for _, p := range a.Lock.Platforms {
		if err := a.sub(ctx, top, p); err != nil {
			return err
		}
	}
	return nil
}

// sub audits the directory of one of several platforms. A link in its place may
// lead to what is not copied with the whole.
func (a *auditor) sub(ctx context.Context, top *atomicdir.Tree, p agent.Platform) error {
	t, err := top.Sub(p.Dir())
	if err == nil {
		defer t.Close()
		return a.platform(ctx, t, p.Dir(), a.Lock.ForPlatform(p))
	}
	problem := audit.Problem{Kind: audit.KindDamaged, Path: p.Dir(), Detail: "the directory cannot be opened: " + disk.Reason(err).Error()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem.Kind, problem.Detail = audit.KindMissing, "the directory of "+p.String()+" is missing"
	case fault.KindOf(err) == fault.Integrity:
		problem.Detail = err.Error()
	}
	a.Fail(problem)
	return nil
}

// superseded lists superseded paths. If it cannot, prune would not know what to remove.
func (a *auditor) superseded(t *atomicdir.Tree, prefix string) map[string]bool {
	paths, err := superseded(t)
	if err != nil {
		a.Fail(audit.Problem{Kind: audit.KindDamaged, Path: path.Join(prefix, supersededPath), Detail: err.Error()})
	}
	set := map[string]bool{}
	for _, p := range paths {
		set[p] = true
	}
	return set
}

// platform audits the directory of one platform, which is at a prefix of the whole.
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
	files := entry.Audit{Report: &a.Report, Reader: pluginsdir.Reader, At: at}
	files.Dirs(t, plan)
	superseded := a.superseded(t, prefix)
	for name, f := range found {
		if f.Problem == "" && name != sumsPath && !superseded[name] {
			a.all[at(name)] = f.SHA256
		}
	}
	d := pluginsdir.Audited{Lock: l, Platform: p, Found: found, At: at, Superseded: superseded, Mount: a.Mount}
	a.FoundMount = cmp.Or(a.FoundMount, d.Audit(&a.Report))
	return nil
}

// list adds to a plan everything else that an agent might look at. It follows no link.
func (a *auditor) list(t *atomicdir.Tree, l *lock.Lock, at func(string) string, plan []entry.Entry) ([]entry.Entry, error) {
	planned, repositories := map[string]bool{}, map[string]bool{}
	for _, e := range plan {
		planned[e.Path] = true
	}
	for _, r := range l.Repositories {
		repositories[r.Name] = true
	}
	all := slices.Clone(plan)
	err := fs.WalkDir(t.Root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		top, _, _ := strings.Cut(p, "/")
		switch {
		case p == ".":
			return err
		case err != nil:
			a.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at(p), Detail: "the directory cannot be read: " + disk.Reason(err).Error()})
			return fs.SkipDir
		case repositories[p] && !e.IsDir():
			a.Fail(audit.Problem{Kind: audit.KindDamaged, Path: at(p), Detail: "it is " + disk.DescribeType(e.Type()) + ", not a directory"})
		case repositories[top] && e.IsDir(), planned[p]:
		case repositories[top], p == top && path.Ext(p) == ".yaml":
			all = append(all, entry.Entry{Path: p, Most: pluginsdir.MostOfAny()})
		}
		if e.IsDir() && !repositories[top] {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Path, atomicdir.Explain(err))
	}
	return all, nil
}

package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
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

// Audited is a version of a site that was looked at.
type Audited struct {
	Tag string
	// Lock is nil where it cannot be read, which the report says.
	Lock *lock.Lock
	// BaseURL is where the site must be served, by its indexes; empty if they
	// do not say.
	BaseURL string
	// Digest is that of SHA256SUMS as it is; zero if it cannot be read.
	Digest lock.SHA256
}

// AuditOptions are those of [Audit].
type AuditOptions struct {
	// Tag is that of the version to look at; empty for all.
	Tag string
	// BaseURL is where the site must be served, or empty to take that from its
	// indexes.
	BaseURL string
	// Waiting is as in [Options].
	Waiting func(string)
	// Hashed, if not nil, is told of bytes that were read, from several goroutines.
	Hashed func(n int64)
}

// Audit reads every file of the versions of a site, and reports what is wrong. A
// run that writes the site is waited for.
func Audit(ctx context.Context, root string, r *audit.Report, o AuditOptions) ([]Audited, error) {
	if err := atomicdir.Settle(ctx, root, o.Waiting); err != nil {
		return nil, err
	}
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	all, err := states(t)
	if err != nil {
		return nil, err
	}
	if o.Tag == "" {
		for _, name := range unread(t) {
			r.Note(fmt.Sprintf("%s may not be read, and was not looked at: if it is a version, verify it as a user who may", name))
		}
	} else {
		all = slices.DeleteFunc(all, func(s *state) bool { return s.tag != o.Tag })
	}
	a := &auditor{AuditOptions: o, ctx: ctx, tree: t, report: r, several: len(all) > 1, files: map[string]content{}}
	var versions []Audited
	for _, s := range all {
		v, err := a.version(s)
		if err != nil {
			return nil, err
		}
		versions = append(versions, v)
	}
	return versions, nil
}

// auditor is one run of [Audit].
type auditor struct {
	AuditOptions
	ctx     context.Context
	tree    *atomicdir.Tree
	report  *audit.Report
	several bool
	// files are those that were read, which versions share.
	files map[string]content
}

// content is what was found at a path.
type content struct {
	lock.Blob
	disk.Access
	// program is what the file is to the system that would run it.
	program agent.Program
	// problem says why it cannot be served, state what that makes of it.
	problem string
	state   audit.State
}

func (a *auditor) version(s *state) (Audited, error) {
	v := Audited{Tag: s.tag, Lock: s.lock}
	lockPath := path.Join(s.tag, lockName)
	if s.lock == nil {
		f := audit.File{Path: lockPath, Content: "the lock", State: audit.Damaged}
		detail := s.err.Error()
		if errors.Is(s.err, fs.ErrNotExist) {
			f.State, detail = audit.Missing, "it is missing"
		}
		a.report.Add(f, detail)
		return v, nil
	}
	data, err := s.lock.Marshal()
	if err != nil {
		return v, err
	}
	sums, err := a.sums(s, data, &v)
	if err != nil {
		return v, err
	}
	want := lock.Sum(data)
	if err := a.judge(lockPath, "the lock", nil, audit.ByLock, &want); err != nil {
		return v, err
	}
	if err := a.artifacts(s.lock); err != nil {
		return v, err
	}
	a.programs(s.lock)
	a.directories(s)
	return v, a.indexes(s, sums, &v)
}

// sums reads SHA256SUMS, which must list what follows from the lock, of which data
// is the document, and the indexes.
func (a *auditor) sums(s *state, data []byte, v *Audited) (map[string]lock.SHA256, error) {
	p := path.Join(s.tag, sumsName)
	c := a.look(p)
	if a.ctx.Err() != nil {
		return nil, context.Cause(a.ctx)
	}
	f := audit.File{Path: p, Content: "the digests of all files", State: audit.Intact}
	if c.problem != "" {
		f.State = c.state
		a.report.Add(f, c.problem)
		return nil, nil
	}
	f.Size, f.SHA256 = c.Size, &c.SHA256
	v.Digest = c.SHA256
	var sums map[string]lock.SHA256
	list, err := a.tree.Read(p, maxDocument)
	if err == nil {
		sums, err = pluginsdir.ParseSums(list)
	}
	if err == nil {
		err = checkSums(list, sums, pinned(s.lock, data), s.lock.Repositories)
	}
	detail := ""
	if err != nil {
		f.State, detail = audit.Damaged, err.Error()
	}
	a.report.Add(f, detail)
	return sums, nil
}

// checkSums compares what SHA256SUMS lists with the digests that follow from the lock.
func checkSums(list []byte, sums, want map[string]lock.SHA256, repositories []lock.Repository) error {
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if sums[p] != want[p] {
			return fmt.Errorf("it has not the digest of %s that follows from the lock", p)
		}
	}
	for _, r := range repositories {
		if _, listed := sums[r.Name+"/"+indexName]; !listed {
			return fmt.Errorf("it does not list the index of %s", r.Name)
		}
	}
	if len(sums) != len(want)+len(repositories) {
		return errors.New("it does not list exactly the files that the lock names")
	}
	return pluginsdir.CheckSums(list, sums)
}

// artifacts reads the upstream files of a version that were not read for another.
func (a *auditor) artifacts(l *lock.Lock) error {
	byPath := map[string][]lock.Artifact{}
	for _, artifact := range l.Artifacts {
		byPath[FilePath(artifact)] = append(byPath[FilePath(artifact)], artifact)
	}
	paths := slices.Collect(maps.Keys(byPath))
	slices.SortFunc(paths, func(x, y string) int {
		return cmp.Or(cmp.Compare(byPath[y][0].Size, byPath[x][0].Size), strings.Compare(x, y))
	})
	most := func(p string) int64 { return byPath[p][0].Size }
	if err := a.readAll(paths, most); err != nil {
		return err
	}
	for _, p := range paths {
		want := byPath[p][0].SHA256
		if err := a.judge(p, "an upstream file", byPath[p], audit.ByLock, &want); err != nil {
			return err
		}
	}
	return nil
}

// directories judges the modes of what the files of a version lie in.
func (a *auditor) directories(s *state) {
	all := map[string]bool{}
	note := func(p string) {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			all[d] = true
		}
	}
	for _, artifact := range s.lock.Artifacts {
		note(FilePath(artifact))
	}
	for _, r := range s.lock.Repositories {
		note(indexPath(s.tag, r.Name))
	}
	for d := range all {
		fi, err := a.tree.Root.Lstat(d)
		if err != nil || !fi.IsDir() {
			continue
		}
		if lacking := disk.AccessOf(fi).Lacking(disk.Anyone, agent.DirectoryMode); lacking != "" {
			a.report.Fail(audit.Problem{Kind: audit.KindDamaged, Path: d, Detail: lacking})
		}
	}
}

// programs judges the upstream files that agents run as they are.
func (a *auditor) programs(l *lock.Lock) {
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			at := FilePath(f.Artifact)
			c := a.look(at)
			if _, pinned := f.Pinned(); !pinned || c.problem != "" {
				continue
			}
			if unfit, is := pluginsdir.JudgeProgram(p, f, lock.Made{Blob: c.Blob, Program: c.program}); is {
				unfit.Report(a.report, at)
			}
		}
	}
}

// readAll reads files that were not read yet, as many at a time as there are
// processors.
func (a *auditor) readAll(paths []string, most func(p string) int64) error {
	paths = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, known := a.files[p]; return known })
	var mu sync.Mutex
	group := new(errgroup.Group)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range paths {
		group.Go(func() error {
			c := a.read(p, most(p))
			mu.Lock()
			defer mu.Unlock()
			a.files[p] = c
			return context.Cause(a.ctx)
		})
	}
	return group.Wait()
}

// look returns what is at the path of a document, or of what was read.
func (a *auditor) look(p string) content {
	c, known := a.files[p]
	if !known {
		c = a.read(p, maxDocument)
		a.files[p] = c
	}
	return c
}

// read hashes a file that may have most bytes.
func (a *auditor) read(p string, most int64) content {
	fi, err := a.tree.Root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return content{problem: "it is missing", state: audit.Missing}
	case err == nil && !fi.Mode().IsRegular():
		return content{problem: "it is " + disk.DescribeType(fi.Mode()) + ", not a regular file", state: audit.Damaged}
	}
	var c content
	if err == nil {
		c.Access = disk.AccessOf(fi)
		c.Blob, c.program, err = a.tree.Digest(a.ctx, p, most)
	}
	if fault.KindOf(err) == fault.Integrity {
		return content{problem: err.Error(), state: audit.Damaged}
	}
	if err != nil {
		return content{problem: "it cannot be read: " + err.Error(), state: audit.Damaged}
	}
	if a.Hashed != nil {
		a.Hashed(c.Size)
	}
	return c
}

// judge reports a file. Only the end of the context is an error.
func (a *auditor) judge(p, what string, sources []lock.Artifact, basis audit.Basis, want *lock.SHA256) error {
	c := a.look(p)
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	f := audit.File{Path: p, Content: what, State: audit.Intact, Basis: basis, Sources: sources}
	detail := c.problem
	if c.problem == "" {
		f.Size, f.SHA256 = c.Size, &c.SHA256
	}
	switch {
	case c.problem != "":
		f.State = c.state
	case want == nil:
		f.State, f.Basis, detail = audit.Damaged, "", "nothing says what it should be, since SHA256SUMS does not"
	case c.SHA256 != *want:
		f.State, f.Expected = audit.Damaged, want
		detail = fmt.Sprintf("its sha256 is %s, but %s says %s", c.SHA256, basis, want)
	case c.Privileged():
		f.State, detail = audit.Damaged, "it has the set-user-ID or the set-group-ID bit, which pull never sets"
	default:
		if detail = c.Lacking(disk.Anyone, agent.IndexMode); detail != "" {
			f.State = audit.Damaged
		}
	}
	if f.State == audit.Intact && c.Exposed() {
		a.report.Expose(p)
	}
	a.report.Add(f, detail)
	return nil
}

// indexes judges the indexes of a version, and what an agent would make of them.
func (a *auditor) indexes(s *state, sums map[string]lock.SHA256, v *Audited) error {
	served := map[string][]byte{}
	for _, r := range s.lock.Repositories {
		p := indexPath(s.tag, r.Name)
		var want *lock.SHA256
		if sum, listed := sums[r.Name+"/"+indexName]; listed {
			want = &sum
		}
		if err := a.judge(p, "the index of "+r.Name, nil, audit.BySums, want); err != nil {
			return err
		}
		data, err := a.tree.Read(p, maxDocument)
		if err != nil {
			continue // which was reported
		}
		served[r.Name] = data
		base := baseURLIn(data)
		v.BaseURL = cmp.Or(v.BaseURL, base)
		rewriter := newRewriter(v.BaseURL, s.lock)
		for _, problem := range pluginsdir.IndexProblems(data, s.lock, r, rewriter.builds) {
			a.report.Fail(audit.Problem{Kind: audit.KindIndex, Path: p, Detail: problem})
		}
		if base != "" && a.BaseURL != "" && base != a.BaseURL {
			a.report.Fail(audit.Problem{Kind: audit.KindIndex, Path: p, Detail: fmt.Sprintf("it names files below %s, but the site is served at %s", base, a.BaseURL)})
		}
	}
	for _, p := range s.lock.Platforms {
		a.report.Expect(a.ground(s, p, served, cmp.Or(a.BaseURL, v.BaseURL)))
	}
	return nil
}

// fileURL takes a URL of an upstream file apart: see [FilePath].
var fileURL = regexp.MustCompile(`^(.*)/` + filesDir + `/[0-9a-f]{2}/[0-9a-f]{64}/`)

// baseURLIn returns where a site must be served, by one of its indexes.
func baseURLIn(index []byte) string {
	ix, err := agent.ReadIndex(index)
	if err != nil {
		return ""
	}
	for _, e := range ix.Entries {
		for _, u := range e.URLs {
			if m := fileURL.FindStringSubmatch(u.URL); m != nil && CheckBaseURL(m[1]) == nil {
				return m[1]
			}
		}
	}
	return ""
}

// ground is what an agent with an empty cache finds that knows the site only.
func (a *auditor) ground(s *state, p agent.Platform, served map[string][]byte, base string) audit.StartState {
	g := audit.StartState{
		Platform: p, Lock: s.lock, Upstream: served, URLs: map[string]string{},
		Within: func(u string) bool { return base != "" && strings.HasPrefix(u, base+"/") },
	}
	if a.several {
		g.Version = s.tag
	}
	for _, r := range s.lock.Repositories {
		g.URLs[r.Name] = base + (&url.URL{Path: "/" + indexPath(s.tag, r.Name)}).EscapedPath()
	}
	return g
}

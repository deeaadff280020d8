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
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
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
	a := &auditor{AuditOptions: o, tree: t, several: len(all) > 1}
	var plan []entry.Entry
	for _, s := range all {
		plan = append(plan, s.plan()...)
	}
	slices.SortStableFunc(plan, func(x, y entry.Entry) int { return strings.Compare(x.Path, y.Path) })
	plan = slices.CompactFunc(plan, func(x, y entry.Entry) bool { return x.Path == y.Path })
	found, err := entry.Find(ctx, t, plan, o.Hashed)
	if err != nil {
		return nil, err
	}
	a.files = entry.Audit{Report: r, Reader: disk.Anyone, At: path.Clean, Found: found}
	a.files.Dirs(t, plan)
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
	tree    *atomicdir.Tree
	several bool
	files   entry.Audit
}

func (a *auditor) version(s *state) (Audited, error) {
	v := Audited{Tag: s.tag, Lock: s.lock}
	if s.lock == nil {
		f := audit.File{Path: path.Join(s.tag, lockName), Content: "the lock", State: audit.Damaged}
		detail := s.err.Error()
		if errors.Is(s.err, fs.ErrNotExist) {
			f.State, detail = audit.Missing, "it is missing"
		}
		a.files.Report.Add(f, detail)
		return v, nil
	}
	data, err := s.lock.Marshal()
	if err != nil {
		return v, err
	}
	sums := a.sums(s, data, &v)
	for _, e := range s.plan() {
		damage := ""
		switch name, _ := strings.CutPrefix(e.Path, s.tag+"/"); name {
		case sumsName:
			continue
		case lockName:
			sum := lock.Sum(data)
			e.SHA256, e.Basis = &sum, audit.ByLock
		default:
			if e.SHA256 != nil {
				break
			}
			if e.SHA256 = sums.Of(name); e.SHA256 == nil {
				e.Basis, damage = "", "nothing says what it should be, since SHA256SUMS does not"
			}
		}
		a.files.Entry(e, damage)
	}
	a.programs(s.lock)
	a.indexes(s, &v)
	return v, nil
}

// sums judges SHA256SUMS, which must list what follows from the lock, of which data
// is the document, and the indexes.
func (a *auditor) sums(s *state, data []byte, v *Audited) (sums entry.Sums) {
	e := document(path.Join(s.tag, sumsName), "the digests of all files")
	damage := ""
	if found, there := a.files.Found[e.Path]; there && found.Problem == "" {
		v.Digest = found.SHA256
		var err error
		if sums, err = entry.ParseSums(found.Data); err == nil {
			err = checkSums(found.Data, sums, pinned(s.lock, data), s.lock.Repositories)
		}
		if err != nil {
			damage = err.Error()
		}
	}
	a.files.Entry(e, damage)
	return sums
}

// checkSums compares what SHA256SUMS lists with the digests that follow from the lock.
func checkSums(list []byte, sums, want entry.Sums, repositories []lock.Repository) error {
	paths := slices.Sorted(maps.Keys(want))
	for _, p := range paths {
		if sums[p] != want[p] {
			return fmt.Errorf("it has not the digest of %s that follows from the lock", p)
		}
	}
	for _, r := range repositories {
		paths = append(paths, r.Name+"/"+indexName)
	}
	return sums.Check(list, paths)
}

// programs judges the upstream files that agents run as they are.
func (a *auditor) programs(l *lock.Lock) {
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			at := FilePath(f.Artifact)
			found, there := a.files.Found[at]
			if _, pinned := f.Pinned(); !pinned || !there || found.Problem != "" {
				continue
			}
			if unfit, is := pluginsdir.JudgeProgram(p, f, lock.Made{Blob: found.Blob, Program: found.Program}); is {
				unfit.Report(a.files.Report, at)
			}
		}
	}
}

// indexes judges what an agent would make of the indexes of a version.
func (a *auditor) indexes(s *state, v *Audited) {
	served := map[string][]byte{}
	for _, r := range s.lock.Repositories {
		p := indexPath(s.tag, r.Name)
		found, there := a.files.Found[p]
		if !there || found.Problem != "" {
			continue // which was reported
		}
		served[r.Name] = found.Data
		base := baseURLIn(found.Data)
		v.BaseURL = cmp.Or(v.BaseURL, base)
		problems := pluginsdir.IndexProblems(found.Data, s.lock, r, newRewriter(v.BaseURL, s.lock).builds)
		if base != "" && a.BaseURL != "" && base != a.BaseURL {
			problems = append(problems, fmt.Sprintf("it names files below %s, but the site is served at %s", base, a.BaseURL))
		}
		for _, problem := range problems {
			a.files.Report.Fail(audit.Problem{Kind: audit.KindIndex, Path: p, Detail: problem})
		}
	}
	for _, p := range s.lock.Platforms {
		a.files.Report.Expect(a.startState(s, p, served, cmp.Or(a.BaseURL, v.BaseURL)))
	}
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
			if m := fileURL.FindStringSubmatch(u.URL); m != nil && form.CheckBaseURL(m[1]) == nil {
				return m[1]
			}
		}
	}
	return ""
}

// startState is what an agent with an empty cache finds that knows the site only.
func (a *auditor) startState(s *state, p agent.Platform, served map[string][]byte, base string) audit.StartState {
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

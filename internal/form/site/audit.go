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
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// verify reads every file of the versions of a site, or of the one that is named, and
// reports what is wrong. A run that writes the site is waited for.
func verify(ctx context.Context, p *form.Place, report *form.Audit) error {
	if err := report.Begin(); err != nil {
		return err
	}
	root, tag := rootOf(p.Path)
	if err := atomicdir.Settle(ctx, root, p.Waiting); err != nil {
		return err
	}
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return err
	}
	defer t.Close()
	found, err := look(t)
	if err != nil {
		return err
	}
	all := found.versions
	if tag == "" {
		for _, name := range found.unread {
			report.Note(fmt.Sprintf("%[1]s was not verified, because your user cannot read it: if it is a version, run verify as a user who can", name))
		}
	} else {
		all = slices.DeleteFunc(all, func(s *state) bool { return s.tag != tag })
	}
	if len(all) == 0 {
		return fault.New(fault.Usage, "the site %s has no version %s", root, tag).WithHint("to see its versions: botkube-mirror list %s", root)
	}
	a := &auditor{Audit: report, several: len(all) > 1, base: map[string]string{}}
	if !a.Served {
		a.expected = a.BaseURL
	}
	var plan []entry.Entry
	for _, s := range all {
		plan = append(plan, s.plan()...)
	}
	slices.SortStableFunc(plan, func(x, y entry.Entry) int { return strings.Compare(x.Path, y.Path) })
	plan = slices.CompactFunc(plan, func(x, y entry.Entry) bool { return x.Path == y.Path })
	a.files = entry.Audit{Report: &a.Report, Reader: disk.Anyone, At: path.Clean}
	if a.files.Found, err = entry.Find(ctx, t, plan, a.Hashed); err != nil {
		return err
	}
	pages := pagesOf(all, tag == "")
	read, err := entry.Find(ctx, t, pages, nil)
	if err != nil {
		return err
	}
	maps.Copy(a.files.Found, read)
	a.files.Dirs(t, plan)
	for _, s := range all {
		if err := a.version(s); err != nil {
			return err
		}
	}
	a.pages(t, pages, all)
	a.describe(all)
	return nil
}

// auditor is one verification.
type auditor struct {
	*form.Audit
	several bool
	// expected is where the site must be served, or empty if its indexes say that.
	expected string
	files    entry.Audit
	// base has where each version must be served, by its indexes.
	base map[string]string
}

// describe says what was found as a whole.
func (a *auditor) describe(all []*state) {
	a.FoundBaseURL = a.base[all[0].tag]
	if a.Served && a.BaseURL != "" {
		a.FoundBaseURL = a.BaseURL
	}
	var tags, elsewhere []string
	for _, s := range all {
		tags = append(tags, s.tag)
		base := a.base[s.tag]
		a.Misplaced = a.Misplaced || a.expected != "" && base != "" && base != a.expected
		if base != "" && base != a.FoundBaseURL && !a.Served {
			elsewhere = append(elsewhere, fmt.Sprintf("%s at %s", s.tag, base))
		}
		if s.lock != nil {
			a.Platforms = append(a.Platforms, s.lock.Platforms...)
		}
	}
	if !a.several {
		a.Lock, a.Tag, a.Platforms = all[0].lock, all[0].tag, nil
		if sums, there := a.files.Found[path.Join(a.Tag, sumsName)]; a.Lock != nil && there && sums.Problem == "" {
			a.Digest = sums.SHA256.OCI()
		}
		return
	}
	slices.SortFunc(a.Platforms, agent.ComparePlatforms)
	a.Platforms = slices.Compact(a.Platforms)
	a.Note(fmt.Sprintf("the site has several versions, and all were verified: %s", strings.Join(tags, ", ")))
	if len(elsewhere) > 0 {
		a.Note(fmt.Sprintf("some versions must be served at another URL than %s: %s", a.FoundBaseURL, strings.Join(elsewhere, ", ")))
	}
}

func (a *auditor) version(s *state) error {
	if s.lock == nil {
		f := audit.File{Path: path.Join(s.tag, lockName), Content: "the lock", State: audit.Damaged}
		detail := s.err.Error()
		if errors.Is(s.err, fs.ErrNotExist) {
			f.State, detail = audit.Missing, "the file is missing"
		}
		a.Add(f, detail)
		return nil
	}
	data, err := s.lock.Marshal()
	if err != nil {
		return err
	}
	sums := a.sums(s, data)
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
				e.Basis, damage = "", "SHA256SUMS has no digest of the file"
			}
		}
		a.files.Entry(e, damage)
	}
	a.programs(s.lock)
	a.indexes(s)
	return nil
}

// sums compares SHA256SUMS with the lock and the indexes. data is the lock as JSON.
func (a *auditor) sums(s *state, data []byte) (sums entry.Sums) {
	e := document(path.Join(s.tag, sumsName), "the digests of all files")
	damage := ""
	if found, there := a.files.Found[e.Path]; there && found.Problem == "" {
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
			return fmt.Errorf("its digest of %s is not that of the lock", p)
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
			if _, pinned := f.Pinned(); pinned && there && found.Problem == "" {
				pluginsdir.ReportUnfit(&a.Report, at, p, f, lock.Made{Size: found.Size, Program: found.Program})
			}
		}
	}
}

// indexes judges what an agent would make of the indexes of a version.
func (a *auditor) indexes(s *state) {
	where := ""
	g := agent.Startup{Upstream: map[string][]byte{}, URLs: map[string]string{}}
	for _, r := range s.lock.Repositories {
		p := indexPath(s.tag, r.Name)
		found, there := a.files.Found[p]
		if !there || found.Problem != "" {
			continue // which was reported
		}
		g.Upstream[r.Name] = found.Data
		ix, err := g.Index(r.Name)
		base := baseURLIn(ix, err)
		where = cmp.Or(where, base)
		problems := pluginsdir.IndexProblems(ix, err, s.lock, r, newRewriter(where, s.lock).builds)
		if base != "" && a.expected != "" && base != a.expected {
			problems = append(problems, fmt.Sprintf("the index is for a site at %s, but the site is served at %s", base, a.expected))
		}
		for _, problem := range problems {
			a.Fail(audit.Problem{Kind: audit.KindIndex, Path: p, Detail: problem})
		}
	}
	a.base[s.tag] = where
	where = cmp.Or(a.expected, where)
	for _, r := range s.lock.Repositories {
		g.URLs[r.Name] = where + (&url.URL{Path: "/" + indexPath(s.tag, r.Name)}).EscapedPath()
	}
	// An agent with an empty cache knows the site only.
	state := audit.StartState{
		Startup: g, Lock: s.lock,
		Within: func(u string) bool { return where != "" && strings.HasPrefix(u, where+"/") },
	}
	if a.several {
		state.Version = s.tag
	}
	for _, state.Platform = range s.lock.Platforms {
		a.Expect(state)
	}
}

// fileURL takes a URL of an upstream file apart: see [FilePath].
var fileURL = lazyregexp.New(`^(.*)/` + filesDir + `/[0-9a-f]{2}/[0-9a-f]{64}/`)

// baseURLIn returns where a site must be served, by an index without an error.
func baseURLIn(ix *agent.Index, err error) string {
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

package site

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
)

// writePages writes the page of a version, whose documents are written, and that of the web root.
// A page of others in the web root stays: people may come for that.
func (w *writer) writePages(ctx context.Context, tag string, l *lock.Lock) (written bool, err error) {
	own := Paged{Lock: l, BaseURL: w.options.BaseURL, Made: w.options.ModTime}
	version, err := VersionPage(own)
	if err != nil {
		return false, err
	}
	found, err := look(w.tree)
	if err != nil {
		return false, err
	}
	root, err := rootPage(w.tree, found.versions, map[string]Paged{tag: own})
	if err != nil {
		return false, err
	}
	plan := []entry.Entry{entry.OfData(PagePath(tag), fileMode, version)}
	if isOthers(w.tree) {
		w.options.Left(w.tree.At(page.Name))
	} else {
		plan = append(plan, entry.OfData(page.Name, fileMode, root))
	}
	for _, e := range plan {
		if err := w.tree.Check(e.Path, false); err != nil {
			return false, err
		}
	}
	if written, err = entry.WriteAll(ctx, w.tree, plan); err != nil {
		return false, err
	}
	return written, w.tree.SyncDirs(entry.Paths(plan))
}

// rootPage makes the page of a web root of its versions. Some are known by their tags.
func rootPage(t *atomicdir.Tree, versions []*state, known map[string]Paged) ([]byte, error) {
	var all []Paged
	of := map[*lock.Lock]*state{}
	for _, s := range versions {
		if s.lock == nil || !s.isVersion {
			continue
		}
		if tag, err := s.lock.Tag(); err == nil && tag == s.tag { // else it was renamed, and is not served
			all = append(all, Paged{Lock: s.lock})
			of[s.lock] = s
		}
	}
	all = newestFirst(all)
	for i, v := range all {
		s := of[v.Lock]
		p, ok := known[s.tag]
		if !ok {
			p = Paged{Lock: s.lock, BaseURL: s.baseURL(t), Made: madeIn(t, s.tag)}
		}
		if all[i] = p; p.BaseURL != "" {
			break // which is the one that is shown
		}
	}
	return RootPage(all)
}

// madeIn returns when a version was made, by its page.
func madeIn(t *atomicdir.Tree, tag string) time.Time {
	head, err := readHead(t, PagePath(tag))
	if err != nil || !page.IsPage(head) {
		return time.Time{}
	}
	return page.MadeIn(head)
}

// readHead reads the start of a page.
func readHead(t *atomicdir.Tree, p string) ([]byte, error) {
	f, err := disk.OpenRegular(t.Root, p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, page.Head))
}

// isOthers reports whether a web root has another page than that of a mirror. A link may lead to
// one. An empty or unreadable file is not a page.
func isOthers(t *atomicdir.Tree) bool {
	fi, err := t.Root.Lstat(page.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err != nil || fi.Mode()&fs.ModeSymlink != 0:
		return true
	case !fi.Mode().IsRegular() || fi.Size() == 0 || fi.Mode()&0o444 == 0:
		return false
	}
	head, err := readHead(t, page.Name)
	return err != nil || !page.IsPage(head)
}

// renewRootPage writes the page of a web root anew after versions were removed, if there is one.
func renewRootPage(ctx context.Context, t *atomicdir.Tree) error {
	if _, err := disk.StatRegular(t.Root, page.Name); err != nil || isOthers(t) {
		return nil
	}
	found, err := look(t)
	if err != nil {
		return err
	}
	data, err := rootPage(t, found.versions, nil)
	if err != nil {
		return nil // no version says where it is served, which verify reports
	}
	plan := []entry.Entry{entry.OfData(page.Name, fileMode, data)}
	if _, err := entry.WriteAll(ctx, t, plan); err != nil {
		return err
	}
	return t.SyncDirs(entry.Paths(plan))
}

// pagesOf returns the pages of versions and, if all of them are there, of the web root.
func pagesOf(versions []*state, all bool) (plan []entry.Entry) {
	for _, s := range versions {
		if s.lock != nil {
			plan = append(plan, pageEntry(PagePath(s.tag), "the web page of version "+s.tag))
		}
	}
	if all {
		plan = append(plan, pageEntry(page.Name, "the web page of the site"))
	}
	return plan
}

// pageEntry is the entry of a page with unknown content. One is several times as large as its lock.
func pageEntry(p, content string) entry.Entry {
	return entry.Entry{Path: p, Mode: fileMode, Needed: fileMode, Most: 8 * maxDocument, Content: content}
}

// pages notes what is wrong with pages. It is no problem: no agent asks for them, and another
// version of this program writes others.
func (a *auditor) pages(t *atomicdir.Tree, pages []entry.Entry, versions []*state) {
	known := map[string]Paged{}
	for _, s := range versions {
		known[s.tag] = Paged{Lock: s.lock, BaseURL: a.base[s.tag], Made: madeIn(t, s.tag)}
	}
	want := func(p string) ([]byte, error) {
		for _, s := range versions {
			if p == PagePath(s.tag) {
				return VersionPage(known[s.tag])
			}
		}
		return rootPage(t, versions, known)
	}
	var missing []string
	for _, e := range pages {
		found, there := a.files.Found[e.Path]
		if !there {
			missing = append(missing, e.Path)
			continue
		}
		if e.Path == page.Name && isOthers(t) {
			a.Note(e.Path + " was not written by botkube-mirror, and stays as it is")
			continue
		}
		problem := found.Problem
		if problem == "" {
			problem = a.files.WrongMode(e, found)
		}
		if data, err := want(e.Path); problem == "" && err == nil && lock.Sum(data) != found.SHA256 {
			problem = "it is not the page that this version of botkube-mirror writes, so copy nothing from it"
		}
		if problem != "" {
			a.Note(e.Path + ", " + e.Content + ", will be written anew by the next pull or unpack: " + problem)
		}
	}
	if len(missing) > 0 {
		a.Note("web pages are missing; the next pull or unpack writes them: " + strings.Join(missing, ", "))
	}
}

package site

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// Form is the web root from which agents download.
var Form = &form.Form{
	Kind:   "site",
	Name:   "site",
	Access: form.Downloaded,
	Outputs: []form.Output{{
		Prefix: "site", TakesBaseURL: true,
		Check: checkOutput,
		Need: func(_ context.Context, root string, l *lock.Lock, _ form.Content) (int64, bool) {
			return entry.Missing(root, Plan(l))
		},
		Open: openOutput,
		Next: next,
	}},
	Rewrite:   "run the unpack or the pull that wrote it again: it writes what is damaged or missing anew, and leaves the rest",
	Recognize: recognize,
	Open:      openMirror,
	Audit:     verify,
	Serve:     serve,
	NotContent: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is a site: nothing else is made of one", p).WithHint("name the bundle that it was made of")
	},
	Prune: func(ctx context.Context, p *form.Place) (atomicdir.Pruned, error) {
		root, tag := rootOf(p)
		if tag != "" {
			return atomicdir.Pruned{}, fault.New(fault.Usage, "%s is one version of a site, and only a whole site is pruned", p).
				WithHint("prune the site: botkube-mirror prune %s", root)
		}
		return Prune(ctx, root, p.Waiting)
	},
}

// recognize takes a site, and a version of one.
func recognize(p *form.Place) form.Likeness {
	if !p.IsDir() {
		return form.Unlike
	}
	switch root, _ := rootOf(p); {
	case root == "":
		return form.Unlike
	case IsSite(root):
		return form.Like
	}
	return form.Damaged
}

// rootOf returns the site that is at a place, and the version if that is what is
// there; "" if there is neither.
func rootOf(p *form.Place) (root, tag string) {
	path := filepath.Clean(p.Path)
	if HasVersions(path) {
		return path, ""
	}
	if root, tag = filepath.Split(path); root != "" && HasVersions(filepath.Clean(root)) {
		return filepath.Clean(root), tag
	}
	return "", ""
}

// openMirror reads a version of a site: the one that is named, or the only one.
func openMirror(_ context.Context, p *form.Place) (*form.Mirror, error) {
	root, tag := rootOf(p)
	versions, err := ReadLocks(root)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(versions, func(a, b Version) int {
		return lock.CompareReleases(a.Lock.BotkubeVersion, a.Tag, b.Lock.BotkubeVersion, b.Tag)
	})
	var tags []string
	for _, v := range versions {
		if v.Tag == tag || tag == "" && len(versions) == 1 {
			return &form.Mirror{Lock: v.Lock, Tag: v.Tag, BaseURL: BaseURL(root, v)}, nil
		}
		tags = append(tags, v.Tag)
	}
	hint := "name " + filepath.Join(root, tags[0])
	if tag != "" {
		return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", root, tag, strings.Join(tags, ", ")).WithHint("%s", hint)
	}
	return nil, fault.New(fault.Usage, "the site %s has several versions: %s", root, strings.Join(tags, ", ")).WithHint("%s, or another of them", hint)
}

func serve(ctx context.Context, p *form.Place) (*form.Served, error) {
	root, tag := rootOf(p)
	src, err := OpenSource(ctx, root, tag, p.Waiting)
	if err != nil {
		return nil, err
	}
	out := &form.Served{Closers: []io.Closer{src}}
	for _, v := range src.Versions() {
		out.Versions = append(out.Versions, form.Version{
			Tag: v.Tag, Source: filepath.Join(root, v.Tag), Lock: v.Lock, Indexes: v,
			Open: func(path string, _ lock.Blob) (form.File, error) { return v.Open(path) },
		})
	}
	return out, nil
}

// verify reads every file of a site, or of one version.
func verify(ctx context.Context, p *form.Place, a *form.Audit) error {
	if err := a.Begin(); err != nil {
		return err
	}
	root, tag := rootOf(p)
	o := AuditOptions{Tag: tag, Waiting: p.Waiting, Hashed: a.Hashed}
	if !a.Served {
		o.BaseURL = a.BaseURL
	}
	versions, err := Audit(ctx, root, &a.Report, o)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return fault.New(fault.Usage, "the site %s has no version %s", root, tag).WithHint("see what it has: botkube-mirror list %s", root)
	}
	writtenFor(a, versions)
	if len(versions) > 1 {
		describeVersions(a, versions)
		return nil
	}
	a.Lock, a.Tag = versions[0].Lock, versions[0].Tag
	if versions[0].Digest != (lock.SHA256{}) {
		a.Digest = versions[0].Digest.OCI()
	}
	return nil
}

// writtenFor settles where a site must be served.
func writtenFor(a *form.Audit, versions []Audited) {
	a.FoundBaseURL = versions[0].BaseURL
	switch {
	case a.BaseURL == "":
	case a.Served:
		a.FoundBaseURL = a.BaseURL
	default:
		a.Misplaced = slices.ContainsFunc(versions, func(v Audited) bool { return v.BaseURL != "" && v.BaseURL != a.BaseURL })
	}
}

// describeVersions describes a site that has no one lock.
func describeVersions(a *form.Audit, versions []Audited) {
	var tags, elsewhere []string
	for _, v := range versions {
		tags = append(tags, v.Tag)
		if v.BaseURL != "" && v.BaseURL != a.FoundBaseURL && !a.Served {
			elsewhere = append(elsewhere, fmt.Sprintf("%s at %s", v.Tag, v.BaseURL))
		}
		if v.Lock != nil {
			a.Platforms = append(a.Platforms, v.Lock.Platforms...)
		}
	}
	slices.SortFunc(a.Platforms, agent.ComparePlatforms)
	a.Platforms = slices.Compact(a.Platforms)
	a.Note(fmt.Sprintf("the site has several versions, all of which were verified: %s", strings.Join(tags, ", ")))
	if len(elsewhere) > 0 {
		a.Note(fmt.Sprintf("not every version must be served at %s: %s", a.FoundBaseURL, strings.Join(elsewhere, ", ")))
	}
}

func checkOutput(_ context.Context, _ string, o form.WriteOptions) error {
	if o.BaseURL == "" {
		return fault.New(fault.Usage, "a site is wanted, but not where it will be served").
			WithHint("give its URL: --base-url https://mirror.example.com/botkube")
	}
	return form.CheckBaseURL(o.BaseURL)
}

// output is a site that is written of artifacts.
type output struct {
	*Writer
	baseURL string
}

func openOutput(ctx context.Context, root string, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	w, err := Open(ctx, root, l, Options{BaseURL: o.BaseURL, Blobs: from.Blobs, Waiting: o.Waiting, Displaced: o.Displaced})
	if err != nil {
		return nil, err
	}
	return &output{w, o.BaseURL}, nil
}

// Commit writes the documents.
func (out *output) Commit(ctx context.Context, l *lock.Lock) (w form.Written, err error) {
	// Once it has begun, it is better brought to its end.
	if w.Changed, err = out.Writer.Commit(context.WithoutCancel(ctx), l); err != nil {
		return w, err
	}
	if w.Tag, err = l.Tag(); err != nil {
		return w, err
	}
	if w.Templates, err = Templates(out.baseURL, l); err != nil {
		return w, err
	}
	w.Indexes = map[string]string{}
	for _, r := range l.Repositories {
		if w.Indexes[r.Name], err = IndexURL(out.baseURL, l, r.Name); err != nil {
			return w, err
		}
	}
	return w, nil
}

func next(root string, w form.Written, _ []agent.Platform, _ string) string {
	return fmt.Sprintf("next: serve it, and have the agent ask for it; botkube-mirror values %s/%s --values YOURS.yaml prints the Helm values, among them\n", root, w.Tag) +
		Settings(w.Indexes, w.Templates)
}

// Settings lists the Helm values with which an agent uses a site, a line each: the URLs
// of the indexes, by repository, and of the templates.
func Settings(indexes map[string]string, templates []form.Template) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		fmt.Fprintf(&out, "  plugins.repositories.%s.url: %s\n", name, indexes[name])
	}
	for _, t := range templates {
		fmt.Fprintf(&out, "  templates[].ref of %s/%s, in place of %s: %s\n", t.Plugin.Repository, t.Plugin.Name, t.Ref, t.URL)
	}
	return out.String()
}

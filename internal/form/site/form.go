package site

import (
	"cmp"
	"context"
	"fmt"
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

// Form is the form of a site: a web root from which agents download.
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
	Rewrite:   "run the same pull or unpack again: it writes only the damaged and missing files anew",
	Recognize: recognize,
	Open:      openMirror,
	Audit:     verify,
	Serve:     serve,
	NotContent: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is a site, which cannot be the source of an output", p).WithHint("name the bundle that the site was made from")
	},
	Prune: prune,
}

func recognize(p *form.Place) form.MatchLevel {
	if !p.IsDir() {
		return form.NoMatch
	}
	root, _ := rootOf(p.Path)
	if root == "" {
		return form.NoMatch
	}
	if isSite, err := reading(root, func(t *atomicdir.Tree) (bool, error) { return InTree(t), nil }); err == nil && isSite {
		return form.FullMatch
	}
	return form.PartialMatch
}

// rootOf returns the site that is at a path, and the version if that is what is
// there; "" if there is neither. Either may be damaged.
func rootOf(path string) (root, tag string) {
	hasVersions := func(dir string) bool {
		found, err := reading(dir, look)
		return err == nil && len(found.versions) > 0
	}
	path = filepath.Clean(path)
	if hasVersions(path) {
		return path, ""
	}
	if root, tag = filepath.Split(path); root != "" && hasVersions(filepath.Clean(root)) {
		return filepath.Clean(root), tag
	}
	return "", ""
}

// reading has something read of a directory.
func reading[T any](dir string, read func(*atomicdir.Tree) (T, error)) (value T, err error) {
	t, err := atomicdir.OpenExisting(dir)
	if err != nil {
		return value, err
	}
	defer t.Close()
	return read(t)
}

// openMirror reads a version of a site: the one that is named, or the only one.
func openMirror(_ context.Context, p *form.Place) (*form.Mirror, error) {
	root, tag := rootOf(p.Path)
	return reading(root, func(t *atomicdir.Tree) (*form.Mirror, error) {
		versions, err := finished(t)
		if err != nil {
			return nil, err
		}
		slices.SortStableFunc(versions, func(a, b *state) int {
			return lock.CompareReleases(a.lock.BotkubeVersion, a.tag, b.lock.BotkubeVersion, b.tag)
		})
		var tags []string
		for _, v := range versions {
			if v.tag == tag || tag == "" && len(versions) == 1 {
				return &form.Mirror{Lock: v.lock, Tag: v.tag, BaseURL: v.baseURL(t)}, nil
			}
			tags = append(tags, v.tag)
		}
		hint := "name " + filepath.Join(root, tags[0])
		if tag != "" {
			return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", root, tag, strings.Join(tags, ", ")).WithHint("%s", hint)
		}
		return nil, fault.New(fault.Usage, "the site %s has several versions: %s", root, strings.Join(tags, ", ")).WithHint("%s, or another of them", hint)
	})
}

// baseURL returns where a version must be served, by its indexes, or "" where they do not
// say: they name no file of a site, or cannot be read.
func (s *state) baseURL(t *atomicdir.Tree) (base string) {
	for _, r := range s.lock.Repositories {
		if data, err := t.Read(indexPath(s.tag, r.Name), maxDocument); err == nil {
			base = cmp.Or(base, baseURLIn(agent.ReadIndex(data)))
		}
	}
	return base
}

func checkOutput(_ context.Context, _ string, o form.WriteOptions) error {
	if o.BaseURL == "" {
		return fault.New(fault.Usage, "the output is a site, but its base URL is missing").
			WithHint("give the URL at which the site will be served: --base-url https://mirror.example.com/botkube")
	}
	return form.CheckBaseURL(o.BaseURL)
}

func next(root string, w form.Written, _ []agent.Platform, _ string) form.Advice {
	return form.Advice{
		Settings: Settings(w.Indexes, w.Templates),
		Steps: []form.Step{
			{Do: "serve " + root + " with a web server"},
			{Do: "print these Helm values, and the others that the agent needs", Commands: []string{"botkube-mirror values " + root + "/" + w.Tag + " --values YOURS.yaml"}},
		},
	}
}

// Settings are the Helm values with which an agent uses a site: the URLs of the indexes, by
// repository, and of the templates.
func Settings(indexes map[string]string, templates []form.Template) (all []form.Setting) {
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		all = append(all, form.Setting{Key: "plugins.repositories." + name + ".url", Value: indexes[name]})
	}
	for _, t := range templates {
		all = append(all, form.Setting{Key: fmt.Sprintf("templates[].ref of %s/%s, in place of %s", t.Plugin.Repository, t.Plugin.Name, t.Ref), Value: t.URL})
	}
	return all
}

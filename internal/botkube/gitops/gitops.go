// Package gitops reads the Helm values in documents of Flux and Argo CD, and refuses documents
// that hold values in other ways. It does no I/O.
package gitops

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// File is a file that a person gives.
type File struct {
	Name string
	Data []byte
	// Objects are what it has instead of values.
	Objects []*manifest.Object
	// Referenced says that a document names the file, and so has a place for its values.
	Referenced bool
	place      place
}

// Release is the installation of Botkube's chart that a document describes.
type Release struct {
	Object *manifest.Object
	// Version is the chart's, of the form v1.14.0. It is empty if VersionText, which is what the
	// document has, is not exactly one version.
	Version, VersionText string
	Values               map[string]any
	// Notes are what a person should know of how it was read.
	Notes []string
}

// described is a release before its values are read.
type described struct {
	object *manifest.Object
	// chart is a name or a path; empty if it is not given.
	chart string
	said  string
	// packaged says that the chart is published, and is no directory that may have something
	// else.
	packaged bool
	// patch says that the document names no chart at all, as a part of one does not.
	patch  bool
	values func(*input) (map[string]any, error)
}

type input struct {
	objects []*manifest.Object
	files   []*File
	notes   []string
}

// Find returns the release of Botkube's chart, or nil if there is no release at all. Documents
// may name the files. What SOPS has encrypted is an error; for what else is not read, see
// [CheckKinds].
func Find(objects []*manifest.Object, files []*File) (*Release, error) {
	g := &input{objects: objects, files: files}
	for _, o := range objects {
		if encrypted(o.At().Mapping()) {
			return nil, decryptFirst(o.File, o.Errorf("it is encrypted by SOPS"))
		}
	}
	var all []*described
	for _, o := range objects {
		var found []*described
		var err error
		switch {
		case isFlux(o):
			found, err = describeFlux(o, g)
		case isArgo(o):
			found, err = describeArgo(o)
		}
		if err := cmp.Or(o.TypeError(), err); err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	d, err := g.choose(all)
	if d == nil || err != nil {
		return nil, err
	}
	values, err := d.values(g)
	if err := cmp.Or(d.object.TypeError(), err); err != nil {
		return nil, err
	}
	r := &Release{Object: d.object, VersionText: d.said, Values: values, Notes: g.notes}
	if m := exact.FindStringSubmatch(strings.TrimSpace(d.said)); m != nil {
		r.Version = "v" + m[1]
	}
	return r, nil
}

func (g *input) choose(all []*described) (*described, error) {
	candidates := slices.DeleteFunc(slices.Clone(all), func(d *described) bool {
		return !strings.Contains(strings.ToLower(path.Base(d.chart)), "botkube")
	})
	if len(candidates) == 0 {
		candidates = slices.DeleteFunc(slices.Clone(all), func(d *described) bool { return d.chart != "" })
	}
	candidates = packaged(candidates)
	switch {
	case len(all) == 0:
		return nil, nil
	case len(candidates) == 1 && candidates[0].patch:
		return nil, fault.New(fault.Usage, "%w", candidates[0].object.Errorf("it names no chart, so it is only a part of a document, such as a kustomize patch")).
			WithHint(giveBuilt)
	case len(candidates) == 0:
		return nil, fault.New(fault.Usage, "%w", all[0].object.Errorf("it installs the chart %.200q, and no given document installs Botkube's chart", all[0].chart)).
			WithHint("give the document that installs Botkube\nif a chart contains Botkube's chart, give the rendered objects, or a file with Botkube's values only")
	case len(candidates) > 1:
		a, b := candidates[0].object, candidates[1].object
		return nil, fault.New(fault.Usage, "%w", b.Errorf("it installs Botkube, and so does %s in %s: it is not clear which of them counts", a, a.File)).
			WithHint("give one; " + giveBuilt)
	}
	for _, d := range all {
		if err := g.leaveOut(d, candidates[0], all); err != nil {
			return nil, err
		}
	}
	if candidates[0].chart == "" {
		g.note("assuming that %s installs Botkube's chart: the document does not name it", candidates[0].object)
	}
	return candidates[0], nil
}

const giveBuilt = "give the result of the overlays: kustomize build DIR > built.yaml, then --values built.yaml"

// leaveOut tells of a release that is not the chosen one. What may be a patch to that is an
// error.
func (g *input) leaveOut(d, chosen *described, all []*described) error {
	a, b := d.object, chosen.object
	ofAnother := func(o *described) bool { return !o.patch && o != chosen && sameName(o.object, a) }
	switch {
	case d == chosen:
	case a == b:
		g.note("another source of %s, %.200q, is not read", a, d.chart)
	case sameName(a, b), d.patch && !slices.ContainsFunc(all, ofAnother):
		return fault.New(fault.Usage, "%w", a.Errorf("it may be a kustomize patch of %s in %s, and the result of both is unknown", b, b.File)).
			WithHint(giveBuilt)
	case d.chart == "":
		g.note("%s in %s is left out: it names no chart, and %s in %s installs Botkube", a, a.File, b, b.File)
	default:
		g.note("%s in %s is left out: it is not of Botkube's chart", a, a.File)
	}
	return nil
}

// sameName reports whether two documents may be of one object. The namespace may be left out.
func sameName(a, b *manifest.Object) bool {
	return a.Kind == b.Kind && a.Name == b.Name && (a.Namespace == b.Namespace || a.Namespace == "" || b.Namespace == "")
}

// packaged leaves out directories if another source of the same object is a published chart:
// manifests are often in a directory of the chart's name.
func packaged(candidates []*described) []*described {
	return slices.DeleteFunc(slices.Clone(candidates), func(d *described) bool {
		return !d.packaged && slices.ContainsFunc(candidates, func(other *described) bool { return other.packaged && other.object == d.object })
	})
}

var exact = lazyregexp.New(`^=?\s*v?([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)([+_][0-9A-Za-z.-]+)?$`)

// Package gitops reads the Helm values that Flux's and Argo CD's documents hold, and
// names the documents that hold values in ways that are not read. It does no I/O.
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
	// Referenced says that a document names the file, and so has a place for what it says.
	Referenced bool
	// place is where that document has it.
	place place
}

// Release is the installation of Botkube's chart that a document describes.
type Release struct {
	Object *manifest.Object
	// Version is the chart's, of the form v1.14.0; empty where the document does not
	// say exactly one. Said is what it says instead.
	Version, VersionText string
	// Values are the Helm values, without the chart's own.
	Values map[string]any
	// Notes are what a person should know of how the document was read.
	Notes []string
}

// described is what a document says of a release before its values are read.
type described struct {
	object *manifest.Object
	// chart is the chart's name or path; empty where it is not given.
	chart string
	// said is the version as it is written.
	said string
	// packaged says that the chart comes from where charts are published, and is no
	// directory that may have something else.
	packaged bool
	// patch says that the document names no chart at all, as only a part of one does.
	patch  bool
	values func(*input) (map[string]any, error)
}

// isBotkube reports whether the chart is by its name Botkube's.
func (d *described) isBotkube() bool {
	return strings.Contains(strings.ToLower(path.Base(d.chart)), "botkube")
}

// input is what is at hand when a release is read.
type input struct {
	objects []*manifest.Object
	files   []*File
	notes   []string
}

// chartName is what messages call the chart of a release.
const chartName = "Botkube"

// Find returns the release of Botkube's chart among some objects, or nil if there is no
// release at all. Files are those that documents may name. What SOPS has encrypted is an
// error; for what else is not read, see [CheckKinds].
func Find(objects []*manifest.Object, files []*File) (*Release, error) {
	g := &input{objects: objects, files: files}
	if err := checkEncrypted(objects); err != nil {
		return nil, err
	}
	var all []*described
	for _, o := range objects {
		found, err := describe(o, g)
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
	r.Version = exactVersion(d.said)
	return r, nil
}

// describe returns the releases that an object describes.
func describe(o *manifest.Object, g *input) ([]*described, error) {
	switch {
	case isFlux(o):
		return describeFlux(o, g)
	case isArgo(o):
		return describeArgo(o)
	}
	return nil, nil
}

// isRelease reports whether an object describes how a chart is installed.
func isRelease(o *manifest.Object) bool { return isFlux(o) || isArgo(o) }

// choose picks the release of Botkube's chart.
func (g *input) choose(all []*described) (*described, error) {
	candidates := slices.DeleteFunc(slices.Clone(all), func(d *described) bool { return !d.isBotkube() })
	if len(candidates) == 0 {
		candidates = slices.DeleteFunc(slices.Clone(all), func(d *described) bool { return d.chart != "" })
	}
	candidates = packaged(candidates)
	switch {
	case len(all) == 0:
		return nil, nil
	case len(candidates) == 1 && candidates[0].patch:
		return nil, fault.New(fault.Usage, "%w", candidates[0].object.Errorf("it names no chart, so it is only a part of a document, as a patch of kustomize is")).
			WithHint(giveBuilt)
	case len(candidates) == 0:
		return nil, fault.New(fault.Usage, "%w", all[0].object.Errorf("it is of the chart %.200q, and nothing that is given is of Botkube's", all[0].chart)).
			WithHint("give the document of Botkube; of a chart that has Botkube's within it, give what it renders, or a file of the values for Botkube alone")
	case len(candidates) > 1:
		a, b := candidates[0].object, candidates[1].object
		return nil, fault.New(fault.Usage, "%w", b.Errorf("it installs %s, and so does %s in %s: which of them counts cannot be told", chartName, a, a.File)).
			WithHint("give one; " + giveBuilt)
	}
	for _, d := range all {
		if err := g.leaveOut(d, candidates[0], all); err != nil {
			return nil, err
		}
	}
	if candidates[0].chart == "" {
		g.note("which chart %s installs is not given, and is taken to be Botkube's", candidates[0].object)
	}
	return candidates[0], nil
}

// giveBuilt is what to do where several documents may be of one release.
const giveBuilt = "of overlays, give what they come to: kustomize build DIR > built.yaml, and --values built.yaml"

// leaveOut tells of a release that is not the chosen one. What may be a patch to that is an
// error: what comes of both is not known.
func (g *input) leaveOut(d, chosen *described, all []*described) error {
	a, b := d.object, chosen.object
	ofAnother := func(o *described) bool { return !o.patch && o != chosen && sameName(o.object, a) }
	switch {
	case d == chosen:
	case a == b:
		g.note("another source of %s, %.200q, is not read", a, d.chart)
	case sameName(a, b), d.patch && !slices.ContainsFunc(all, ofAnother):
		return fault.New(fault.Usage, "%w", a.Errorf("it may change %s in %s, as a patch of kustomize does, and what comes of both cannot be told", b, b.File)).
			WithHint(giveBuilt)
	case d.chart == "":
		g.note("%s in %s is left out: which chart it installs is not given, and %s in %s installs %s", a, a.File, b, b.File, chartName)
	default:
		g.note("%s in %s is left out: it is not of Botkube's chart", a, a.File)
	}
	return nil
}

// sameName reports whether two documents may describe one object. A document may leave
// the namespace out.
func sameName(a, b *manifest.Object) bool {
	return a.Kind == b.Kind && a.Name == b.Name && (a.Namespace == b.Namespace || a.Namespace == "" || b.Namespace == "")
}

// packaged leaves out the sources of an object that are directories, if one of its
// sources is a published chart: manifests are often in a directory of the chart's name.
func packaged(candidates []*described) []*described {
	return slices.DeleteFunc(slices.Clone(candidates), func(d *described) bool {
		return !d.packaged && slices.ContainsFunc(candidates, func(other *described) bool { return other.packaged && other.object == d.object })
	})
}

// exact is one version, as a chart has it.
var exact = lazyregexp.New(`^=?\s*v?([0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?)([+_][0-9A-Za-z.-]+)?$`)

// exactVersion returns a version of the form v1.14.0, or "" for a range, or for none.
func exactVersion(said string) string {
	m := exact.FindStringSubmatch(strings.TrimSpace(said))
	if m == nil {
		return ""
	}
	return "v" + m[1]
}

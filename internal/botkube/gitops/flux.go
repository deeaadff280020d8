package gitops

import (
	"cmp"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func isFlux(o *manifest.Object) bool {
	return o.Kind == "HelmRelease" && o.Group() == "helm.toolkit.fluxcd.io"
}

// describeFlux reads a HelmRelease (fluxcd/helm-controller, api/v2, HelmReleaseSpec; v2beta1 and
// v2beta2 have a part of it).
func describeFlux(o *manifest.Object, g *input) ([]*described, error) {
	d := &described{object: o}
	chart := o.At("spec", "chart", "spec")
	if ref := o.At("spec", "chartRef"); ref.Exists() {
		source, err := g.object(ref.At("kind").Text(), cmp.Or(ref.At("namespace").Text(), o.Namespace), ref.At("name").Text())
		if err != nil {
			return nil, err
		}
		switch {
		case source == nil:
			d.said = fmt.Sprintf("that of %s %s (not given)", ref.At("kind").Text(), ref.At("name").Text())
		case source.Kind == "OCIRepository":
			// OCIRepositoryRef (fluxcd/source-controller, api/v1)
			ref := source.At("spec", "ref")
			d.chart = path.Base(source.At("spec", "url").Text())
			d.said = cmp.Or(ref.At("digest").Text(), ref.At("semver").Text(), ref.At("tag").Text(), "latest")
		default:
			chart = source.At("spec")
		}
		if source != nil && source.TypeError() != nil {
			return nil, source.TypeError()
		}
	}
	d.patch = !chart.At("chart").Exists() && !o.At("spec", "chartRef").Exists()
	if chart.Exists() {
		d.chart, d.said = chart.At("chart").Text(), cmp.Or(chart.At("version").Text(), "*")
	}
	d.values = func(g *input) (map[string]any, error) { return fluxValues(o, chart, g) }
	return []*described{d}, nil
}

// fluxValues merges values as Flux does (fluxcd/pkg, chartutil, ChartValuesFromReferences):
// those of valuesFrom in their order, and its own over them.
func fluxValues(o *manifest.Object, chart manifest.Field, g *input) (map[string]any, error) {
	under, err := chartFiles(chart, g)
	if err != nil {
		return nil, err
	}
	own := o.At("spec", "values").Mapping()
	if o.At("spec", "postRenderers").Exists() {
		g.note("%s has postRenderers, which are not read but change the objects: to be sure, give what Flux applied (kubectl get configmap,secret,deployment -o yaml)", o)
	}
	result := map[string]any{}
	for _, ref := range o.At("spec", "valuesFrom").Items() {
		text, found, err := referenced(o, ref, g)
		if err != nil {
			return nil, err
		}
		target := ref.At("targetPath").Text()
		switch {
		case !found:
		case target != "":
			result, err = setTarget(result, own, ref, target, text, g)
		default:
			var values map[string]any
			values, err = helmvalues.Parse([]byte(text))
			result = helmvalues.Merge(result, values)
			if err != nil {
				err = ref.Errorf("the values in it: %w", err)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	merged := helmvalues.Merge(under, helmvalues.Merge(result, own))
	if strings.Contains(fmt.Sprint(merged), "${") {
		g.note("Flux may replace ${…} in the values of %s (postBuild): to be sure, give what flux build kustomization prints", o)
	}
	return merged, nil
}

// chartFiles returns the values in the files of a chart, which may differ from Botkube's own. A
// package may replace them, which cannot be seen here.
func chartFiles(chart manifest.Field, g *input) (map[string]any, error) {
	kind := chart.At("sourceRef", "kind").Text()
	inFiles := kind == "GitRepository" || kind == "Bucket"
	names := chart.At("valuesFiles").Items()
	if old := chart.At("valuesFile"); len(names) == 0 && old.Exists() {
		names = []manifest.Field{old}
	}
	if !inFiles {
		if len(names) > 0 {
			return nil, fault.New(fault.Usage, "%w", names[0].Errorf("the file replaces the chart's default values, and is inside the chart")).
				WithHint("give the objects that Flux applied instead of this document: kubectl get configmap,secret,deployment -n NAMESPACE -o yaml")
		}
		return nil, nil
	}
	at := chart.At("chart")
	if len(names) == 0 {
		return ownValues(at, g)
	}
	values := map[string]any{}
	for _, n := range names { // relative to the repository (fluxcd/source-controller, api/v1, HelmChartSpec)
		more, err := g.values(n, place{path: n.Text()})
		if err != nil {
			return nil, err
		}
		values = helmvalues.Merge(values, more)
	}
	return values, nil
}

func ownValues(at manifest.Field, g *input) (map[string]any, error) {
	own := path.Join(at.Text(), "values.yaml")
	values, err := g.values(at, place{path: own})
	if fault.HintOf(err) != "" {
		return nil, fault.New(fault.Usage, "%w", at.Errorf("the chart is in a repository, and its default values %.200q are not given", own)).
			WithHint("give that file too: --values %s\nor give the applied objects instead of this document: kubectl get configmap,secret,deployment -n NAMESPACE -o yaml", strings.Join(parts(own), "/"))
	}
	return values, err
}

// referenced returns what an element of valuesFrom refers to. If optional, it may be missing.
func referenced(o *manifest.Object, ref manifest.Field, g *input) (text string, found bool, err error) {
	kind, name := ref.At("kind").Text(), ref.At("name").Text()
	key := cmp.Or(ref.At("valuesKey").Text(), "values.yaml")
	if kind != "ConfigMap" && kind != "Secret" {
		return "", false, ref.Errorf("Flux takes values from a ConfigMap or a Secret, not from a %.80q", kind)
	}
	source, err := g.object(kind, o.Namespace, name)
	if err != nil {
		return "", false, err
	}
	if source == nil {
		return "", false, g.missing(o, ref, kind, name)
	}
	entries, err := source.Entries()
	if err != nil {
		return "", false, err
	}
	i := slices.IndexFunc(entries, func(e manifest.Entry) bool { return e.Key == key })
	switch {
	case i >= 0 && entries[i].Binary:
		return "", false, ref.Errorf("%s has %.200q in binaryData, which Flux does not read: move it to data", source, key)
	case i >= 0:
		return entries[i].Text, true, entries[i].Err
	case ref.At("optional").True():
		return "", false, nil
	}
	return "", false, ref.Errorf("%s in %s has no key %.200q (valuesKey)", source, source.File, key)
}

func (g *input) missing(o *manifest.Object, ref manifest.Field, kind, name string) error {
	if ref.At("optional").True() {
		g.note("%s, %s: the optional %s %.200q is not given, and is read as missing", o, ref.Path(), kind, name)
		return nil
	}
	namespace := ""
	if o.Namespace != "" {
		namespace = " -n " + o.Namespace
	}
	return fault.New(fault.Usage, "%w", ref.Errorf("the %s %.200q is not given", kind, name)).
		WithHint("give it too: kubectl get %s %s%s -o yaml > values-from.yaml, then --values values-from.yaml\nif kustomize generates it: kustomize build DIR > built.yaml, then --values built.yaml instead of this document", strings.ToLower(kind), name, namespace)
}

// setTarget sets a single value as helm --set does, or --set-string for one in quotes
// (fluxcd/pkg, chartutil, ReplacePathValue). From Flux 2.4 on, it wins over the HelmRelease's
// values (fluxcd/helm-controller#1060).
func setTarget(result, own map[string]any, ref manifest.Field, target, text string, g *input) (map[string]any, error) {
	result = helmvalues.Merge(result, own)
	inline := helmvalues.Clone(own)
	const quotes = `'"`
	quoted := strings.HasPrefix(text, "'") && strings.HasSuffix(text, "'") || strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`)
	if quoted {
		text = strings.Trim(text, quotes)
	}
	if err := helmvalues.Set(result, target+"="+text, quoted); err != nil {
		return nil, ref.At("targetPath").Errorf("%w", err)
	}
	// As in Flux, result shares its own values, so what is set there stays.
	if !reflect.DeepEqual(helmvalues.Merge(result, own), helmvalues.Merge(result, inline)) {
		g.note("%s and spec.values both set %.200q: read as in Flux 2.4 and later; before that, spec.values counts", ref.Path(), target)
	}
	return result, nil
}

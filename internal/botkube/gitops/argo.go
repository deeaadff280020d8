package gitops

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func isArgo(o *manifest.Object) bool {
	return o.Group() == "argoproj.io" && (o.Kind == "Application" || o.Kind == "ApplicationSet")
}

// argoSource is a source of an Application (argoproj/argo-cd,
// pkg/apis/application/v1alpha1, ApplicationSource).
type argoSource struct {
	manifest.Field
	app                      *manifest.Object
	name, namespace, project string
	// refs begin values files of other sources, after a dollar sign.
	refs map[string]bool
	// generated says that a generator fills in placeholders.
	generated bool
}

// describeArgo reads the charts of an Application, or of the template of an ApplicationSet.
func describeArgo(o *manifest.Object) ([]*described, error) {
	app := o.At()
	if o.Kind == "ApplicationSet" {
		app = o.At("spec", "template")
	}
	spec := app.At("spec")
	// A hydrator counts more than several sources, and these more than one
	// (ApplicationSpec.GetSources).
	sources := spec.At("sources").Items()
	if one := spec.At("source"); len(sources) == 0 && one.Exists() {
		sources = []manifest.Field{one}
	}
	if dry := spec.At("sourceHydrator"); dry.Exists() {
		return nil, fault.New(fault.Usage, "%w", dry.Errorf("the hydrator writes the objects to a repository, and they are not given")).
			WithHint("give the objects that it writes to the repository")
	}
	refs := map[string]bool{}
	for _, s := range sources {
		refs[s.At("ref").Text()] = true
	}
	var all []*described
	for _, s := range sources {
		source := &argoSource{Field: s, app: o, refs: refs, generated: o.Kind == "ApplicationSet",
			name: app.At("metadata", "name").Text(), namespace: spec.At("destination", "namespace").Text(), project: spec.At("project").Text()}
		if d := source.describe(); d != nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// describe returns what a source says of a chart, or nil if it only has files for others.
func (s *argoSource) describe() *described {
	d := &described{object: s.app, values: s.values, said: cmp.Or(s.At("targetRevision").Text(), "*")}
	at, isOCI := s.At("path").Text(), strings.HasPrefix(s.At("repoURL").Text(), "oci://")
	switch {
	case s.At("chart").Exists():
		d.chart, d.packaged = s.At("chart").Text(), true
	case isOCI:
		d.chart, d.packaged = path.Base(s.At("repoURL").Text()), true
	case at == "" && (s.At("ref").Exists() || !s.At("helm").Exists()):
		return nil
	default:
		// The revision is that of a repository.
		d.chart, d.said = at, "that of a chart in a git repository"
		if url := s.At("repoURL").Text(); at == "" && url != "" {
			d.chart = path.Base(url)
		}
		d.patch = d.chart == ""
	}
	return d
}

func (s *argoSource) inGit() bool {
	return !s.At("chart").Exists() && !strings.HasPrefix(s.At("repoURL").Text(), "oci://")
}

// values merges the values of a source as Argo CD does: valueFiles in their order, then
// valuesObject or else values, parameters, and fileParameters (argoproj/argo-cd,
// reposerver/repository/repository.go, helmTemplate; util/helm/cmd.go, template;
// pkg/apis/application/v1alpha1, ApplicationSourceHelm.ValuesYAML).
func (s *argoSource) values(g *input) (map[string]any, error) {
	helm := s.At("helm")
	if err := s.check(helm); err != nil {
		return nil, err
	}
	values := map[string]any{}
	var err error
	if s.inGit() {
		if values, err = ownValues(s.At("path"), g); err != nil {
			return nil, err
		}
		// reposerver/repository/repository.go, mergeSourceParameters
		g.note("%s takes its chart from git: .argocd-source.yaml and .argocd-source-%s.yaml in the chart's directory would override it, but are not read. If there is one, give what argocd app manifests %s prints", s.app, s.name, s.name)
	}
	for _, f := range helm.At("valueFiles").Items() {
		more, err := s.valuesFile(f, helm, g)
		if err != nil {
			return nil, err
		}
		values = helmvalues.Merge(values, more)
	}
	if object := helm.At("valuesObject"); object.Exists() {
		values = helmvalues.Merge(values, object.Mapping())
	} else if text := helm.At("values"); text.Exists() {
		own, err := helmvalues.Parse([]byte(text.Text()))
		if err != nil {
			return nil, text.Errorf("%w", err)
		}
		values = helmvalues.Merge(values, own)
	}
	values = helmvalues.Clone(values)
	return values, s.set(values, helm, g)
}

func (s *argoSource) check(helm manifest.Field) error {
	for _, other := range []string{"plugin", "kustomize", "directory"} {
		if f := s.At(other); f.Exists() {
			return fault.New(fault.Usage, "%w", f.Errorf("not only Helm makes its objects")).
				WithHint("give the rendered objects instead of this document: argocd app manifests %s > rendered.yaml, then --values rendered.yaml", s.name)
		}
	}
	if !s.generated {
		return nil
	}
	if f := overridden(s.app.At("spec", "generators")); f.Exists() {
		return fault.New(fault.Usage, "%w", f.Errorf("a generator has another template, which is merged into this one")).
			WithHint(giveGenerated)
	}
	patch := s.app.At("spec", "templatePatch")
	for _, f := range []manifest.Field{helm, s.At("path"), patch} {
		if f.Exists() && (strings.Contains(fmt.Sprint(f.Value()), "{{") || f.Path() == patch.Path()) {
			return fault.New(fault.Usage, "%w", f.Errorf("a generator fills it in, and its data is not given")).
				WithHint(giveGenerated)
		}
	}
	return nil
}

const giveGenerated = "give one of the generated Applications: argocd appset generate FILE -o yaml, or kubectl get application NAME -o yaml"

// overridden returns the first source that a generator's own template has. A cluster adds empty
// templates to generators, so a template without a source does not count.
func overridden(generators manifest.Field) manifest.Field {
	for _, g := range generators.Items() {
		for _, kind := range g.Keys() {
			if _, is := g.At(kind).Value().(map[string]any); !is {
				continue
			}
			spec := g.At(kind, "template", "spec")
			for _, f := range []manifest.Field{spec.At("source"), spec.At("sources"), overridden(g.At(kind, "generators"))} {
				if f.Exists() {
					return f
				}
			}
		}
	}
	return manifest.Field{}
}

// place returns where a file is. Behind $NAME/, that is the repository of another source
// (argoproj/argo-cd, reposerver/repository/repository.go, getResolvedRefValueFile); else it is
// relative to the chart or the repository (util/io/path/resolved.go, ResolveValueFilePathOrUrl).
func (s *argoSource) place(f manifest.Field, g *input) (place, error) {
	at := place{path: f.Text()}
	ref, rest, found := strings.Cut(strings.TrimPrefix(at.path, "$"), "/")
	switch isRef := strings.HasPrefix(at.path, "$") && found && !strings.HasPrefix(ref, "ARGOCD_"); {
	case isRef && !s.refs[ref]:
		return at, f.Errorf("no source has the ref %.80q", ref)
	case isRef:
		at = place{repository: ref, path: s.filled(rest, g)}
	default:
		at.path = s.filled(at.path, g)
	}
	if server := strings.Contains(at.path, "://"); server {
		at.path = withoutServer(at.path)
	} else if at.repository == "" && s.inGit() && !path.IsAbs(at.path) {
		at.path = path.Join(s.At("path").Text(), at.path)
	}
	if strings.ContainsAny(at.path, "*?[") {
		return at, f.Errorf("it is a pattern: name the files one by one")
	}
	return at, nil
}

func (s *argoSource) valuesFile(f, helm manifest.Field, g *input) (map[string]any, error) {
	at, err := s.place(f, g)
	if err != nil {
		return nil, err
	}
	values, err := g.values(f, at)
	if fault.HintOf(err) != "" && helm.At("ignoreMissingValueFiles").True() {
		return nil, fault.New(fault.Usage, "%w", err).
			WithHint("%s\nif the file does not exist (ignoreMissingValueFiles), give an empty file of that name", fault.HintOf(err))
	}
	return values, err
}

// set lays parameters over values: texts after the others, and files last (helm,
// pkg/cli/values/options.go, MergeValues).
func (s *argoSource) set(values map[string]any, helm manifest.Field, g *input) error {
	for _, texts := range []bool{false, true} {
		for _, p := range helm.At("parameters").Items() {
			if p.At("forceString").True() != texts {
				continue
			}
			value := escapeCommas(s.filled(p.At("value").Text(), g))
			if err := helmvalues.Set(values, p.At("name").Text()+"="+value, texts); err != nil {
				return p.Errorf("%w", err)
			}
		}
	}
	for _, p := range helm.At("fileParameters").Items() {
		at, err := s.place(p.At("path"), g)
		if err != nil {
			return err
		}
		f, err := g.file(p.At("path"), at)
		if err != nil {
			return err
		}
		if err := helmvalues.SetText(values, p.At("name").Text(), string(f.Data)); err != nil {
			return p.Errorf("%w", err)
		}
	}
	return nil
}

// escapeCommas keeps a value in one, unless it is a list in braces (argoproj/argo-cd,
// util/helm/cmd.go, cleanSetParameters).
func escapeCommas(value string) string {
	if strings.HasPrefix(value, "{") && strings.HasSuffix(value, "}") {
		return value
	}
	var out strings.Builder
	var last rune
	for _, r := range value {
		if r == ',' && last != '\\' {
			out.WriteRune('\\')
		}
		out.WriteRune(r)
		last = r
	}
	return out.String()
}

// filled replaces the variables of a build; all others are empty (argoproj/argo-cd,
// pkg/apis/application/v1alpha1, Env.Envsubst; reposerver/repository/repository.go,
// newEnv).
func (s *argoSource) filled(text string, g *input) string {
	known := map[string]string{
		"$": "$", "ARGOCD_APP_NAME": s.name, "ARGOCD_APP_NAMESPACE": s.namespace, "ARGOCD_APP_PROJECT_NAME": cmp.Or(s.project, "default"),
		"ARGOCD_APP_SOURCE_REPO_URL": s.At("repoURL").Text(), "ARGOCD_APP_SOURCE_PATH": s.At("path").Text(), "ARGOCD_APP_SOURCE_TARGET_REVISION": s.At("targetRevision").Text(),
	}
	return os.Expand(text, func(name string) string {
		value, is := known[name]
		if !is {
			g.note("%s uses the variable %.80q, which is unknown here and read as empty", s.app, name)
		}
		return value
	})
}

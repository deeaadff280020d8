package gitops

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// find reads files by their names; those without objects are values files.
func find(t *testing.T, files map[string]string) (*Release, error) {
	t.Helper()
	var objects []*manifest.Object
	var plain []*File
	for _, name := range []string{"release.yaml", "more.yaml", "envs/prod/botkube.yaml", "envs/base.yaml", "base.yaml", "charts/botkube/values.yaml", "token.txt"} {
		text, is := files[name]
		if !is {
			continue
		}
		found, err := manifest.Read(name, []byte(text))
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
		if len(found) == 0 {
			plain = append(plain, &File{Name: name, Data: []byte(text)})
		}
	}
	if err := CheckKinds(objects); err != nil {
		return nil, err
	}
	return Find(objects, plain)
}

// helmRelease is one of Flux with what is below its spec.
func helmRelease(spec string) string {
	return "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: botkube, namespace: chat}\nspec:\n" + indented(spec)
}

const fluxChart = "chart: {spec: {chart: botkube, version: 1.14.0, sourceRef: {kind: HelmRepository, name: botkube}}}\n"

// application is one of Argo CD with what is below its spec.
func application(spec string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: chatops, namespace: argocd}\nspec:\n  destination: {namespace: chat}\n" + indented(spec)
}

func argoSourceOf(helm string) string {
	return application("source:\n  chart: botkube\n  repoURL: https://charts.botkube.io\n  targetRevision: v1.13.0\n  helm:\n" + indented(indented(helm)))
}

func indented(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

const valuesFrom = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: base}
data: {values.yaml: "a: base\nb: base\nc: base\nd: {x: base, z: base}\n", single: "one", quoted: "'1'"}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: chat}
data: {values.yaml: YjogZGF0YQpjOiBkYXRhCg==, plain: c3RyaW5n}
stringData: {plain: "b: stringData\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: elsewhere}
stringData: {plain: "b: elsewhere\n"}
`

// TestValues reads values in the order in which the tools merge them.
func TestValues(t *testing.T) {
	for name, test := range map[string]struct {
		files         map[string]string
		want, version string
	}{
		"inline": {map[string]string{"release.yaml": helmRelease(fluxChart + "values: {a: 1, on: yes}")}, `{"a":1,"true":true}`, "v1.14.0"},
		"valuesFrom, in order, and its own over them": {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart +
			"valuesFrom: [{kind: ConfigMap, name: base}, {kind: Secret, name: secret}]\nvalues: {c: own, d: {z: own}}")},
			`{"a":"base","b":"data","c":"own","d":{"x":"base","z":"own"}}`, "v1.14.0"},
		"stringData over data, in its namespace": {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart +
			"valuesFrom: [{kind: Secret, name: secret, valuesKey: plain}]")}, `{"b":"stringData"}`, "v1.14.0"},
		"targetPath": {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart +
			"valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: 'x.y\\.z[1].k'}, {kind: ConfigMap, name: base, valuesKey: quoted, targetPath: q}]")},
			`{"q":"1","x":{"y.z":[null,{"k":"one"}]}}`, "v1.14.0"},
		"targetPath over its own": {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart +
			"valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: x.k}]\nvalues: {x: {k: own, z: own}}")},
			`{"x":{"k":"one","z":"own"}}`, "v1.14.0"},
		"optional": {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart +
			"valuesFrom: [{kind: ConfigMap, name: none, optional: true}, {kind: ConfigMap, name: base, valuesKey: none, optional: true}]\nvalues: {a: 1}")}, `{"a":1}`, "v1.14.0"},
		"v2beta1, a range": {map[string]string{"release.yaml": strings.Replace(helmRelease("chart: {spec: {chart: botkube, version: '>=1.0.0'}}\nvalues: {a: 1}"), "/v2\n", "/v2beta1\n", 1)}, `{"a":1}`, ""},
		"chartRef": {map[string]string{"release.yaml": helmRelease("chartRef: {kind: OCIRepository, name: charts}\nvalues: {a: 1}"),
			"more.yaml": "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: charts}\nspec: {url: oci://registry/charts/botkube, ref: {tag: v1.14.0-rc.1_meta}}\n"}, `{"a":1}`, "v1.14.0-rc.1"},
		"chartRef to a HelmChart": {map[string]string{"release.yaml": helmRelease("chartRef: {kind: HelmChart, name: charts}\nvalues: {a: 1}"),
			"more.yaml": "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: charts}\nspec: {chart: botkube, version: 1.13.0}\n"}, `{"a":1}`, "v1.13.0"},
		"a chart in git": {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: ./charts/botkube, sourceRef: {kind: GitRepository, name: git}}}\nvalues: {a: own}"),
			"charts/botkube/values.yaml": "a: chart\nb: chart"}, `{"a":"own","b":"chart"}`, ""},
		"a chart in git, its files": {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: ./charts/botkube, valuesFiles: [envs/base.yaml, envs/prod/botkube.yaml], sourceRef: {kind: Bucket, name: s3}}}"),
			"envs/base.yaml": "a: base\nb: base", "envs/prod/botkube.yaml": "b: prod"}, `{"a":"base","b":"prod"}`, ""},
		"a chart in git, its file as once": {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: ./charts/botkube, valuesFile: envs/base.yaml, sourceRef: {kind: GitRepository, name: git}}}"),
			"envs/base.yaml": "a: base", "charts/botkube/values.yaml": "a: chart"}, `{"a":"base"}`, ""},
		"beside a patch of another": {map[string]string{"release.yaml": helmRelease(fluxChart + "values: {a: 1}"), "more.yaml": strings.Replace(helmRelease("chart: {spec: {chart: x}}")+"---\n"+helmRelease("values: {a: 2}"), "name: botkube", "name: x", 2)}, `{"a":1}`, "v1.14.0"},
		"one of several, in a list": {map[string]string{"release.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: helm.toolkit.fluxcd.io/v2\n  kind: HelmRelease\n  metadata: {name: p}\n" +
			"  spec: {chart: {spec: {chart: prometheus}}, values: {a: no}}\n- apiVersion: helm.toolkit.fluxcd.io/v2\n  kind: HelmRelease\n  metadata: {name: b}\n  spec: {chart: {spec: {chart: botkube}}, values: {a: yes}}\n"}, `{"a":true}`, ""},

		"Argo, text":                           {map[string]string{"release.yaml": argoSourceOf("values: |\n  a: text\n")}, `{"a":"text"}`, "v1.13.0"},
		"Argo, valuesObject before text":       {map[string]string{"release.yaml": argoSourceOf("values: 'a: text'\nvaluesObject: {b: object}")}, `{"b":"object"}`, "v1.13.0"},
		"Argo, filled in by the cluster":       {map[string]string{"release.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set}\nspec:\n  generators: [{list: {elements: [], template: {metadata: {}, spec: {destination: {}, project: ''}}}}, {selector: {}, clusters: {}}]\n  template: {spec: {source: {chart: botkube, targetRevision: 1.13.0, helm: {values: 'a: 1'}}}}\n"}, `{"a":1}`, "v1.13.0"},
		"Argo, the chart's own file named too": {map[string]string{"charts/botkube/values.yaml": "a: 1", "release.yaml": application("source: {repoURL: https://git, path: charts/botkube, helm: {valueFiles: [values.yaml, /charts/botkube/values.yaml]}}")}, `{"a":1}`, ""},
		"Argo, all": {map[string]string{"envs/base.yaml": "a: file\nb: file\nc: file\nd: file", "envs/prod/botkube.yaml": "b: prod\nc: prod\nd: prod", "token.txt": "one,two\n",
			"release.yaml": argoSourceOf("valueFiles: [../../envs/base.yaml, prod/botkube.yaml]\nvalues: '{c: text, d: text}'\nparameters:\n- {name: d, value: '1,2'}\n- {name: e, value: 'true'}\n- {name: f, value: 'true', forceString: true}\n- {name: g, value: '{x,y}'}\n- {name: h, value: $ARGOCD_APP_NAME-$$}\nfileParameters: [{name: i.j, path: files/token.txt}]")},
			`{"a":"file","b":"prod","c":"text","d":"1,2","e":true,"f":"true","g":["x","y"],"h":"chatops-$","i":{"j":"one,two\n"}}`, "v1.13.0"},
		"Argo, the file that shares most of a path": {map[string]string{"envs/base.yaml": "a: long", "base.yaml": "a: short", "release.yaml": argoSourceOf("valueFiles: [x/envs/base.yaml]")}, `{"a":"long"}`, "v1.13.0"},
		"Argo, several sources": {map[string]string{"envs/prod/botkube.yaml": "a: prod", "release.yaml": application(
			"source: {chart: other}\nsources:\n- {repoURL: https://git, targetRevision: main, ref: values}\n- {chart: prometheus, targetRevision: 1.0.0}\n- {chart: botkube, targetRevision: 1.14.0, helm: {valueFiles: [$values/envs/prod/botkube.yaml]}}")}, `{"a":"prod"}`, "v1.14.0"},
		"Argo, a ref with a path, and manifests beside": {map[string]string{"envs/prod/botkube.yaml": "a: prod", "token.txt": "t", "release.yaml": application(
			"sources:\n- {chart: botkube, targetRevision: 1.14.0, helm: {valueFiles: [$values/envs/prod/botkube.yaml], fileParameters: [{name: b, path: $values/secret/token.txt}]}}\n- {repoURL: https://git, targetRevision: main, path: apps/botkube, ref: values}")}, `{"a":"prod","b":"t"}`, "v1.14.0"},
		"Argo, OCI": {map[string]string{"release.yaml": application("source: {repoURL: 'oci://registry/charts/botkube', path: ., targetRevision: 1.14.0, helm: {valuesObject: {a: 1}}}")}, `{"a":1}`, "v1.14.0"},
		"Argo, a template": {map[string]string{"release.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set}\n" +
			"spec: {template: {metadata: {name: '{{cluster}}'}, spec: {source: {chart: botkube, targetRevision: '{{version}}', helm: {valuesObject: {a: 1}}}}}}\n"}, `{"a":1}`, ""},
	} {
		r, err := find(t, test.files)
		if err != nil || r == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, _ := json.Marshal(r.Values); string(got) != test.want || r.Version != test.version {
			t.Errorf("%s: %s of %q, want %s of %q", name, got, r.Version, test.want, test.version)
		}
	}
}

// TestUnread has documents of which the values cannot be told. An error names file, kind,
// name and path, and says what to do.
func TestUnread(t *testing.T) {
	object := func(apiVersion, kind string) string {
		return helmRelease(fluxChart+"values: {a: 1}") + "---\napiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: platforms, namespace: chat}\n"
	}
	for name, test := range map[string]struct {
		files      map[string]string
		want, hint string
	}{
		"not given":                {map[string]string{"release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: Secret, name: s}]")}, `release.yaml: HelmRelease chat/botkube: spec.valuesFrom[0]: the Secret "s" is not given`, "kubectl get secret s -n chat"},
		"another namespace":        {map[string]string{"more.yaml": valuesFrom, "release.yaml": strings.Replace(helmRelease(fluxChart+"valuesFrom: [{kind: Secret, name: secret}]"), "namespace: chat", "namespace: third", 1)}, `the Secret "secret" is not given`, "-n third"},
		"no such key":              {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: ConfigMap, name: base, valuesKey: k}]")}, `has no key "k"`, ""},
		"binary":                   {map[string]string{"more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData: {values.yaml: YTogMQ==}\n", "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: ConfigMap, name: c}]")}, "in binaryData, which Flux does not read", ""},
		"no base64":                {map[string]string{"more.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\ndata: {values.yaml: '%s3cret'}\n", "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: Secret, name: c}]")}, "more.yaml: Secret c: data.values.yaml: it is not base64", ""},
		"another kind":             {map[string]string{"release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: Vault, name: s}]")}, `not from a "Vault"`, ""},
		"a comma in a target":      {map[string]string{"more.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {k: 'a,s3cret'}\n", "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: Secret, name: c, valuesKey: k, targetPath: x}]")}, "spec.valuesFrom[0].targetPath: ", ""},
		"an odd target":            {map[string]string{"more.yaml": valuesFrom, "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: 'a[x]'}]")}, "not a number", ""},
		"given twice":              {map[string]string{"more.yaml": valuesFrom + "---\n" + valuesFrom, "release.yaml": helmRelease(fluxChart + "valuesFrom: [{kind: ConfigMap, name: base}]")}, "given twice", ""},
		"two releases":             {map[string]string{"more.yaml": helmRelease(fluxChart), "release.yaml": helmRelease(fluxChart)}, "which of them counts", "kustomize build"},
		"another chart":            {map[string]string{"release.yaml": strings.Replace(helmRelease(fluxChart), "chart: botkube", "chart: platform", 1)}, `it installs the chart "platform"`, "the rendered objects"},
		"a patch":                  {map[string]string{"more.yaml": helmRelease("values: {a: 1}"), "release.yaml": helmRelease(fluxChart)}, "more.yaml: HelmRelease chat/botkube: it may be a kustomize patch of HelmRelease chat/botkube in release.yaml", "kustomize build"},
		"a patch by target":        {map[string]string{"more.yaml": strings.Replace(helmRelease("values: {a: 1}"), "name: botkube", "name: any", 1), "release.yaml": helmRelease(fluxChart)}, "more.yaml: HelmRelease chat/any: it may be a kustomize patch of", "kustomize build"},
		"a patch of the ref":       {map[string]string{"more.yaml": helmRelease("chartRef: {kind: OCIRepository, name: x}"), "release.yaml": helmRelease(fluxChart)}, "it may be a kustomize patch of", "kustomize build"},
		"one without a namespace":  {map[string]string{"more.yaml": strings.Replace(helmRelease("chart: {spec: {chart: x}}"), ", namespace: chat", "", 1), "release.yaml": helmRelease(fluxChart)}, "more.yaml: HelmRelease botkube: it may be a kustomize patch of HelmRelease chat/botkube", "kustomize build"},
		"beside one without":       {map[string]string{"more.yaml": helmRelease("chart: {spec: {chart: x}}"), "release.yaml": strings.Replace(helmRelease(fluxChart), ", namespace: chat", "", 1)}, "more.yaml: HelmRelease chat/botkube: it may be a kustomize patch of HelmRelease botkube", "kustomize build"},
		"a file of a chart in git": {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: ./charts/botkube, valuesFiles: [none.yaml], sourceRef: {kind: GitRepository, name: git}}}")}, `the file "none.yaml" is not given`, "--values none.yaml"},
		"a patch alone":            {map[string]string{"release.yaml": helmRelease("values: {a: 1}")}, "it names no chart", "kustomize build"},
		"inflated":                 {map[string]string{"more.yaml": helmRelease(fluxChart), "release.yaml": object("builtin", "HelmChartInflationGenerator")}, "the kind HelmChartInflationGenerator (builtin) is not supported", "leave it out"},
		"skaffold":                 {map[string]string{"more.yaml": helmRelease(fluxChart), "release.yaml": object("skaffold/v4beta6", "Config")}, "the kind Config (skaffold/v4beta6) is not supported", "leave it out"},
		"a chart in git":           {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: ./charts/botkube, sourceRef: {kind: GitRepository, name: git}}}")}, `its default values "charts/botkube/values.yaml" are not given`, "--values charts/botkube/values.yaml"},
		"files in the chart":       {map[string]string{"release.yaml": helmRelease("chart: {spec: {chart: botkube, valuesFiles: [values-prod.yaml]}}")}, "spec.chart.spec.valuesFiles[0]", "kubectl get configmap"},
		"wrong kind of value":      {map[string]string{"release.yaml": helmRelease(fluxChart + "values: [a]")}, "spec.values: it must be a mapping, not a list", ""},
		"sealed":                   {map[string]string{"release.yaml": object("bitnami.com/v1alpha1", "SealedSecret")}, "release.yaml: SealedSecret chat/platforms: the Secret that it creates is not given", "kubectl get secret platforms"},
		"external":                 {map[string]string{"release.yaml": object("external-secrets.io/v1", "ExternalSecret") + "spec: {target: {name: made}}\n"}, "ExternalSecret chat/platforms", "kubectl get secret made"},
		"of Vault":                 {map[string]string{"release.yaml": object("secrets.hashicorp.com/v1beta1", "VaultStaticSecret") + "spec: {destination: {name: made}}\n"}, "VaultStaticSecret chat/platforms", "kubectl get secret made"},
		"of Azure":                 {map[string]string{"release.yaml": object("spv.no/v2beta1", "AzureKeyVaultSecret") + "spec: {output: {secret: {name: made}}}\n"}, "AzureKeyVaultSecret chat/platforms", "kubectl get secret made"},
		"of a store":               {map[string]string{"release.yaml": object("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass")}, "SecretProviderClass chat/platforms", "kubectl get secret"},
		"k3s":                      {map[string]string{"release.yaml": object("helm.cattle.io/v1", "HelmChartConfig")}, "HelmChartConfig chat/platforms: documents of k3s", "in a separate file"},
		"Flux 1":                   {map[string]string{"release.yaml": object("helm.fluxcd.io/v1", "HelmRelease")}, "the Helm Operator of Flux 1", "separate file"},
		"kustomize":                {map[string]string{"release.yaml": object("kustomize.config.k8s.io/v1beta1", "Kustomization")}, "it is a kustomize document", "kustomize build"},
		"substituted":              {map[string]string{"release.yaml": object("kustomize.toolkit.fluxcd.io/v1", "Kustomization") + "spec: {postBuild: {substitute: {a: b}}}\n"}, "it changes what Flux applies", "flux build kustomization"},
		"unknown":                  {map[string]string{"release.yaml": object("example.com/v1", "Thing")}, "the kind Thing (example.com/v1) is not supported", "leave it out"},
		"SOPS":                     {map[string]string{"more.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: secret}\ndata: {values.yaml: 'ENC[AES256_GCM,data:x]'}\nsops: {mac: x, version: 3.9.0}\n", "release.yaml": helmRelease(fluxChart)}, "more.yaml: Secret secret: it is encrypted by SOPS", "sops --decrypt more.yaml"},

		"Argo, a file":          {map[string]string{"release.yaml": argoSourceOf("valueFiles: [envs/prod.yaml]")}, `release.yaml: Application argocd/chatops: spec.source.helm.valueFiles[0]: the file "envs/prod.yaml" is not given`, "--values envs/prod.yaml"},
		"Argo, a file, perhaps": {map[string]string{"release.yaml": argoSourceOf("valueFiles: [prod.yaml]\nignoreMissingValueFiles: true")}, "is not given", "give an empty file"},
		"Argo, a URL":           {map[string]string{"release.yaml": argoSourceOf("valueFiles: ['https://user:s3cret@git.example.com/raw/prod.yaml?token=s3cret']")}, `the file "raw/prod.yaml" is not given`, "--values raw/prod.yaml"},
		"Argo, a patch":         {map[string]string{"more.yaml": application("source: {helm: {values: 'a: 1'}}"), "release.yaml": argoSourceOf("values: 'a: 2'")}, "more.yaml: Application argocd/chatops: it may be a kustomize patch of Application argocd/chatops in release.yaml", "kustomize build"},
		"Argo, one for two":     {map[string]string{"envs/base.yaml": "a: 1", "release.yaml": argoSourceOf("valueFiles: [base.yaml, prod/envs/base.yaml]")}, `valueFiles[1]: the file "prod/envs/base.yaml" is not given: envs/base.yaml is used for another one, "base.yaml"`, "--values prod/envs/base.yaml"},
		"Argo, of two refs":     {map[string]string{"envs/base.yaml": "a: 1", "release.yaml": application("sources: [{repoURL: https://a, ref: a}, {repoURL: https://b, ref: b}, {chart: botkube, helm: {valueFiles: [$a/base.yaml, $b/base.yaml]}}]")}, `valueFiles[1]: the file "base.yaml" is not given: envs/base.yaml is used for another one`, "tell them apart"},
		"Argo, helm-secrets":    {map[string]string{"release.yaml": argoSourceOf("valueFiles: ['secrets://envs/prod.yaml']")}, `the file "envs/prod.yaml" is not given`, "--values envs/prod.yaml"},
		"Argo, which of two":    {map[string]string{"envs/base.yaml": "a: 1", "base.yaml": "a: 2", "release.yaml": argoSourceOf("valueFiles: [base.yaml]")}, `the file "base.yaml" may be envs/base.yaml or base.yaml`, ""},
		"Argo, a glob":          {map[string]string{"release.yaml": argoSourceOf("valueFiles: [envs/*.yaml]")}, "name the files one by one", ""},
		"Argo, no such ref":     {map[string]string{"envs/prod/botkube.yaml": "a: 1", "release.yaml": argoSourceOf("valueFiles: [$values/envs/prod/botkube.yaml]")}, `no source has the ref "values"`, ""},
		"Argo, a file as text":  {map[string]string{"release.yaml": argoSourceOf("fileParameters: [{name: a, path: token.txt}]")}, `fileParameters[0].path: the file "token.txt" is not given`, ""},
		"Argo, a number":        {map[string]string{"release.yaml": argoSourceOf("parameters: [{name: a, value: 1}]")}, "parameters[0].value: it must be a text, not a number", ""},
		"Argo, a path":          {map[string]string{"release.yaml": application("source: {repoURL: https://git, path: apps/botkube, targetRevision: main}")}, `its default values "apps/botkube/values.yaml"`, ""},
		"Argo, a plugin":        {map[string]string{"release.yaml": application("source: {repoURL: https://git, path: apps/botkube, plugin: {name: x}}")}, "spec.source.plugin", "argocd app manifests chatops"},
		"Argo, a hydrator":      {map[string]string{"release.yaml": application("sourceHydrator: {drySource: {path: a}}")}, "spec.sourceHydrator", "writes"},
		"Argo, both hydrated":   {map[string]string{"release.yaml": application("source: {chart: botkube, repoURL: https://charts}\nsourceHydrator: {drySource: {path: a}}")}, "spec.sourceHydrator", "writes"},
		"Argo, text":            {map[string]string{"release.yaml": argoSourceOf("values: 's3cret: [\n'")}, "spec.source.helm.values: ", ""},
		"Argo, overridden": {map[string]string{"release.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set}\nspec:\n  generators: [{matrix: {generators: [{list: {elements: [], template: {metadata: {}, spec: {source: {helm: {values: 'a: 1'}}}}}}]}}]\n  template: {spec: {source: {chart: botkube}}}\n"},
			"spec.generators[0].matrix.generators[0].list.template.spec.source: a generator has another template", "argocd appset generate"},
		"Argo, generated": {map[string]string{"release.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: set}\nspec: {template: {spec: {source: {chart: botkube, helm: {values: 'a: {{b}}'}}}}}\n"},
			"ApplicationSet set: spec.template.spec.source.helm: a generator fills it in", "argocd appset generate"},
	} {
		_, err := find(t, test.files)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "interface {}") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
			continue
		}
		if hint := fault.HintOf(err); !strings.Contains(hint, test.hint) {
			t.Errorf("%s: the hint is %q, want %q", name, hint, test.hint)
		}
	}
}

// TestNotes has the reading of what is left open be told.
func TestNotes(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"post-rendered":               {helmRelease(fluxChart + "postRenderers: [{kustomize: {}}]"), "postRenderers"},
		"substituted":                 {helmRelease(fluxChart + "values: {a: '${b}'}"), "${…}"},
		"substituted, from elsewhere": {helmRelease(fluxChart+"valuesFrom: [{kind: ConfigMap, name: c}]") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {values.yaml: 'a: ${b}'}\n", "${…}"},
		"over its own":                {helmRelease(fluxChart+"valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: x.k}]\nvalues: {x: {k: own}}") + valuesFrom, "Flux 2.4"},
		"optional":                    {helmRelease(fluxChart + "valuesFrom: [{kind: ConfigMap, name: none, optional: true}]"), "read as missing"},
		"no chart":                    {helmRelease("chartRef: {kind: OCIRepository, name: charts}"), "assuming that"},
		"a chart in git":              {application("source: {repoURL: https://git, path: charts/botkube, helm: {valueFiles: [values.yaml]}}"), ".argocd-source-chatops.yaml"},
		"a variable":                  {argoSourceOf("parameters: [{name: a, value: $ARGOCD_APP_REVISION}]"), "ARGOCD_APP_REVISION"},
		"beside others":               {helmRelease(fluxChart) + "---\n" + strings.Replace(helmRelease("chart: {spec: {chart: x}}"), "name: botkube", "name: x", 1), "it is not of Botkube's chart"},
		"beside its name elsewhere":   {helmRelease(fluxChart) + "---\n" + strings.Replace(helmRelease("chart: {spec: {chart: x}}"), "namespace: chat", "namespace: other", 1), "it is not of Botkube's chart"},
		"beside what is not known":    {helmRelease(fluxChart) + "---\n" + strings.Replace(helmRelease("chartRef: {kind: HelmChart, name: x}"), "name: botkube", "name: x", 1), "left out: it names no chart"},
	} {
		r, err := find(t, map[string]string{"release.yaml": test.text, "charts/botkube/values.yaml": "a: 1"})
		if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], test.want) {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	quiet := helmRelease(fluxChart+"valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: x.k}]\nvalues: {x: {z: own}}") + valuesFrom
	if r, err := find(t, map[string]string{"release.yaml": quiet}); err != nil || len(r.Notes) > 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestSealedBesideItsSecret(t *testing.T) {
	text := helmRelease(fluxChart) + "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: secret}\n" + valuesFrom
	if _, err := find(t, map[string]string{"release.yaml": text}); err != nil {
		t.Errorf("with the Secret that comes of it: %v", err)
	}
}

func TestOtherFiles(t *testing.T) {
	for begin, want := range map[string]string{
		"$ANSIBLE_VAULT;1.1;AES256\n6162": "Ansible Vault", "\x00GITCRYPT\x00\x01": "git-crypt", "-----BEGIN AGE ENCRYPTED FILE-----\n": "age",
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 1\n": "Git LFS",
		"\x1f\x8b\x08\x00": "gzip", "<!DOCTYPE html><html><body>Sign in</body></html>": "web page", "a: \xe4\n": "UTF-8",
	} {
		if _, err := Text("v.yaml", []byte(begin)); err == nil || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", begin, err)
		}
	}
	for in, want := range map[string]string{"\xef\xbb\xbfa: 1\r\n": "a: 1\n", "\xff\xfea\x00:\x00 \x001\x00": "a: 1", "": ""} {
		if got, err := Text("v.yaml", []byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for text, want := range map[string]string{
		"releases: [{name: botkube}]": "helmfile", "resources: [a.yaml]": "kustomization", "helmCharts: [{name: botkube}]": "kustomization",
		"defaultNamespace: x\nhelm: {values: {a: 1}}": "Fleet", "helm: {releaseName: x}": "Fleet", "sops: {mac: x}": "SOPS", "dependencies: [{name: botkube}]": "Chart.yaml",
		"resources: {limits: {cpu: 1}}": "", "resources: [a]\nimage: {tag: x}": "", "helm: {valuesFiles: [a.yaml]}": "Fleet", "sops: {enabled: true}": "", "{}": "",
	} {
		f := &File{Name: "v.yaml", Data: []byte(text)}
		if _, err := f.Values(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(helmRelease(fluxChart+"valuesFrom: [{kind: ConfigMap, name: base, valuesKey: single, targetPath: 'x[1].y'}]\n") + valuesFrom)
	f.Add(argoSourceOf("parameters: [{name: 'a[0][1].b', value: '{x,y}'}]\nvalueFiles: [a.yaml]"))
	f.Fuzz(func(t *testing.T, text string) {
		objects, err := manifest.Read("a.yaml", []byte(text))
		if err != nil {
			return
		}
		if _, err := Find(objects, []*File{{Name: "a.yaml", Data: []byte(text)}}); errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	})
}

package gitops

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

var encryptedFiles = []struct{ begin, what, then string }{
	{"$ANSIBLE_VAULT;", "is encrypted by Ansible Vault", "ansible-vault view %s > values.yaml"},
	{"\x00GITCRYPT\x00", "is encrypted by git-crypt", "git-crypt unlock, then give %s again"},
	{"-----BEGIN AGE ENCRYPTED FILE-----", "is encrypted by age", "age --decrypt -i KEY %s > values.yaml"},
	{"age-encryption.org/", "is encrypted by age", "age --decrypt -i KEY %s > values.yaml"},
	{"-----BEGIN PGP MESSAGE-----", "is encrypted by PGP", "gpg --decrypt %s > values.yaml"},
}

// Text returns a file's text in UTF-8. What must be decrypted or fetched before, and what is no
// text, is an error.
func Text(name string, data []byte) ([]byte, error) {
	for _, e := range encryptedFiles {
		if bytes.HasPrefix(data, []byte(e.begin)) {
			return nil, fault.New(fault.Usage, "%s %s", name, e.what).WithHint(e.then, name)
		}
	}
	switch kind := textfile.Kind(data); kind {
	case textfile.PlainText, textfile.JSON, textfile.Empty:
		return textfile.Decode(data)
	case textfile.LFSPointer:
		return nil, fault.New(fault.Usage, "%s is %s", name, kind).WithHint("git lfs pull, then give it again")
	case textfile.OtherText:
		return nil, fault.New(fault.Usage, "%s is %s", name, kind).WithHint("save it as UTF-8")
	default:
		return nil, fault.New(fault.Usage, "%s is %s, not Helm values or Kubernetes objects", name, kind).
			WithHint("give Helm values, a Flux or Argo CD document with values, or what helm template renders")
	}
}

// encrypted reports whether a document is encrypted by SOPS (getsops/sops, README, "Encryption
// Protocol").
func encrypted(document map[string]any) bool {
	meta, _ := document["sops"].(map[string]any)
	return meta["mac"] != nil || meta["lastmodified"] != nil
}

func decryptFirst(name string, err error) error {
	return fault.New(fault.Usage, "%w", err).WithHint("decrypt it: sops --decrypt %s > decrypted.yaml, then --values decrypted.yaml instead", name)
}

// otherTools are the files of other tools, by keys at their top that no values of Botkube's
// have.
var otherTools = []struct{ key, what, then string }{
	{"releases", "a helmfile", "helmfile write-values > values.yaml"},
	{"helmfiles", "a helmfile", "helmfile write-values > values.yaml"},
	{"helmCharts", "a kustomization", "kustomize build --enable-helm DIR > rendered.yaml"},
	{"resources", "a kustomization", "kustomize build DIR > built.yaml"},
	{"configMapGenerator", "a kustomization", "kustomize build DIR > built.yaml"},
	{"secretGenerator", "a kustomization", "kustomize build DIR > built.yaml"},
	{"defaultNamespace", "a fleet.yaml of Rancher's Fleet", "what is below helm.values, in a separate file"},
	{"targetCustomizations", "a fleet.yaml of Rancher's Fleet", "what is below helm.values, in a separate file"},
	{"dependencies", "a Chart.yaml", "the values file beside it"},
}

func checkValues(name string, values map[string]any) error {
	if encrypted(values) {
		return decryptFirst(name, fmt.Errorf("%s is encrypted by SOPS", name))
	}
	inner, _ := values["helm"].(map[string]any)
	for _, t := range otherTools {
		_, isList := values[t.key].([]any)
		_, isText := values[t.key].(string)
		// A fleet.yaml may have no such key at its top, but these below helm.
		is := (isList || isText) && !(t.key == "resources" && values["image"] != nil)
		if is || t.key == "defaultNamespace" && (inner["values"] != nil || inner["releaseName"] != nil || inner["valuesFiles"] != nil) {
			return fault.New(fault.Usage, "%s is %s, which contains no Helm values", name, t.what).WithHint("give this instead: %s", t.then)
		}
	}
	return nil
}

// installers are API groups of what installs charts in ways that are not read.
var installers = map[string]string{
	"helm.fluxcd.io":                  "the Helm Operator of Flux 1",
	"helm.cattle.io":                  "k3s, RKE2 and Rancher",
	"fleet.cattle.io":                 "Rancher's Fleet",
	"catalog.cattle.io":               "Rancher's Apps",
	"helm.crossplane.io":              "Crossplane",
	"addons.cluster.x-k8s.io":         "Cluster API",
	"config.projectsveltos.io":        "Sveltos",
	"apps.open-cluster-management.io": "Open Cluster Management",
	"app.k8s.io":                      "the Application CRD of Kubernetes",
}

// fluxKustomize is the group of Flux's Kustomization, which says what Flux applies.
const fluxKustomize = "kustomize.toolkit.fluxcd.io"

// harmless are API groups without values, beside Kubernetes' own.
var harmless = []string{"source.toolkit.fluxcd.io", "notification.toolkit.fluxcd.io", "monitoring.coreos.com", "cert-manager.io"}

// kubernetes are Kubernetes' own groups, beside v1 and those below k8s.io.
var kubernetes = []string{"apps", "autoscaling", "batch", "extensions", "policy"}

// CheckKinds refuses objects that may bring values in ways that are not read: makers of Secrets,
// installers of charts, and unknown kinds.
func CheckKinds(objects []*manifest.Object) error {
	for _, o := range objects {
		if err := checkKind(o, objects); err != nil {
			return err
		}
	}
	return nil
}

// CheckSecrets refuses objects from which the cluster makes a Secret, unless the Secret is given.
func CheckSecrets(objects []*manifest.Object) error {
	for _, o := range objects {
		if err := checkSecretMaker(o, objects); makesSecrets(o) && err != nil {
			return err
		}
	}
	return nil
}

func checkKind(o *manifest.Object, objects []*manifest.Object) error {
	group := o.Group()
	_, installs := installers[group]
	switch {
	case isFlux(o), isArgo(o), slices.Contains(harmless, group), group == "argoproj.io" && o.Kind == "AppProject":
		return nil
	case installs:
		return fault.New(fault.Usage, "%w", o.Errorf("documents of %s (%s) are not supported", installers[group], o.APIVersion)).
			WithHint("give its Helm values in a separate file instead; or the applied objects: kubectl get configmap,secret,deployment -n NAMESPACE -o yaml > rendered.yaml")
	case group == "kustomize.config.k8s.io": // of the file kustomization.yaml
		return fault.New(fault.Usage, "%w", o.Errorf("it is a kustomize document, and the files that it names are not read")).
			WithHint("give the result instead: kustomize build --enable-helm DIR > built.yaml")
	case group == fluxKustomize && !o.At("spec", "postBuild").Exists() && !o.At("spec", "patches").Exists():
		return nil
	case group == fluxKustomize:
		return fault.New(fault.Usage, "%w", o.Errorf("it changes what Flux applies (postBuild, patches), which is not supported")).
			WithHint("give the result instead of all documents: flux build kustomization %s --path DIR > built.yaml", o.Name)
	case makesSecrets(o):
		return checkSecretMaker(o, objects)
	case o.APIVersion == "v1", slices.Contains(kubernetes, group), strings.HasSuffix(group, ".k8s.io"):
		return nil
	}
	return fault.New(fault.Usage, "%w", o.Errorf("the kind %s (%.200s) is not supported, and it may change the values", o.Kind, o.APIVersion)).
		WithHint("leave it out if it does not change the values; or give the applied objects: kubectl get configmap,secret,deployment -n NAMESPACE -o yaml > rendered.yaml")
}

func makesSecrets(o *manifest.Object) bool {
	return o.Group() == "secrets-store.csi.x-k8s.io" || o.Group() != "" && strings.Contains(strings.ToLower(o.Kind), "secret") || o.Kind == "OnePasswordItem"
}

// madeSecret has the paths below spec of the name of that Secret: for External Secrets, Vault,
// Doppler, Infisical and akv2k8s.
var madeSecret = [][]string{{"target", "name"}, {"destination", "name"}, {"managedSecret", "name"}, {"managedSecretReference", "secretName"}, {"output", "secret", "name"}}

func checkSecretMaker(o *manifest.Object, objects []*manifest.Object) error {
	name := o.Name
	for _, keys := range madeSecret {
		at := o.At("spec").Value()
		for _, k := range keys {
			inner, _ := at.(map[string]any)
			at = inner[k]
		}
		if made, _ := at.(string); made != "" {
			name = made
			break
		}
	}
	if slices.ContainsFunc(objects, func(s *manifest.Object) bool { return s.Kind == "Secret" && s.Group() == "" && s.Name == name }) {
		return nil
	}
	return fault.New(fault.Usage, "%w", o.Errorf("the Secret that it creates is not given")).
		WithHint("give the Secret too: kubectl get secret %s -o yaml > secret.yaml, then --values secret.yaml; or leave this object out if it does not concern the values", name)
}

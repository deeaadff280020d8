package deploy

import (
	"maps"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

const jobSuffix = "-seed"

func jobName(c *Claim) string { return c.Name + jobSuffix }

// seedVolume is where the Job sees the volume. The image's own directory is at the mount.
const seedVolume = "/volume"

// seedSeconds bounds a run of the Job: it copies and hashes some hundred megabytes.
const seedSeconds = 1800

// keptSeconds is how long a Job can be looked at.
const keptSeconds = 24 * 60 * 60

// StorageFor returns the size of a volume for upstream files of some bytes: they unpack to up to
// four times as much, an update is beside what it replaces until prune, and the next version may
// have more.
func StorageFor(bytes int64) string {
	const gib, factor = 1 << 30, 10
	return strconv.FormatInt(max(1, (bytes*factor+gib-1)/gib), 10) + "Gi"
}

func metadata(name string) object {
	return newObject().set("name", name).set("labels", labels("app.kubernetes.io/managed-by", managedBy))
}

// claim is the claim for the agent's cache directory. It is a Helm hook, so that it exists before the
// Job. Helm does not upgrade hooks. It creates them, which fails if they exist, or deletes them first,
// which must not happen to a volume in use. So the template looks for the claim. If the claim exists,
// the hook has no event, and Helm leaves it out (helm.sh/helm/v3 pkg/releaseutil/manifest_sorter.go,
// and v4 pkg/release/v1/util).
func (o *Options) claim(hook bool) object {
	s, meta := o.Claim.Seed, metadata(o.Claim.Name)
	if hook {
		meta.set("annotations", newObject().
			set("helm.sh/hook", `{{ if not (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "`+o.Claim.Name+`") }}pre-install,pre-upgrade{{ end }}`,
				"created before the Job, and only if it does not exist: a volume in use is never replaced").
			set("helm.sh/hook-weight", "-10").
			set("helm.sh/hook-delete-policy", "hook-failed", "the default policy would delete the claim first").
			set("helm.sh/resource-policy", "keep"))
	}
	spec := newObject().
		set("accessModes", []string{s.AccessMode}).
		setUnless(s.StorageClass == "", "storageClassName", s.StorageClass).
		set("resources", newObject().set("requests", labels("storage", s.Storage)))
	return newObject().set("apiVersion", "v1").set("kind", "PersistentVolumeClaim").set("metadata", meta).set("spec", spec)
}

// job fills the claim from an image. Files that exist are verified and kept.
func (o *Options) job(hook bool) object {
	meta := metadata(jobName(o.Claim))
	if hook {
		meta.set("annotations", newObject().
			set("helm.sh/hook", "pre-install,pre-upgrade", "helm fills the volume before it starts the agent, and waits for at most --timeout (5m by default)").
			set("helm.sh/hook-weight", "-5").
			set("helm.sh/hook-delete-policy", "before-hook-creation", "a Job cannot be changed: the previous one is deleted first"))
	}
	spec := newObject().
		set("backoffLimit", 3).
		set("activeDeadlineSeconds", seedSeconds).
		set("ttlSecondsAfterFinished", keptSeconds, "keeps the log for a day").
		set("template", newObject().
			set("metadata", newObject().set("labels", labels("app.kubernetes.io/name", jobName(o.Claim), "app.kubernetes.io/managed-by", managedBy))).
			set("spec", o.seedPod()))
	return newObject().set("apiVersion", "batch/v1").set("kind", "Job").set("metadata", meta).set("spec", spec)
}

// seedPod satisfies the Pod Security Standard "restricted".
func (o *Options) seedPod() object {
	pod := newObject().
		set("restartPolicy", "Never", "keeps failed pods and their logs").
		set("automountServiceAccountToken", false, "the Job does not use the Kubernetes API").
		set("enableServiceLinks", false).
		set("securityContext", newObject().
			set("runAsNonRoot", true).
			set("runAsUser", agent.User, "the user of the agent, so that the agent can read the files").
			set("runAsGroup", agent.Group).
			set("fsGroup", agent.Group, "gives the volume to this group, if its driver supports that").
			set("fsGroupChangePolicy", "OnRootMismatch").
			set("seccompProfile", labels("type", "RuntimeDefault")))
	pod.set("nodeSelector", o.seedNodes(), "copies the image's files for this platform")
	pod.set("affinity", beside(), "runs on the agent's node, as only one node can attach the volume")
	tolerations := o.userList("tolerations")
	pod.setUnless(len(tolerations) == 0, "tolerations", tolerations, "from your values, so that the Job can run where the agent runs")
	if secrets := o.pullSecrets(); len(secrets.Content) > 0 {
		pod.set("imagePullSecrets", named(secrets.Content))
	}
	return pod.
		set("containers", list(o.seedContainer())).
		set("volumes", list(newObject().set("name", volumeName).set("persistentVolumeClaim", labels("claimName", o.Claim.Name))))
}

func (o *Options) seedNodes() object {
	selector := newObject()
	if p, one := o.platform(); one {
		selector = nodeSelector(p)
	}
	userSelector, _ := o.userValue("nodeSelector").(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(userSelector)) {
		if value, ok := userSelector[key].(string); ok && selector.get(key) == nil {
			selector.set(key, value)
		}
	}
	return selector
}

func named(names []*yaml.Node) *yaml.Node {
	out := list()
	for _, n := range names {
		out.Content = append(out.Content, newObject().set("name", n).node)
	}
	return out
}

func (o *Options) seedContainer() object {
	mount := newObject().set("name", volumeName).set("mountPath", seedVolume)
	mount.setUnless(o.Claim.SubPath == "", "subPath", o.Claim.SubPath)
	return newObject().
		set("name", "seed").
		set("image", o.Claim.Seed.Image, "the image's entry point is botkube-mirror").
		set("imagePullPolicy", "IfNotPresent").
		set("args", []string{"unpack", o.Mount, "--output", seedVolume, "--mount", o.Mount, "--lock-digest", o.Claim.Seed.LockDigest, "--no-progress"},
			"fails if the image has another mirror, for example an old image of a moved tag").
		set("securityContext", newObject().
			set("allowPrivilegeEscalation", false).
			set("readOnlyRootFilesystem", true).
			set("capabilities", newObject().set("drop", []string{"ALL"}))).
		set("volumeMounts", list(mount))
}

// beside prefers the agent's node. It cannot require it: the first time, there is no agent.
func beside() object {
	term := newObject().set("labelSelector", agentPods()).set("topologyKey", "kubernetes.io/hostname")
	return newObject().set("podAffinity", newObject().set("preferredDuringSchedulingIgnoredDuringExecution",
		list(newObject().set("weight", 100).set("podAffinityTerm", term))))
}

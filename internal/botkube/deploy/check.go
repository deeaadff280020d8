package deploy

import (
	"cmp"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// Names of objects: RFC 1123 labels, and sub-domains of them.
var (
	labelForm     = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	subdomainForm = lazyregexp.New(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	quantityForm  = lazyregexp.New(`^[1-9][0-9]{0,14}([KMGTPE]i|[kMGTPE])?$`)
	// pathForm leaves out what the chart's templates or a shell would misread:
	// global-config.yaml has plugins.cacheDir without quotes.
	pathForm = lazyregexp.New(`^[A-Za-z0-9/._-]+$`)
)

const maxSubdomain = 253

// accessModes let a Job write to a claim that the agent reads.
var accessModes = []string{"ReadWriteOnce", "ReadWriteMany"}

// chartMounts are the paths where the chart mounts something else (templates/deployment.yaml).
var chartMounts = []string{
	"/tmp", "/config", "/startup-config", "/.kube/cache", "/.kube/config", "/etc/ssl/certs",
	"/var/run/7e7fd2f5-b15d-4803-bc52-f54fba357e76/secrets/kubernetes.io/serviceaccount",
}

// Check reports why options cannot be rendered.
func (o *Options) Check() error {
	for _, name := range o.PullSecrets {
		if err := checkName("--pull-secret", name); err != nil {
			return err
		}
	}
	return cmp.Or(o.checkMount(), o.checkPlatforms(), o.checkClaim(), o.checkPolicy(), o.checkUser(), o.checkEnvironment())
}

func (o *Options) checkMount() error {
	if o.Site != nil {
		return nil
	}
	if !pathForm.MatchString(o.Mount) || !path.IsAbs(o.Mount) || path.Clean(o.Mount) != o.Mount || o.Mount == "/" {
		return fault.New(fault.Usage, "the chart cannot mount the mirror at %.200q", o.Mount).
			WithHint("write the mirror for a path of letters, digits and . _ - only: --mount /plugins")
	}
	for _, taken := range chartMounts {
		if o.Mount == taken || strings.HasPrefix(taken, o.Mount+"/") {
			return fault.New(fault.Usage, "the mirror cannot be at %s: the chart mounts another volume at %s", o.Mount, taken).
				WithHint("write the mirror for another path: --mount /plugins")
		}
	}
	return nil
}

func (o *Options) checkPlatforms() error {
	if len(o.Platforms) == 0 {
		return fault.New(fault.Usage, "%s is not for a platform that a node can have", o.Target)
	}
	if o.Claim == nil || len(o.Platforms) == 1 {
		return nil
	}
	var flags []string
	for _, p := range o.Platforms {
		flags = append(flags, "--platform "+p.String())
	}
	return fault.New(fault.Usage, "%s is for %s, but a volume can hold one platform only", o.Target, strings.ReplaceAll(agent.JoinPlatforms(o.Platforms), ", ", " and ")).
		WithHint("name the platform of the agent's nodes: %s\nor mount an image, which can hold several (Kubernetes 1.35 or later): --image REFERENCE\nor have agents download from a web server, which can serve several: --base-url URL", strings.Join(flags, ", or "))
}

func (o *Options) checkClaim() error {
	if o.Claim == nil {
		return nil
	}
	seed := o.Claim.Seed
	if err := cmp.Or(checkName("--pvc", o.Claim.Name), checkSubPath(o.Claim.SubPath)); err != nil || seed == nil {
		return err
	}
	if job := jobName(o.Claim); !labelForm.MatchString(job) {
		return fault.New(fault.Usage, "%q is not a valid name for the Job that fills the claim", job).
			WithHint("use a claim name of at most %d letters, digits and hyphens", 63-len(jobSuffix))
	}
	if !quantityForm.MatchString(seed.Storage) {
		return fault.New(fault.Usage, "--storage-size %.40q is not a size", seed.Storage).WithHint("for example 5Gi")
	}
	if seed.StorageClass != "" {
		if err := checkName("--storage-class", seed.StorageClass); err != nil {
			return err
		}
	}
	if !slices.Contains(accessModes, seed.AccessMode) {
		return fault.New(fault.Usage, "--access-mode must be one of %s, not %.40q", strings.Join(accessModes, ", "), seed.AccessMode)
	}
	return nil
}

func checkName(flag, name string) error {
	if len(name) > maxSubdomain || !subdomainForm.MatchString(name) {
		return fault.New(fault.Usage, "%s %.80q is not a valid Kubernetes name", flag, name).
			WithHint("use lower-case letters, digits and hyphens, for example botkube-plugins")
	}
	return nil
}

func checkSubPath(p string) error {
	if p == "" {
		return nil
	}
	if !pathForm.MatchString(p) || !filepath.IsLocal(p) || path.Clean(p) != p || p == "." {
		return fault.New(fault.Usage, "--sub-path %.200q is not a relative path in the volume", p).
			WithHint("name a directory of the volume, for example linux-amd64; for the volume itself, give --sub-path ''")
	}
	return nil
}

package mirror

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// Verification is what a mirror was found to be. It is printed as JSON for
// machines: what is here stays as it is, see docs/reference/json-checks.md.
type Verification struct {
	Tool   Tool      `json:"tool"`
	Target string    `json:"target"`
	Kind   form.Kind `json:"kind"`
	// Intact says that there is no problem.
	Intact         bool             `json:"intact"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	// Tag is that of a bundle, an image or the version of a site.
	Tag string `json:"tag,omitempty"`
	// Digest identifies the target: that of the image index of a bundle or an
	// image, of SHA256SUMS of a directory or a site.
	Digest string `json:"digest,omitempty"`
	// Lock is the digest of the lock, as the command lock writes it.
	Lock string `json:"lock,omitempty"`
	// Mount is where an agent must see a directory or an image.
	Mount string `json:"mount,omitempty"`
	// BaseURL is where a site must be served.
	BaseURL string `json:"baseURL,omitempty"`
	// Unpacked says that the archives of a bundle were unpacked as well.
	Unpacked bool            `json:"unpacked,omitempty"`
	Files    []audit.File    `json:"files"`
	Problems []audit.Problem `json:"problems"`
	// Agents are what agents would do, by platform.
	Agents []audit.Prediction `json:"agents"`
	// Replaced are the dependencies that are not the index's.
	Replaced []lock.Replaced `json:"replaced,omitempty"`
	// Against is what the target was compared with.
	Against *Against `json:"against,omitempty"`
	// Values is what an agent with given values would do.
	Values *values.Checked `json:"values,omitempty"`
	// Unverified counts the files of earlier versions that were not looked at.
	Unverified int      `json:"unverified,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	// Bytes is how much was read.
	Bytes int64 `json:"bytes"`

	// place is the one that was given, if the mirror is written for another.
	place *values.Location
	form  *form.Form
}

// Tool is the program that verified, with its version.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Against is a lock that a target was compared with.
type Against struct {
	Target string `json:"target"`
	// Lock is its digest.
	Lock string `json:"lock"`
	// Remade says that every unpacked file was made again of its upstream file, and compared.
	Remade bool `json:"remade,omitempty"`
	// Differences are from it to the target.
	Differences []lock.Difference `json:"differences"`
	// NotCompared are what one of the two has no room for.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
}

// Failure is the error of a mirror that is not intact, or nil: damage is of kind
// [fault.Integrity], and what is only missing [fault.Incomplete]. So is the error of values
// that leave open whether an agent starts.
func (v *Verification) Failure() error {
	if v.Intact && v.Values != nil {
		return v.Values.Failure(form.SourceName(v.Target))
	}
	if v.Intact {
		return nil
	}
	counts := map[audit.Kind]int{}
	kind := fault.Incomplete
	for _, p := range v.Problems {
		counts[p.Kind]++
		if p.Kind != audit.KindMissing && p.Kind != audit.KindUnfit && p.Kind != audit.KindSetting {
			kind = fault.Integrity
		}
	}
	var parts []string
	for _, p := range problemNames {
		if n := counts[p.kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.name))
		}
	}
	found := "is not intact"
	if len(v.Problems) == v.ofValues() {
		found = "is intact, but an agent with these values would not start from it alone"
	}
	return fault.New(kind, "%s %s: %s", form.SourceName(v.Target), found, strings.Join(parts, ", ")).WithHint("%s", v.remedy(counts))
}

// Altered reports whether a file is not what is made again of its upstream files.
func (v *Verification) Altered() bool {
	return slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return p.Kind == audit.KindDiffers && p.Path != "" })
}

var problemNames = []struct {
	kind audit.Kind
	name string
}{
	{audit.KindDamaged, "damaged"},
	{audit.KindMissing, "missing"},
	{audit.KindUnfit, "that an agent cannot run"},
	{audit.KindUnexpected, "unexpected"},
	{audit.KindIndex, "wrong in an index"},
	{audit.KindDiffers, "different from what it is compared with"},
	{audit.KindSetting, "wrong in the values"},
}

func (v *Verification) ofValues() int {
	if v.Values == nil {
		return 0
	}
	return len(v.Values.Problems)
}

// remedy says what to do about a mirror that is not intact.
func (v *Verification) remedy(counts map[audit.Kind]int) string {
	all, indexes := len(v.Problems), counts[audit.KindIndex]
	switch {
	case v.Altered():
		return "what is written beside these files agrees with them, or is gone, and yet they are not what was carried over: find out who altered them before anything runs them\n" + v.rewrite()
	case all == v.ofValues():
		return v.Values.Remedy(v.Target)
	case all == counts[audit.KindUnfit]:
		return "these files are as they were published: pull again without the plugins that need them (--exclude), and tell their publishers"
	case v.place != nil && indexes > 0 && all == indexes+v.ofValues():
		return v.relocate()
	case v.Against != nil && all == len(v.Against.Differences):
		return "no file is damaged, but the lock is for another mirror: name the right lock, or get the right mirror\nif the mirror is a part of the lock, write a lock of that part, with the flags of the pull: botkube-mirror lock --lock FILE FLAGS part.lock.json"
	case slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return strings.HasSuffix(p.Detail, fs.ErrPermission.Error()) }):
		return "run it as a user who may read all of it: what cannot be read may be right"
	case counts[audit.KindUnexpected] > 0 && v.form.Unexpected != "":
		return v.form.Unexpected
	}
	return v.rewrite()
}

func (v *Verification) rewrite() string {
	if strings.HasPrefix(v.Target, form.RegistryPrefix) {
		return "push it again with --force from the bundle, where that is intact, and ask whoever runs the registry to look at its storage: a registry may keep what it has under a digest, damaged as it is, until that is removed there"
	}
	return v.form.Rewrite
}

// relocate says what to do about a mirror that is written for another place.
func (v *Verification) relocate() string {
	if v.form.Access == form.Downloaded {
		return fmt.Sprintf("write it for there: botkube-mirror unpack BUNDLE -o site:DIR --base-url %s\n"+
			"or, if botkube-mirror serve answers there, which writes the indexes anew, say so: --served", v.place.BaseURL)
	}
	return fmt.Sprintf("have the agent see it at %s (plugins.cacheDir, and where the volume is mounted), or write it for %[2]s: unpack, or push, with --mount %[2]s", v.Mount, v.place.Mount)
}

package mirror

import (
	"cmp"
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
	state, details := v.Verdict()
	if len(v.OwnProblems()) == 0 {
		state, details = v.Values.Verdict()
		state = "with these values, the agent " + state
	}
	return fault.New(kind, "%s failed verification: %s", form.SourceName(v.Target), strings.Join(append([]string{state}, details...), ", ")).WithHint("%s", v.remedy(counts))
}

// Verdict says in a few words what the mirror is, without the values, and what is wrong with it.
func (v *Verification) Verdict() (state string, details []string) {
	counts := map[audit.Kind]int{}
	for _, p := range v.OwnProblems() {
		counts[p.Kind]++
	}
	damaged, all := 0, len(v.Files)
	for _, f := range v.Files {
		if f.State == audit.Damaged {
			damaged++
		}
	}
	if len(v.OwnProblems()) == 0 {
		details = []string{fmt.Sprintf("all %d files match the lock", all)}
		if all == 1 {
			details = []string{"its only file matches the lock"}
		}
		if v.Unverified > 0 {
			details = append(details, fmt.Sprintf("%d of earlier versions not checked: prune removes them", v.Unverified))
		}
		return "complete", details
	}
	if v.Misplaced() {
		have, want := v.Mount, v.place.Mount
		if v.form.Access == form.Downloaded {
			have, want = v.BaseURL, v.place.BaseURL
		}
		return fmt.Sprintf("written for %s, not for %s", cmp.Or(have, "another place"), want), nil
	}
	for _, k := range []struct {
		kind          audit.Kind
		state, detail string
	}{
		{audit.KindDamaged, "damaged", "%d damaged"},
		{audit.KindUnexpected, "has unexpected files", "%d unexpected"},
		{audit.KindIndex, "has a wrong index", "%d wrong in an index"},
		{audit.KindDiffers, "differs", "differences: %d"},
		{audit.KindMissing, "incomplete", "%d missing"},
		{audit.KindUnfit, "not usable", "%d that an agent cannot run"},
	} {
		n := counts[k.kind]
		switch {
		case n == 0:
			continue
		case k.kind == audit.KindDamaged && n == damaged:
			details = append(details, fmt.Sprintf("%d of %d files", n, all))
		default:
			details = append(details, fmt.Sprintf(k.detail, n))
		}
		if state == "" {
			state = k.state
		}
		if k.kind == audit.KindDiffers && v.Against != nil && state == k.state {
			state += " from " + form.SourceName(v.Against.Target)
		}
	}
	return state, details
}

// Misplaced reports whether all that is wrong is that agents find the mirror elsewhere.
func (v *Verification) Misplaced() bool {
	return v.place != nil && !slices.ContainsFunc(v.OwnProblems(), func(p audit.Problem) bool { return p.Kind != audit.KindIndex })
}

// OwnProblems are the problems that are not about values.
func (v *Verification) OwnProblems() []audit.Problem {
	if v.Values == nil {
		return v.Problems
	}
	return slices.DeleteFunc(slices.Clone(v.Problems), func(p audit.Problem) bool { return slices.Contains(v.Values.Problems, p) })
}

// Altered reports whether a file is not what is made again of its upstream files.
func (v *Verification) Altered() bool {
	return slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return p.Kind == audit.KindDiffers && p.Path != "" })
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
		return "somebody changed these files and hid it: the checksums beside them were changed too, or removed. Find out who did it before an agent runs them\n" + v.rewrite()
	case all == v.ofValues():
		return v.Values.Remedy(v.Target)
	case all == counts[audit.KindUnfit]:
		return "the publishers released these files so: pull again without the plugins that need them (--exclude), and report it to the publishers"
	case v.place != nil && indexes > 0 && all == indexes+v.ofValues():
		return v.relocate()
	case v.Against != nil && all == len(v.Against.Differences):
		return "no file is damaged, but the lock is for another mirror: name the right lock, or get the right mirror\nif the mirror is a part of the lock, write a lock of that part: botkube-mirror lock --lock FILE FLAGS-OF-THE-PULL part.lock.json"
	case slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return strings.HasSuffix(p.Detail, fs.ErrPermission.Error()) }):
		return "run verify as a user who can read all files: those that cannot be read may be right"
	case counts[audit.KindUnexpected] > 0 && v.form.Unexpected != "":
		return v.form.Unexpected
	}
	return v.rewrite()
}

func (v *Verification) rewrite() string {
	if strings.HasPrefix(v.Target, form.RegistryPrefix) {
		return "push the intact bundle again with --force\nif that does not help, ask the registry's administrator to remove the damaged blob: many registries keep what they have under a digest"
	}
	return v.form.Rewrite
}

// relocate says what to do about a mirror that is written for another place.
func (v *Verification) relocate() string {
	if v.form.Access == form.Downloaded {
		return fmt.Sprintf("write the site for that URL: botkube-mirror unpack BUNDLE -o site:DIR --base-url %s\n"+
			"if botkube-mirror serve answers there, which rewrites the indexes, add --served", v.place.BaseURL)
	}
	return fmt.Sprintf("mount it at %s and set plugins.cacheDir to that path\nor write it for %[2]s: unpack or push again with --mount %[2]s", v.Mount, v.place.Mount)
}

package mirror

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// VerifyOptions say what [Session.Verify] does.
type VerifyOptions struct {
	// Target is a path, docker://REFERENCE, or "-" for Stdin.
	Target string
	Stdin  io.Reader
	// Against is a lock, or another mirror, that the target is compared with; or empty.
	Against string
	// Unpack has the archives of a bundle unpacked too, as an agent's directory
	// needs them.
	Unpack bool
	// Values are the paths of values files: whether an agent with these would start from
	// the target alone. The options say what else counts.
	Values []string
	values.CheckOptions
	// ToolVersion is that of this program.
	ToolVersion string
}

// Verification is what a mirror was found to be. It is printed as JSON for
// machines: what is here stays as it is, see docs/verify.md.
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
	// form is that of the mirror.
	form *form.Form
}

// Tool is the program that verified.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Against is a lock that a target was compared with.
type Against struct {
	Target string `json:"target"`
	// Lock is its digest.
	Lock string `json:"lock"`
	// Remade says that every unpacked file was made again of its upstream file, and
	// compared.
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
		return v.Values.Failure(v.name())
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
	for _, k := range []audit.Kind{audit.KindDamaged, audit.KindMissing, audit.KindUnfit, audit.KindUnexpected, audit.KindIndex, audit.KindDiffers, audit.KindSetting} {
		if n := counts[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, problemNames[k]))
		}
	}
	found := "is not intact"
	if v.Values != nil && len(v.Problems) == len(v.Values.Problems) {
		found = "is intact, but an agent with these values would not start from it alone"
	}
	return fault.New(kind, "%s %s: %s", v.name(), found, strings.Join(parts, ", ")).WithHint("%s", v.remedy(counts))
}

// Altered reports whether a file is not what is made again of its upstream files.
func (v *Verification) Altered() bool {
	return slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return p.Kind == audit.KindDiffers && p.Path != "" })
}

var problemNames = map[audit.Kind]string{
	audit.KindDamaged: "damaged", audit.KindMissing: "missing", audit.KindUnexpected: "unexpected", audit.KindUnfit: "that an agent cannot run",
	audit.KindSetting: "wrong in the values", audit.KindIndex: "wrong in an index", audit.KindDiffers: "different from what it is compared with",
}

func (v *Verification) name() string {
	if v.Target == form.StandardStream {
		return "standard input"
	}
	return v.Target
}

// remedy says what to do about a mirror that is not intact.
func (v *Verification) remedy(counts map[audit.Kind]int) string {
	if v.Altered() {
		return "what is written beside these files agrees with them, or is gone, and yet they are not what was carried over: find out who altered them before anything runs them\n" + v.rewrite()
	}
	if v.Values != nil && len(v.Problems) == len(v.Values.Problems) {
		return v.Values.Remedy(v.Target)
	}
	if len(v.Problems) == counts[audit.KindUnfit] {
		return "these files are as they were published: pull again without the plugins that need them (--exclude), and tell their publishers"
	}
	if v.onlyMisplaced() {
		return v.relocate()
	}
	if v.Against != nil && len(v.Problems) == len(v.Against.Differences) {
		return "it is whole, but another mirror than that of the lock: name the right lock, or get the right mirror"
	}
	if slices.ContainsFunc(v.Problems, func(p audit.Problem) bool { return strings.HasSuffix(p.Detail, fs.ErrPermission.Error()) }) {
		return "run it as a user who may read all of it: what cannot be read may be right"
	}
	if counts[audit.KindUnexpected] > 0 && v.form.Unexpected != "" {
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

// verifying is one run of [Session.Verify].
type verifying struct {
	*Session
	options VerifyOptions
	// found is what the mirror turned out to be.
	found  form.Audit
	result *Verification
	// misplaced says that it is written for another place than the one that is given.
	misplaced bool
	read      atomic.Int64
}

// Verify reads every byte of a mirror, and tells everything that is wrong with
// it. An error says why that could not be found out; whether the mirror is intact,
// [Verification.Failure] does.
func (s *Session) Verify(ctx context.Context, o VerifyOptions) (*Verification, error) {
	v := &verifying{Session: s, options: o, result: &Verification{
		Tool: Tool{"botkube-mirror", o.ToolVersion}, Target: o.Target, Platforms: []agent.Platform{},
	}}
	if err := v.options.Check(); err != nil {
		return nil, err
	}
	if err := v.tryValues(ctx); err != nil {
		return nil, err
	}
	other, err := v.other(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.target(ctx); err != nil {
		return nil, err
	}
	v.located()
	if err := v.against(ctx, other); err != nil {
		return nil, err
	}
	if err := v.values(); err != nil {
		return nil, err
	}
	return v.finish()
}

// target finds out what the target is, and looks at all of it. Of a registry, nothing
// is taken from the store, and nothing is kept.
func (v *verifying) target(ctx context.Context) error {
	direct := *v.Session
	direct.Store = nil
	p, err := direct.locate(ctx, v.options.Target, v.options.Stdin)
	if err != nil {
		return err
	}
	v.found.AuditOptions = form.AuditOptions{
		Mount: v.options.Mount, BaseURL: v.options.BaseURL, Served: v.options.Served, Unpack: v.options.Unpack,
		Parallel: v.Parallel, Accept: v.accept, Hashed: v.hashed,
		Planned: func(total int64, files int) {
			v.Observe(Event{Kind: EventPlanned, Count: files, Total: total})
		},
	}
	if err := forms.All.Audit(ctx, p, &v.found); err != nil {
		return err
	}
	r := v.result
	r.form, r.Kind = v.found.Form, v.found.Form.Kind
	r.Tag, r.Digest, r.Mount, r.BaseURL = v.found.Tag, v.found.Digest, v.found.FoundMount, v.found.FoundBaseURL
	r.Unpacked, v.misplaced = v.found.Unpacked, v.found.Misplaced
	r.Platforms = append(r.Platforms, v.found.Platforms...)
	return nil
}

// accept refuses options that make no sense for what the target is.
func (v *verifying) accept(f *form.Form) error {
	switch {
	case v.options.Unpack && !f.Packed:
		return fault.New(fault.Usage, "only a bundle has archives to unpack, and %s is none", v.result.name()).WithHint("leave out --unpack: what is in it is unpacked already, or never was packed")
	case v.options.Served && f.Serve == nil:
		return fault.New(fault.Usage, "%s has no upstream files that could be served", v.result.name()).
			WithHint("leave out --served: agents mount what is in it")
	}
	return nil
}

func (v *verifying) finish() (*Verification, error) {
	r := v.result
	if v.found.Lock != nil {
		data, err := v.found.Lock.Marshal()
		if err != nil {
			return nil, err
		}
		r.Lock = lock.Sum(data).OCI()
		r.BotkubeVersion, r.Platforms = v.found.Lock.BotkubeVersion, v.found.Lock.Platforms
	}
	r.Files, r.Problems, r.Agents, r.Notes = v.found.Files(), v.found.Problems(), v.found.Predictions(), v.found.Notes()
	r.Unverified = v.found.Left()
	for _, o := range r.Agents {
		// A call to elsewhere always has a cause among the problems; should it
		// have none, it is one.
		if len(r.Problems) == 0 && len(o.External)+len(o.Failures) > 0 {
			r.Problems = append(r.Problems, audit.Problem{Kind: audit.KindIndex, Detail: "an agent for " + o.Platform.String() + " would not start from it alone"})
		}
	}
	r.Intact, r.Bytes = len(r.Problems) == 0, v.read.Load()
	if v.misplaced {
		r.place = &v.options.Location
	}
	// To a machine, an empty list is one.
	r.Files = append([]audit.File{}, r.Files...)
	r.Problems = append([]audit.Problem{}, r.Problems...)
	r.Agents = append([]audit.Prediction{}, r.Agents...)
	return r, nil
}

// hashed counts what was read, and tells of it.
func (v *verifying) hashed(n int64) {
	v.read.Add(n)
	v.Observe(Event{Kind: EventProgress, Subject: v.options.Target, Bytes: n})
}

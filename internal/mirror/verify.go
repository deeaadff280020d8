package mirror

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
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
	// Against is a lock, or another mirror, that the target is compared with; or empty.
	Against string
	// Unpack has the archives of a bundle unpacked too, as an agent's directory needs them.
	Unpack bool
	// Values are the paths of values files: whether an agent with these would start from
	// the target alone. The options say what else counts.
	Values []string
	values.CheckOptions
	// ToolVersion is that of this program.
	ToolVersion string
}

type verifying struct {
	*Session
	options VerifyOptions
	found   form.Audit
	result  *Verification
	read    atomic.Int64
}

// Verify reads every byte of a mirror, and tells everything that is wrong with it. An error says
// why that could not be found out; whether the mirror is intact, [Verification.Failure] does.
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
	if other != nil {
		defer other.Close()
	}
	if err := v.target(ctx); err != nil {
		return nil, err
	}
	if err := v.against(ctx, other); err != nil {
		return nil, err
	}
	if err := v.values(); err != nil {
		return nil, err
	}
	return v.finish()
}

// Of a registry, nothing is taken from the store, and nothing is kept.
func (v *verifying) target(ctx context.Context) error {
	direct := *v.Session
	direct.Store = nil
	p, err := direct.locate(ctx, v.options.Target)
	if err != nil {
		return err
	}
	v.found.AuditOptions = form.AuditOptions{
		Mount: v.options.Mount, BaseURL: v.options.BaseURL, Served: v.options.Served, Unpack: v.options.Unpack,
		Parallel: v.Parallel, Accept: v.accept,
		Hashed: func(n int64) { v.read.Add(n) },
		Planned: func(total int64, files int) {
			v.Observe(Event{Kind: EventPlanned, Activity: Verifying, Count: files, Total: total})
		},
	}
	if err := forms.All.Audit(v.watched(ctx, v.options.Target), p, &v.found); err != nil {
		return err
	}
	v.located()
	return nil
}

// accept refuses options that make no sense for what the target is.
func (v *verifying) accept(f *form.Form) error {
	switch {
	case v.options.Unpack && !f.Packed:
		return fault.New(fault.Usage, "--unpack is for bundles only, and %s is not one", form.SourceName(v.result.Target)).WithHint("leave out --unpack: its files are unpacked already")
	case v.options.Served && f.Serve == nil:
		return fault.New(fault.Usage, "--served is for mirrors that can be served, and %s cannot", form.SourceName(v.result.Target)).
			WithHint("leave out --served: agents mount it")
	}
	return nil
}

// located compares the place that a mirror is written for with the one that is given.
func (v *verifying) located() {
	access, o := v.found.Form.Access, v.options
	switch {
	case o.BaseURL != "" && access == form.Mounted:
		v.found.Note("--base-url is ignored: agents mount this mirror")
	case o.Mount != "" && access == form.Downloaded:
		v.found.Note("--mount is ignored: agents download this mirror")
	case o.BaseURL+o.Mount != "" && access == form.Carried && len(o.Values) == 0:
		v.found.Note("--base-url and --mount are ignored: for a bundle, they count only with --values")
	}
	found := v.found.FoundMount
	v.found.Misplaced = v.found.Misplaced || access == form.Mounted && o.Mount != "" && found != "" && found != o.Mount
}

// tryValues reads the values first, for they may be wrong, and to verify may take long.
func (v *verifying) tryValues(ctx context.Context) (err error) {
	if len(v.options.Values) == 0 {
		return nil
	}
	if v.options.Files, err = configured.Files(ctx, v.options.Values); err != nil {
		return err
	}
	_, err = configured.Read(chart.Newest, v.options.Files, v.options.AllEnabled)
	return err
}

func (v *verifying) values() (err error) {
	o := v.options
	if len(o.Values) == 0 {
		return nil
	}
	if v.found.Lock == nil && v.found.Form.Access == form.Downloaded {
		return fault.New(fault.Usage, "%s has several versions, and an agent uses one", form.SourceName(v.result.Target)).
			WithHint("name a version: botkube-mirror verify %s/VERSION --values …", o.Target)
	}
	m := &form.Mirror{Form: v.found.Form, Lock: v.found.Lock, Mount: v.found.FoundMount, BaseURL: v.found.FoundBaseURL}
	v.result.Values, err = values.Check(&v.found.Report, m, o.CheckOptions)
	return err
}

func (v *verifying) finish() (*Verification, error) {
	r := v.result
	r.form, r.Kind = v.found.Form, v.found.Form.Kind
	r.Tag, r.Digest, r.Mount, r.BaseURL = v.found.Tag, v.found.Digest, v.found.FoundMount, v.found.FoundBaseURL
	r.Unpacked, r.Platforms = v.found.Unpacked, append(r.Platforms, v.found.Platforms...)
	if v.found.Lock != nil {
		data, err := v.found.Lock.Marshal()
		if err != nil {
			return nil, err
		}
		r.Lock = lock.Sum(data).OCI()
		r.BotkubeVersion, r.Platforms = v.found.Lock.BotkubeVersion, v.found.Lock.Platforms
	}
	// To a machine, an empty list is one.
	r.Files, r.Problems = append([]audit.File{}, v.found.Files()...), append([]audit.Problem{}, v.found.Problems()...)
	r.Agents = append([]audit.Prediction{}, v.found.Predictions()...)
	r.Notes, r.Unverified = v.found.Notes(), v.found.Left()
	for _, g := range v.found.StartStates() {
		for _, d := range lock.ReplacedIn(g.Lock.Plugins) {
			if !slices.Contains(r.Replaced, d) {
				r.Replaced = append(r.Replaced, d)
			}
		}
	}
	for _, o := range r.Agents {
		// A problem causes each call that leaves the mirror. If there is none, the call is a problem.
		if len(r.Problems) == 0 && len(o.External)+len(o.Failures) > 0 {
			r.Problems = append(r.Problems, audit.Problem{Kind: audit.KindIndex, Detail: "an agent on " + o.Platform.String() + " would not start offline"})
		}
	}
	r.Intact, r.Bytes = len(r.Problems) == 0, v.read.Load()
	if v.found.Misplaced {
		r.place = &v.options.Location
	}
	return r, nil
}

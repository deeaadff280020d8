package mirror

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// other opens what the target is compared with, before all of the target is read in vain.
func (v *verifying) other(ctx context.Context) (*form.Mirror, error) {
	if v.options.Against == "" {
		return nil, nil
	}
	if err := checkStandardInput(v.options.Target, v.options.Against); err != nil {
		return nil, err
	}
	return v.open(ctx, v.options.Against)
}

// against compares the target with another mirror's lock, if there is one.
func (v *verifying) against(ctx context.Context, other *form.Mirror) error {
	if other == nil {
		return nil
	}
	if v.found.Lock == nil && len(v.found.Platforms) > 0 && len(v.found.Problems()) == 0 {
		return fault.New(fault.Usage, "%s has several versions, and each has its own lock", v.options.Target).
			WithHint("name a version: %s", filepath.Join(strings.TrimPrefix(v.options.Target, "site:"), "VERSION"))
	}
	if v.found.Lock == nil {
		v.found.Note(fmt.Sprintf("not compared with %s: this mirror has no lock that can be read", v.options.Against))
		return nil // why is a problem already
	}
	data, err := other.Lock.Marshal()
	if err != nil {
		return err
	}
	compared := &Against{Target: v.options.Against, Lock: lock.Sum(data).OCI()}
	v.result.Against = compared
	v.compare(compared, other)
	if other.Packed && v.found.FileAt != nil && v.options.Against != form.StandardStream {
		compared.Remade, err = v.remake(ctx, compared.Target)
	}
	return err
}

func (v *verifying) compare(compared *Against, other *form.Mirror) {
	wanted, have := other.Lock, v.found.Lock
	if v.found.Form.Partial {
		var both, more []agent.Platform
		for _, p := range wanted.Platforms {
			if slices.Contains(have.Platforms, p) {
				both = append(both, p)
			} else {
				more = append(more, p)
			}
		}
		if len(both) > 0 && len(more) > 0 {
			v.found.Note(fmt.Sprintf("%s is also for %s: only the platforms of the directory are compared", compared.Target, agent.JoinPlatforms(more)))
			wanted = wanted.Subset(both, func(lock.Plugin) bool { return true })
		}
	}
	wanted, have, compared.NotCompared = comparableParts(other.Form, v.found.Form, wanted, have)
	compared.Differences = differences(wanted, have)
	for _, d := range compared.Differences {
		p := audit.Problem{Kind: audit.KindDiffers, Detail: d.String()}
		switch d.Change {
		case lock.Added:
			p.Detail = d.What() + " is here, but not in " + form.SourceName(compared.Target)
		case lock.Removed:
			p = audit.Problem{Kind: audit.KindMissing, Detail: d.What() + " is in " + form.SourceName(compared.Target) + ", but not here"}
		}
		v.found.Fail(p)
	}
}

// remake makes each unpacked file again from a bundle, and compares it. All is false if a file
// could not be compared: the bundle lacks its archive, or it is among the problems already.
func (v *verifying) remake(ctx context.Context, bundle string) (all bool, err error) {
	from, err := v.openSource(ctx, bundle)
	if err != nil {
		return false, err
	}
	defer from.close()
	type key struct {
		platform agent.Platform
		path     string
	}
	// SHA256SUMS may be damaged, so the digests are those of the files that were read. Damaged
	// files were reported already.
	found := map[key]lock.SHA256{}
	for _, f := range v.found.Files() {
		for _, p := range f.Platforms {
			if f.State == audit.Intact && f.SHA256 != nil {
				found[key{p, f.Path}] = *f.SHA256
			}
		}
	}
	pinned := map[lock.SHA256]bool{}
	for _, a := range from.Lock.Artifacts {
		pinned[a.SHA256] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	all = true
	for _, p := range v.found.Lock.Platforms {
		for _, f := range v.found.Lock.Files(p) {
			if _, pinned := f.Pinned(); pinned {
				continue // it was compared with the lock
			}
			k := key{p, v.found.FileAt(p, f.Path)}
			have, ok := found[k]
			if !ok || !pinned[f.Artifact.SHA256] {
				all = false // what only one of the two has is a difference already
				continue
			}
			group.Go(func() error { return v.remakeFile(ctx, from, p, f, k.path, have) })
		}
	}
	return all, group.Wait()
}

func (v *verifying) remakeFile(ctx context.Context, from *source, p agent.Platform, f lock.File, at string, have lock.SHA256) error {
	if from.Obtain != nil {
		if _, err := from.Obtain(ctx, f.Artifact.Blob); err != nil {
			return err
		}
	}
	made := blob.NewDigest()
	if err := from.Plugins.Make(ctx, p, f, made); err != nil {
		return err
	}
	if want := made.Blob(); have != want.SHA256 {
		v.found.Fail(audit.Problem{Kind: audit.KindDiffers, Path: at, Detail: fmt.Sprintf("its sha256 is %s, but the file unpacked from %s has %s", have, agent.Redact(f.Artifact.URL), want.SHA256)})
	}
	return nil
}

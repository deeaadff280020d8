package push

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// Referrers is a value of --skip: signatures and other referrers of all parts.
const Referrers Part = "referrers"

// ReferrerResult is a referrer of one of a part's manifests.
type ReferrerResult struct {
	Digest string `json:"digest"`
	// Subject is the digest of the manifest that it refers to.
	Subject string `json:"subject"`
	// Tag is cosign's tag for it, or empty.
	Tag string `json:"tag,omitempty"`
	// Type is its artifact type, a media type.
	Type string `json:"type,omitempty"`
	// Size is the size of its blobs in bytes.
	Size int64 `json:"size"`
	// Changed says whether it was sent or, in a dry run, would be.
	Changed bool `json:"changed"`
	// NotCopied says why it was not copied; empty if it was.
	NotCopied string `json:"notCopied,omitempty"`
}

// subjects returns the digests of a part's manifests.
func (p *push) subjects(part Part) ([]lock.SHA256, error) {
	to := p.destinations[part]
	all := slices.Clone(to.below)
	if part != Image {
		_, below, err := p.documents(part)
		if err != nil {
			return nil, err
		}
		for _, d := range below {
			all = append(all, d.Blob().SHA256)
		}
	}
	return append(all, to.top.Blob().SHA256), nil
}

// from returns the repository of a part in the source's registry, beside the bundle's, and the digest
// of its tag there.
func (p *push) from(ctx context.Context, part Part) (repo *registry.Repository, tagged lock.SHA256, err error) {
	if part == Bundle {
		return p.Origin.Repository, p.Origin.Digest, nil
	}
	prefix, beside := strings.CutSuffix(p.Origin.Repository.Name().String(), "/"+kinds[Bundle].path)
	if !beside {
		return nil, tagged, fault.New(fault.Usage, "the repository of the %s is not known, because %s does not end in /%s", part, p.Origin.Repository.Name(), kinds[Bundle].path)
	}
	tag := p.tagsOf(part)[0]
	if part == Image {
		tag = cmp.Or(p.Origin.Tag, p.bundle.Tag)
	}
	// The source may have the chart at the default path, even if ChartPath is another one here.
	// Registries may refuse a repository that does not exist.
	var refused error
	for _, path := range slices.Compact([]string{p.options.path(part), kinds[part].path}) {
		name, err := below(prefix, path)
		if err != nil {
			return nil, tagged, err
		}
		var m registry.Manifest
		there, err := p.Origin.Registry.Repository(ctx, name, false)
		if err == nil {
			repo = there
			m, err = repo.Manifest(ctx, tag)
		}
		switch {
		case err == nil:
			return repo, m.Digest, nil
		case registry.RefusalOf(err) == registry.NotRefused:
			return nil, tagged, err
		case there == nil || !registry.IsNotFound(err):
			refused = err
		}
	}
	return repo, tagged, refused
}

// copyReferrers copies the referrers of a part from the source's registry to the other one. It
// returns how many bytes it sent.
func (p *push) copyReferrers(ctx context.Context, part Part, result *PartResult) (sent int64, err error) {
	to := p.destinations[part]
	if p.Origin == nil || slices.Contains(p.options.Skip, Referrers) || to.refused {
		return 0, nil
	}
	if to.top.Data == nil {
		result.ReferrersUnknown = "the digest is not known yet"
		return 0, nil
	}
	repo, tagged, err := p.from(ctx, part)
	if refusal := registry.RefusalOf(err); refusal == registry.RefusedAccess || refusal == registry.RefusedRepository || refusal == registry.RefusedCredentials || fault.KindOf(err) == fault.Usage {
		// The user did not name this repository, and may have no right to read it.
		result.ReferrersUnknown = registry.RefusalText(err)
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	subjects, err := p.subjects(part)
	if err != nil {
		return 0, err
	}
	found := &search{repo: repo, parallel: 6 * p.Parallel}
	if err := found.run(ctx, subjects); err != nil {
		return 0, err
	}
	result.Referrers = found.left
	if tagged != (lock.SHA256{}) && !slices.Contains(subjects, tagged) {
		stale := &search{repo: repo, parallel: 6 * p.Parallel}
		if err := stale.run(ctx, []lock.SHA256{tagged}); err != nil {
			return 0, err
		}
		for _, r := range stale.found {
			left := r.result()
			left.NotCopied = "it refers to another " + string(part) + " than the one that is pushed"
			result.Referrers = append(result.Referrers, left)
		}
	}
	u := &uploader{push: p, destination: to}
	for _, group := range bySubject(found.found) {
		results, err := u.refer(ctx, repo, group)
		if err != nil {
			return 0, err
		}
		result.Referrers = append(result.Referrers, results...)
	}
	return u.sent.Load(), nil
}

// bySubject groups sorted referrers.
func bySubject(all []*referrer) (groups [][]*referrer) {
	for i, r := range all {
		if i == 0 || all[i-1].subject != r.subject {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], r)
	}
	return groups
}

// refer copies the referrers of one manifest.
func (u *uploader) refer(ctx context.Context, from *registry.Repository, all []*referrer) (results []ReferrerResult, err error) {
	subject := all[0].subject
	there, keeps, err := u.repo.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	var unlisted []registry.Referrer
	for _, r := range all {
		result := r.result()
		changed, err := u.lacks(ctx, r, there)
		if result.Changed = changed; err != nil {
			result.NotCopied = err.Error()
		}
		if err := u.inTheWay(u.destination, err); err != nil {
			return nil, err
		}
		results = append(results, result)
		if u.options.DryRun || !result.Changed && !u.options.Force {
			continue
		}
		if err := u.sendBlobs(ctx, from, r); err != nil {
			return nil, err
		}
		if !result.Changed { // only blobs that the registry had lost were sent
			continue
		}
		listed, err := u.sendReferrer(ctx, r)
		if err != nil {
			return nil, err
		}
		if r.tag == "" && !listed && !keeps {
			unlisted = append(unlisted, r.descriptor())
		}
	}
	if len(unlisted) > 0 {
		err = u.repo.AddReferrers(ctx, subject, unlisted)
	}
	return results, err
}

// lacks reports whether the registry lacks a referrer. It returns an error if cosign's tag has other
// content, unless Force is set.
func (u *uploader) lacks(ctx context.Context, r *referrer, listed []registry.Referrer) (bool, error) {
	if r.tag == "" && !slices.ContainsFunc(listed, func(d registry.Referrer) bool { return d.Digest == r.Digest.OCI() }) {
		return true, nil
	}
	there, err := u.repo.Manifest(ctx, cmp.Or(r.tag, r.Digest.OCI()))
	switch {
	case registry.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, err
	case there.Digest == r.Digest:
		return false, nil
	}
	// cosign adds signatures to a tag's manifest, each as a layer.
	other := &referrer{Manifest: there}
	if err := other.read(); err == nil && other.covers(r) {
		return false, nil
	} else if err == nil && r.covers(other) {
		return true, nil
	}
	if u.options.Force {
		return true, nil
	}
	return false, fault.New(fault.Integrity, "%s exists with other content: it is %s, but would be %s", r.name(u.repo), there.Digest.OCI(), r.Digest.OCI()).
		WithHint("replace the signatures in this registry with --force, or keep them with --skip referrers: both sides were signed")
}

// covers reports whether a manifest has all layers of another one.
func (r *referrer) covers(other *referrer) bool {
	return len(other.document.Layers) > 0 && !slices.ContainsFunc(other.document.Layers, func(l referred) bool { return !slices.ContainsFunc(r.document.Layers, l.equal) })
}

// sendBlobs sends the blobs of a referrer that the registry lacks.
func (u *uploader) sendBlobs(ctx context.Context, from *registry.Repository, r *referrer) error {
	u.Observer.Planned(len(r.blobs), lock.SizeOf(r.blobs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(u.Parallel)
	for _, b := range r.blobs {
		group.Go(func() error {
			return u.one(groupCtx, b, func() (blob.File, error) {
				if _, err := u.Origin.Fetch(groupCtx, from, b); err != nil {
					return nil, err
				}
				return u.Origin.Store.Open(b.SHA256)
			})
		})
	}
	return group.Wait()
}

// sendReferrer sends the manifest of a referrer. Listed reports whether the registry lists it itself.
func (u *uploader) sendReferrer(ctx context.Context, r *referrer) (listed bool, err error) {
	for _, m := range r.below {
		if err := u.repo.PutManifest(ctx, m.Digest.OCI(), m.MediaType, m.Data); err != nil {
			return false, err
		}
	}
	if r.tag != "" {
		return false, u.repo.PutManifest(ctx, r.tag, r.MediaType, r.Data)
	}
	return u.repo.PutReferrer(ctx, r.Manifest)
}

// referring returns the error for a part's referrers, with a hint.
func (p *push) referring(ctx context.Context, part Part, err error) error {
	if ctx.Err() != nil {
		return err
	}
	hint := "publish without signatures and other referrers: --skip referrers"
	if before := fault.HintOf(err); strings.Contains(before, "--skip referrers") {
		hint = before
	} else if before != "" {
		hint = before + "\n" + hint
	}
	return fault.New(fault.KindOf(err), "copying the referrers of %s: %w", p.destinations[part], err).WithHint("%s", hint)
}

package push

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Referrers, as something to skip, are signatures and whatever else refers to a part.
const Referrers Part = "referrers"

// cosignTags are the ends of the tags by which cosign finds what it attaches: sha256-HEX.sig
// (sigstore/cosign, pkg/oci/remote/remote.go).
var cosignTags = []string{".sig", ".att", ".sbom"}

// maxReferrerBytes bounds what the referrers of a part consist of: SBOMs have megabytes.
// maxReferrerManifests bounds their manifests in bytes, which are kept in memory, and maxReferrerBlobs
// the blobs of one.
const (
	maxReferrerBytes     = 4 << 30
	maxReferrerManifests = 64 << 20
	maxReferrerBlobs     = 1000
)

// ReferrerResult is a manifest that refers to one of a part's.
type ReferrerResult struct {
	Digest string `json:"digest"`
	// Subject is what it refers to.
	Subject string `json:"subject"`
	// Tag is the one by which cosign finds it, if it has one.
	Tag string `json:"tag,omitempty"`
	// Type says what it is, as a media type.
	Type string `json:"type,omitempty"`
	// Size is that of its blobs in bytes.
	Size int64 `json:"size"`
	// Changed says whether it was sent, or would be: the registry did not have or list it.
	Changed bool `json:"changed"`
	// NotCopied says why it stayed behind.
	NotCopied string `json:"notCopied,omitempty"`
}

// referrer is a manifest that refers to another one, as the source has it.
type referrer struct {
	registry.Manifest
	subject lock.SHA256
	// tag is cosign's. What has none has a subject in its manifest.
	tag      string
	document referring
	// below are the manifests of an index, which come before it.
	below []registry.Manifest
	blobs []lock.Blob
}

// referring is what is read of a manifest or an index.
type referring struct {
	ArtifactType string            `json:"artifactType"`
	Config       *referred         `json:"config"`
	Layers       []referred        `json:"layers"`
	Manifests    []referred        `json:"manifests"`
	Subject      *referred         `json:"subject"`
	Annotations  map[string]string `json:"annotations"`
}

type referred struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	// Annotations of a layer of cosign's have the signature: what is signed is the same for each key.
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (d referred) equal(other referred) bool {
	return d.MediaType == other.MediaType && d.Digest == other.Digest && d.Size == other.Size && maps.Equal(d.Annotations, other.Annotations)
}

// kind says what a referrer is. That of a manifest without artifactType is its configuration's
// (distribution specification, "Listing Referrers").
func (d referring) kind() string {
	if d.ArtifactType == "" && d.Config != nil {
		return d.Config.MediaType
	}
	return d.ArtifactType
}

// descriptor is what a list says of the referrer.
func (r *referrer) descriptor() registry.Referrer {
	return registry.Referrer{
		MediaType: r.MediaType, Digest: r.Digest.OCI(), Size: int64(len(r.Data)),
		ArtifactType: r.document.kind(), Annotations: r.document.Annotations,
	}
}

func (r *referrer) result() ReferrerResult {
	kind := r.document.kind()
	if r.tag != "" && len(r.document.Layers) > 0 {
		kind = r.document.Layers[0].MediaType // the configuration is that of an image
	}
	return ReferrerResult{Digest: r.Digest.OCI(), Subject: r.subject.OCI(), Tag: r.tag, Type: oci.Clip(kind), Size: lock.SizeOf(r.blobs)}
}

// search looks for all that refers to manifests of a repository, and to what it finds.
type search struct {
	repo *registry.Repository
	// parallel is how many manifests are asked for at a time.
	parallel int

	mu    sync.Mutex
	seen  map[lock.SHA256]bool
	found []*referrer
	left  []ReferrerResult
	// size is that of the blobs, and documents that of the manifests.
	size, documents int64
}

func (s *search) run(ctx context.Context, subjects []lock.SHA256) error {
	s.seen = map[lock.SHA256]bool{}
	for len(subjects) > 0 {
		before := len(s.found)
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(s.parallel)
		for _, subject := range subjects {
			if s.seen[subject] {
				continue
			}
			s.seen[subject] = true
			group.Go(func() error { return s.about(groupCtx, subject) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		// What was found may be signed, too.
		subjects = nil
		for _, r := range s.found[before:] {
			subjects = append(subjects, r.Digest)
		}
	}
	order := func(a, b *referrer) int {
		return cmp.Or(strings.Compare(a.subject.String(), b.subject.String()), strings.Compare(a.tag, b.tag), strings.Compare(a.Digest.String(), b.Digest.String()))
	}
	slices.SortFunc(s.found, order)
	slices.SortFunc(s.left, func(a, b ReferrerResult) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), strings.Compare(a.Digest, b.Digest))
	})
	return nil
}

// about looks for what refers to one manifest.
func (s *search) about(ctx context.Context, subject lock.SHA256) error {
	listed, _, err := s.repo.Referrers(ctx, subject)
	if err != nil {
		return err
	}
	for _, d := range listed {
		if err := s.listed(ctx, subject, d); err != nil {
			return err
		}
	}
	for _, end := range cosignTags {
		tag := "sha256-" + subject.String() + end
		m, err := s.repo.Manifest(ctx, tag)
		if registry.IsNotFound(err) {
			continue
		}
		if err == nil {
			err = s.add(ctx, &referrer{Manifest: m, subject: subject, tag: tag})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listed takes what a list names. A list is made by whoever may write to the repository.
func (s *search) listed(ctx context.Context, subject lock.SHA256, d registry.Referrer) error {
	leave := func(why string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left = append(s.left, ReferrerResult{Digest: fmt.Sprintf("%.200s", d.Digest), Subject: subject.OCI(), Type: oci.Clip(d.ArtifactType), NotCopied: why})
		if len(s.left) > registry.MaxReferrers {
			return s.tooMany()
		}
		return nil
	}
	digest, err := registry.ParseDigest(d.Digest)
	if err != nil {
		return leave("its digest is not a sha256 one")
	}
	m, err := s.repo.Manifest(ctx, digest.OCI())
	if registry.IsNotFound(err) {
		return leave("the registry lists it, but does not have it")
	}
	if err != nil {
		return err
	}
	r := &referrer{Manifest: m, subject: subject}
	if !lock.IsManifest(m.MediaType) && !lock.IsIndex(m.MediaType) {
		return leave(fmt.Sprintf("manifests of type %.100q are not copied", m.MediaType))
	}
	if err := r.read(); err != nil {
		return leave(err.Error())
	}
	if r.document.Subject == nil || r.document.Subject.Digest != subject.OCI() {
		return leave("it is listed, but refers to something else")
	}
	return s.add(ctx, r)
}

// read parses the manifest.
func (r *referrer) read() error {
	if err := json.Unmarshal(r.Data, &r.document); err != nil {
		return fmt.Errorf("its manifest cannot be read: %w", textfile.JSONError(r.Data, err))
	}
	return nil
}

// add takes a referrer, with the manifests of an index.
func (s *search) add(ctx context.Context, r *referrer) error {
	if err := r.read(); err != nil {
		return fault.New(fault.Integrity, "%s: %w", r.name(s.repo), err)
	}
	if err := s.take(r.Manifest); err != nil {
		return err
	}
	documents := []referring{r.document}
	for _, d := range r.document.Manifests {
		digest, err := registry.ParseDigest(d.Digest)
		if err != nil || len(r.document.Manifests) > lock.MaxIndexed {
			return fault.New(fault.Integrity, "%s names %.80q, or more than %d manifests", r.name(s.repo), d.Digest, lock.MaxIndexed)
		}
		m, err := s.repo.Manifest(ctx, digest.OCI())
		if err != nil {
			return err
		}
		one := &referrer{Manifest: m}
		err = one.read()
		if err == nil && len(one.document.Manifests) > 0 {
			err = errors.New("it is an index")
		}
		if err != nil {
			return fault.New(fault.Integrity, "%s: what it names as %s is no manifest: %w", r.name(s.repo), digest.OCI(), err)
		}
		if err := s.take(m); err != nil {
			return err
		}
		r.below, documents = append(r.below, m), append(documents, one.document)
	}
	for _, d := range documents {
		parts := d.Layers
		if d.Config != nil {
			parts = append(slices.Clone(parts), *d.Config)
		}
		if len(parts) > maxReferrerBlobs {
			return fault.New(fault.Integrity, "%s names %d blobs; at most %d are copied", r.name(s.repo), len(parts), maxReferrerBlobs)
		}
		for _, part := range parts {
			digest, err := registry.ParseDigest(part.Digest)
			if err != nil || part.Size < 0 || part.Size > lock.MaxBlob {
				return fault.New(fault.Integrity, "%s names the blob %.80q of %d bytes", r.name(s.repo), part.Digest, part.Size)
			}
			if b := (lock.Blob{Size: part.Size, SHA256: digest}); !slices.Contains(r.blobs, b) {
				r.blobs = append(r.blobs, b)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found, s.size = append(s.found, r), s.size+lock.SizeOf(r.blobs)
	if len(s.found) > registry.MaxReferrers || s.size > maxReferrerBytes {
		return s.tooMany()
	}
	return nil
}

// take counts a manifest that is kept in memory.
func (s *search) take(m registry.Manifest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.documents += int64(len(m.Data)); s.documents > maxReferrerManifests {
		return s.tooMany()
	}
	return nil
}

func (s *search) tooMany() error {
	return fault.New(fault.Integrity, "%s has more signatures and other referrers than the %d of %d bytes that are copied", s.repo.Name(), registry.MaxReferrers, int64(maxReferrerBytes))
}

// name is what messages call the referrer.
func (r *referrer) name(repo *registry.Repository) string {
	if r.tag != "" {
		return repo.Name().String() + ":" + r.tag
	}
	return repo.Name().String() + "@" + r.Digest.OCI()
}

// subjects are the manifests of a part.
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

// from returns the repository of a part beside that of the bundle, and what its tag is there.
func (p *push) from(ctx context.Context, part Part) (repo *registry.Repository, tagged lock.SHA256, err error) {
	if part == Bundle {
		return p.Origin.Repository, p.Origin.Digest, nil
	}
	prefix, beside := strings.CutSuffix(p.Origin.Repository.Name().String(), "/"+kinds[Bundle].path)
	if !beside {
		return nil, tagged, fault.New(fault.Usage, "%s is not called …/%s, so it is not known where the %s is", p.Origin.Repository.Name(), kinds[Bundle].path, part)
	}
	tag := p.tagsOf(part)[0]
	if part == Image {
		tag = cmp.Or(p.Origin.Tag, p.bundle.Tag)
	}
	// A chart that goes elsewhere here may be where it is unless told otherwise there.
	for _, path := range slices.Compact([]string{p.options.path(part), kinds[part].path}) {
		var name registry.Name
		if name, err = below(prefix, path); err == nil {
			repo, err = p.Origin.Registry.Repository(ctx, name, false)
		}
		if err != nil {
			return nil, tagged, err
		}
		m, err := repo.Manifest(ctx, tag)
		if !registry.IsNotFound(err) {
			return repo, m.Digest, err
		}
	}
	return repo, tagged, nil
}

// copyReferrers brings what refers to a part in the source's registry to the other one, and returns
// how many bytes that took.
func (p *push) copyReferrers(ctx context.Context, part Part, result *PartResult) (sent int64, err error) {
	to := p.destinations[part]
	if p.Origin == nil || slices.Contains(p.options.Skip, Referrers) || to.refused {
		return 0, nil
	}
	if to.top.Data == nil {
		result.ReferrersUnknown = "the digest is not known"
		return 0, nil
	}
	repo, tagged, err := p.from(ctx, part)
	if refusal := registry.RefusalOf(err); refusal == registry.RefusedAccess || refusal == registry.RefusedRepository || refusal == registry.RefusedCredentials || fault.KindOf(err) == fault.Usage {
		// The user did not name it, and need not have the right to read it.
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
			left.NotCopied = "what it refers to is another " + string(part) + " than the one that is pushed"
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

// refer brings all that refers to one manifest.
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
		if !result.Changed || u.options.DryRun {
			continue
		}
		listed, err := u.sendReferrer(ctx, from, r)
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

// lacks reports whether the registry lacks a referrer, and refuses to replace other content of
// cosign's tag.
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
	// cosign adds to what a tag has: a signature more is a layer more.
	other := &referrer{Manifest: there}
	if err := other.read(); err == nil && other.covers(r) {
		return false, nil
	} else if err == nil && r.covers(other) {
		return true, nil
	}
	if u.options.Force {
		return true, nil
	}
	return false, fault.New(fault.Integrity, "%s is there already, with other content: it is %s, but would be %s", r.name(u.repo), there.Digest.OCI(), r.Digest.OCI()).
		WithHint("somebody signed the same on both sides: --force replaces what is there, --skip referrers leaves it as it is")
}

// covers reports whether a manifest has all that another one has.
func (r *referrer) covers(other *referrer) bool {
	return len(other.document.Layers) > 0 && !slices.ContainsFunc(other.document.Layers, func(l referred) bool { return !slices.ContainsFunc(r.document.Layers, l.equal) })
}

// sendReferrer sends a referrer, and reports whether the registry lists it by itself.
func (u *uploader) sendReferrer(ctx context.Context, from *registry.Repository, r *referrer) (listed bool, err error) {
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
	if err := group.Wait(); err != nil {
		return false, err
	}
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

// referring is an error of referrers, with the next step.
func (p *push) referring(ctx context.Context, part Part, err error) error {
	if ctx.Err() != nil {
		return err
	}
	hint := "--skip referrers publishes without signatures and other referrers"
	if before := fault.HintOf(err); strings.Contains(before, "--skip referrers") {
		hint = before
	} else if before != "" {
		hint = before + "\n" + hint
	}
	return fault.New(fault.KindOf(err), "copying what refers to %s: %w", p.destinations[part], err).WithHint("%s", hint)
}

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

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// cosignTags are the suffixes of cosign's tags for attached manifests: sha256-HEX.sig
// (sigstore/cosign, pkg/oci/remote/remote.go).
var cosignTags = []string{".sig", ".att", ".sbom"}

// Limits for the referrers of a part: maxReferrerBytes for the size of their blobs,
// maxReferrerManifests for the size of their manifests, which are kept in memory, and
// maxReferrerBlobs for the number of blobs of one.
const (
	maxReferrerBytes     = 4 << 30
	maxReferrerManifests = 64 << 20
	maxReferrerBlobs     = 1000
)

// referrer is a referrer in the source's registry.
type referrer struct {
	registry.Manifest
	subject lock.SHA256
	// tag is cosign's tag. Without one, the manifest names its subject.
	tag      string
	document referrerDocument
	// below has the manifests of an index, which are sent before it.
	below []registry.Manifest
	blobs []lock.Blob
}

// referrerDocument has the fields of a manifest or an index that are used here.
type referrerDocument struct {
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
	// Annotations has the signature in a layer of cosign's. The layer's content is the same for each
	// key.
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (d referred) equal(other referred) bool {
	return d.MediaType == other.MediaType && d.Digest == other.Digest && d.Size == other.Size && maps.Equal(d.Annotations, other.Annotations)
}

// kind returns the artifact type: artifactType, or else the media type of the configuration
// (distribution specification, "Listing Referrers").
func (d referrerDocument) kind() string {
	if d.ArtifactType == "" && d.Config != nil {
		return d.Config.MediaType
	}
	return d.ArtifactType
}

// descriptor returns the referrer's descriptor for a list of referrers.
func (r *referrer) descriptor() registry.Referrer {
	return registry.Referrer{
		MediaType: r.MediaType, Digest: r.Digest.OCI(), Size: int64(len(r.Data)),
		ArtifactType: r.document.kind(), Annotations: r.document.Annotations,
	}
}

func (r *referrer) result() ReferrerResult {
	kind := r.document.kind()
	if r.tag != "" && len(r.document.Layers) > 0 {
		kind = r.document.Layers[0].MediaType // the configuration is an image's, and says nothing
	}
	return ReferrerResult{Digest: r.Digest.OCI(), Subject: r.subject.OCI(), Tag: r.tag, Type: oci.Clip(kind), Size: lock.SizeOf(r.blobs)}
}

// search finds the referrers of manifests in a repository, and the referrers of those.
type search struct {
	repo *registry.Repository
	// parallel is how many manifests are requested at a time.
	parallel int

	mu    sync.Mutex
	seen  map[lock.SHA256]bool
	found []*referrer
	left  []ReferrerResult
	// size is the size of the blobs, and documents that of the manifests, in bytes.
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
		// Referrers may have referrers, too.
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

// about finds the referrers of one manifest.
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

// listed adds an entry of a list of referrers. It trusts nothing in it, because everyone with write
// access can change the list.
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
		return leave("its digest is not sha256")
	}
	m, err := s.repo.Manifest(ctx, digest.OCI())
	if registry.IsNotFound(err) {
		return leave("the registry lists it but does not have it")
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
		return leave("it refers to another manifest than the list says")
	}
	return s.add(ctx, r)
}

// read parses the manifest.
func (r *referrer) read() error {
	if err := json.Unmarshal(r.Data, &r.document); err != nil {
		return fmt.Errorf("its manifest is not valid: %w", textfile.JSONError(r.Data, err))
	}
	return nil
}

// add adds a referrer, with the manifests that it names if it is an index.
func (s *search) add(ctx context.Context, r *referrer) error {
	if err := r.read(); err != nil {
		return fault.New(fault.Integrity, "%s: %w", r.name(s.repo), err)
	}
	if err := s.take(r.Manifest); err != nil {
		return err
	}
	documents := []referrerDocument{r.document}
	for _, d := range r.document.Manifests {
		digest, err := registry.ParseDigest(d.Digest)
		if err != nil || len(r.document.Manifests) > lock.MaxIndexed {
			return fault.New(fault.Integrity, "%s has the manifest %.80q, which is not valid, or more than %d manifests", r.name(s.repo), d.Digest, lock.MaxIndexed)
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
			return fault.New(fault.Integrity, "%s: %s is not a manifest: %w", r.name(s.repo), digest.OCI(), err)
		}
		if err := s.take(m); err != nil {
			return err
		}
		r.below, documents = append(r.below, m), append(documents, one.document)
	}
	for _, d := range documents {
		if err := r.addBlobs(s.repo, d); err != nil {
			return err
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

// addBlobs adds the blobs of one of the referrer's manifests.
func (r *referrer) addBlobs(repo *registry.Repository, d referrerDocument) error {
	parts := d.Layers
	if d.Config != nil {
		parts = append(slices.Clone(parts), *d.Config)
	}
	if len(parts) > maxReferrerBlobs {
		return fault.New(fault.Integrity, "%s has %d blobs, more than the limit of %d", r.name(repo), len(parts), maxReferrerBlobs)
	}
	for _, part := range parts {
		digest, err := registry.ParseDigest(part.Digest)
		if err != nil || part.Size < 0 || part.Size > lock.MaxBlob {
			return fault.New(fault.Integrity, "%s has the blob %.80q of %d bytes, which is not valid", r.name(repo), part.Digest, part.Size)
		}
		if b := (lock.Blob{Size: part.Size, SHA256: digest}); !slices.Contains(r.blobs, b) {
			r.blobs = append(r.blobs, b)
		}
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
	return fault.New(fault.Integrity, "%s has too many signatures and other referrers: the limit is %d with %d GiB in total", s.repo.Name(), registry.MaxReferrers, maxReferrerBytes>>30)
}

// name returns the referrer's name for messages.
func (r *referrer) name(repo *registry.Repository) string {
	if r.tag != "" {
		return repo.Name().String() + ":" + r.tag
	}
	return repo.Name().String() + "@" + r.Digest.OCI()
}

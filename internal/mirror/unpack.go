package mirror

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// UnpackOptions say what [Session.Unpack] does.
type UnpackOptions struct {
	lock.Selection
	WriteOptions
	// Source is a path, docker://REFERENCE, or "-" for Stdin.
	Source string
	// LockDigest is the digest of the lock that the source must have; nil allows any. See
	// [lock.Lock.Digest].
	LockDigest *lock.SHA256
}

// checkLock compares the locks of a source with LockDigest, which may be the digest of the whole or of
// the part that is unpacked.
func (o *UnpackOptions) checkLock(name string, whole, part *lock.Lock) error {
	if o.LockDigest == nil {
		return nil
	}
	taken, err := part.Digest()
	if err != nil || taken == *o.LockDigest {
		return err
	}
	digest, err := whole.Digest()
	if err != nil || digest == *o.LockDigest {
		return err
	}
	return fault.New(fault.Integrity, "%s is not the expected mirror: the digest of its lock is sha256:%s, but should be sha256:%s", name, digest, o.LockDigest).
		WithHint("if the mirror is an image and its tag was moved, the node may still have the earlier image: use the digest that push printed instead of the tag\nif this is the right mirror, print its Helm values again: botkube-mirror values")
}

// Unpacked is what an unpack did. It is printed as JSON for machines.
type Unpacked struct {
	Source         string           `json:"source"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	Outputs        []OutputResult   `json:"outputs"`
	Plugins        []lock.Plugin    `json:"plugins"`
	// FetchedBytes came over the network: none, unless the source is a registry.
	FetchedBytes int64  `json:"fetchedBytes"`
	Mount        string `json:"mount"`
	// Copied says that the source was a directory itself, such as that of an image.
	Copied bool `json:"-"`
}

// Unpack writes outputs from a mirror. It uses the network only if the source is in a registry.
func (s *Session) Unpack(ctx context.Context, o UnpackOptions) (*Unpacked, error) {
	if err := o.check(ctx); err != nil {
		return nil, err
	}
	src, err := s.openSource(ctx, o.Source)
	if err != nil {
		return nil, err
	}
	defer src.close()
	l, err := src.subset(o.Selection)
	if err != nil {
		return nil, err
	}
	if err := o.checkLock(src.Mirror.String(), src.Lock, l); err != nil {
		return nil, err
	}
	if !o.wantsMembers() {
		l = l.PluginsOnly()
	}
	if err := checkRoom(s.unpackNeeds(ctx, src, l, o.WriteOptions)); err != nil {
		return nil, err
	}
	outputs, err := s.openOutputs(ctx, l, src.Content, o.WriteOptions)
	if err != nil {
		return nil, err
	}
	defer outputs.close()
	result := &Unpacked{Source: o.Source, BotkubeVersion: l.BotkubeVersion, Platforms: l.Platforms, Plugins: l.Plugins, Mount: o.Mount, Copied: src.Blobs == nil}
	if result.FetchedBytes, err = s.transfer(ctx, src, l, outputs); err != nil {
		return nil, err
	}
	err = outputs.commit(ctx, l, nil)
	result.Outputs = outputs.results
	return result, err
}

// transfer hands artifacts to the outputs, the largest first, and returns how many bytes were fetched.
func (s *Session) transfer(ctx context.Context, src *source, l *lock.Lock, outputs *outputs) (int64, error) {
	artifacts := slices.Clone(l.Artifacts)
	slices.SortStableFunc(artifacts, func(a, b lock.Artifact) int { return cmp.Compare(b.Size, a.Size) })
	s.Observe(Event{Kind: EventPlanned, Activity: Unpacking, Count: len(artifacts), Total: l.ArtifactBytes()})
	var transferred atomic.Int64
	obtain := func(ctx context.Context, b lock.Blob) error {
		if src.Obtain == nil {
			return nil
		}
		n, err := src.Obtain(ctx, b)
		transferred.Add(n)
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for _, b := range memberBlobs(l) {
		group.Go(func() error { return obtain(ctx, b) })
	}
	for _, a := range artifacts {
		group.Go(func() error {
			if err := obtain(ctx, a.Blob); err != nil {
				return err
			}
			if src.Obtain != nil {
				return outputs.add(s.watched(ctx, ""), a)
			}
			subject := agent.Redact(a.URL)
			s.Observe(Event{Kind: EventStarted, Subject: subject, Total: a.Size})
			if err := outputs.add(s.watched(ctx, subject), a); err != nil {
				return err
			}
			s.Observe(Event{Kind: EventUnpacked, Subject: subject, Bytes: a.Size, Total: a.Size})
			return nil
		})
	}
	err := group.Wait()
	return transferred.Load(), err
}

// memberBlobs lists the blobs of images and of the chart, without the images' manifests.
func memberBlobs(l *lock.Lock) (blobs []lock.Blob) {
	for _, b := range l.ImageBlobs() {
		blobs = append(blobs, b.Blob)
	}
	if l.Chart != nil {
		blobs = append(blobs, l.Chart.Blob)
	}
	return blobs
}

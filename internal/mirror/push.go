package mirror

import (
	"cmp"
	"context"
	"os"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// PushOptions say what [Session.Push] does.
type PushOptions struct {
	lock.Selection
	push.Options
	// Source is as in [UnpackOptions].
	Source string
	// Image says how the mountable image is made.
	Image form.WriteOptions
}

// Push publishes a bundle to a registry. See [push.Pusher.Push].
func (s *Session) Push(ctx context.Context, o PushOptions) (*push.Result, error) {
	if err := push.CheckMount(o.Image.Mount); err != nil {
		return nil, err
	}
	if err := o.Options.Check(); err != nil {
		return nil, o.adviseOrder(err)
	}
	src, err := s.openSource(ctx, o.Source)
	if err != nil {
		return nil, o.adviseOrder(err)
	}
	defer src.close()
	if src.Blobs == nil {
		return nil, fault.New(fault.Usage, "%s is a directory of unpacked plugins, but only a bundle can be pushed", src.Mirror.String()).
			WithHint("use the bundle that the directory was made from")
	}
	l, err := src.subset(o.Selection)
	if err != nil {
		return nil, err
	}
	if err := checkRoom(s.pushNeeds(src, l, o.Skip)); err != nil {
		return nil, err
	}
	pushed := push.Source{Name: src.Mirror.String(), Lock: l, Content: src.Content, Image: s.writeOptions(o.Image)}
	if in, is := strings.CutPrefix(o.Source, form.RegistryPrefix); is {
		if pushed.Origin, err = s.origin(ctx, in, src.Mirror.Digest); err != nil {
			return nil, err
		}
	}
	result, err := push.Pusher{Registry: s.Registry, Parallel: s.Parallel, Observer: s.pushObserver()}.Push(ctx, pushed, o.Options)
	if result != nil {
		result.Source = o.Source
	}
	return result, err
}

// origin returns the repository that a bundle is read from.
func (s *Session) origin(ctx context.Context, reference, digest string) (*push.Origin, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	from := &push.Origin{Registry: cmp.Or(s.Source, s.Registry), Tag: ref.Tag(), Store: s.Store, Fetch: s.fetchBlob}
	if from.Digest, err = registry.ParseDigest(digest); err != nil {
		return nil, err
	}
	from.Repository, err = from.Registry.Repository(ctx, ref.Repository(), false)
	return from, err
}

// adviseOrder says what to write if the arguments have changed places.
func (o PushOptions) adviseOrder(err error) error {
	if fault.KindOf(err) != fault.Usage || exists(o.Source) {
		return err
	}
	in, isBundle := strings.CutPrefix(o.Prefix, form.RegistryPrefix)
	if isBundle {
		ref, err := registry.ParseReference(in)
		isBundle = err == nil && ref.Identifier() != ""
	}
	if !isBundle && !exists(o.Prefix) {
		return err
	}
	return fault.New(fault.Usage, "%w", err).WithHint("give the bundle first, then the registry: botkube-mirror push %s %s", o.Prefix, o.Source)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *Session) pushObserver() push.Observer {
	return push.Observer{
		Planned: func(blobs int, size int64) {
			s.Observe(Event{Kind: EventPlanned, Activity: Uploading, Count: blobs, Total: size})
		},
		Uploading: func(blob string, size int64) { s.Observe(Event{Kind: EventUploading, Subject: blob, Total: size}) },
		Progress:  s.progressOf,
		Uploaded: func(blob string, size int64, reused bool) {
			kind := EventUploaded
			if reused {
				kind = EventReused // the registry has it
			}
			s.Observe(Event{Kind: kind, Subject: blob, Bytes: size, Total: size})
		},
		Tagged: func(reference string) { s.Observe(Event{Kind: EventCompleted, Subject: reference}) },
	}
}

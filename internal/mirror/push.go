package mirror

import (
	"context"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
)

// PushOptions say what [Session.Push] does.
type PushOptions struct {
	SubsetOptions
	push.Options
	// Source is as in [UnpackOptions].
	Source string
	Stdin  io.Reader
	// Mount, Seeders and ModTime are those of the mountable image.
	Mount   string
	Seeders form.Seeders
	ModTime time.Time
}

// Push publishes a bundle's content in a registry. See [push.Pusher.Push].
func (s *Session) Push(ctx context.Context, o PushOptions) (*push.Result, error) {
	if err := image.CheckMount(o.Mount); err != nil {
		return nil, err
	}
	src, err := s.openSource(ctx, o.Source, o.Stdin)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if src.Blobs == nil {
		return nil, fault.New(fault.Usage, "%s is a directory of unpacked plugins; only a bundle can be published", src.Mirror.String()).
			WithHint("name the bundle that it was made of")
	}
	l, err := src.subset(o.SubsetOptions)
	if err != nil {
		return nil, err
	}
	if err := checkRoom(s.pushNeeds(src, l, o.Skip)); err != nil {
		return nil, err
	}
	contents, err := src.contents(ctx, l)
	if err != nil {
		return nil, err
	}
	pushed := push.Source{Name: src.Mirror.String(), Contents: contents, Fetch: src.fetch(), BuildImage: func(ctx context.Context, to image.Sink) (*image.Result, error) {
		made, err := image.OptionsFor(l, s.writeOptions(form.WriteOptions{Mount: o.Mount, Seeders: o.Seeders, ModTime: o.ModTime}))
		if err != nil {
			return nil, err
		}
		return image.Build(ctx, l, src.Plugins, made, to)
	}}
	result, err := push.Pusher{Registry: s.Registry, Parallel: s.Parallel, Observer: s.pushObserver()}.Push(ctx, pushed, o.Options)
	if err != nil {
		return nil, err
	}
	result.Source = o.Source
	return result, nil
}

// contents returns the bundle of a lock whose blobs a source has.
func (src *source) contents(ctx context.Context, l *lock.Lock) (*bundle.Contents, error) {
	if fetch := src.fetch(); l.Chart != nil && fetch != nil {
		// What Helm wants to know of a chart is read from it.
		if err := fetch(ctx, l.Chart.Blob); err != nil {
			return nil, err
		}
	}
	return bundle.Plan(ctx, l, src.Blobs)
}

// fetch returns what makes a blob ready to be read, or nil if all are there.
func (src *source) fetch() func(context.Context, lock.Blob) error {
	if src.Obtain == nil {
		return nil
	}
	return func(ctx context.Context, b lock.Blob) error {
		_, err := src.Obtain(ctx, b)
		return err
	}
}

package mirror

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
)

// uploadImage makes the mountable image and uploads it as it comes.
func (p *push) uploadImage(ctx context.Context, at *place, pushed *PushedPart) error {
	if p.src.obtain != nil {
		if err := p.obtainArtifacts(ctx); err != nil {
			return err
		}
	}
	o, err := image.OptionsFor(p.lock, p.session.writeOptions(form.WriteOptions{Mount: p.options.Mount, Seeders: p.options.Seeders, ModTime: p.options.ModTime}))
	if err != nil {
		return err
	}
	sink := &imageSink{push: p, at: at, up: &uploader{session: p.session, repo: at.repo}}
	made, err := image.Build(ctx, p.lock, p.src.Plugins, o, sink)
	pushed.UploadedBytes = sink.up.sent.Load()
	if err != nil {
		return err
	}
	pushed.Size, pushed.MountOnly = made.Sum()
	return nil
}

func (p *push) obtainArtifacts(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.session.Parallel)
	for _, a := range p.lock.Artifacts {
		group.Go(func() error {
			_, err := p.src.obtain(ctx, a.Blob)
			return err
		})
	}
	return group.Wait()
}

// imageSink uploads an image while it is made.
type imageSink struct {
	*push
	at *place
	up *uploader
}

// Blob uploads a layer or a configuration that the repository lacks. If the tag
// is there, a layer that is not says that the tag has other content.
func (s *imageSink) Blob(ctx context.Context, b image.Blob) error {
	if s.at.exists && !s.options.Force {
		_, there, err := s.at.repo.HasBlob(ctx, b.SHA256)
		if err != nil || there {
			return err
		}
		return fault.New(fault.Integrity, "%s is there already, with other content: it lacks %s", s.at, digestOf(b.Blob)).
			WithHint("%s", s.differs(s.at))
	}
	return s.up.upload(ctx, b.Blob, b.Open)
}

// Manifest uploads a manifest. The index, which comes last, gets the tag later.
func (s *imageSink) Manifest(ctx context.Context, m image.Manifest) error {
	if m.Platform == nil {
		s.at.top = bundle.Document{MediaType: m.MediaType, Data: m.Data}
		if err := s.checkTag(s.at, m.SHA256); err != nil {
			return err
		}
	}
	if s.at.exists && !s.options.Force {
		return nil // it is there, or the tag has other content
	}
	return s.at.repo.PutManifest(ctx, digestOf(m.Blob), m.MediaType, m.Data)
}

package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Form is the form of an image with an agent's plugin cache directory.
var Form = &form.Form{
	Kind:   "image",
	Name:   "mountable image",
	Access: form.Mounted,
	Outputs: []form.Output{{
		Prefix: "image", File: true, Documents: true, Unpacks: true, TakesSeeders: true,
		Check: func(_ context.Context, path string, o form.WriteOptions) error {
			return cmp.Or(CheckMount(o.Mount), oci.CheckFile(path))
		},
		// The new file is beside the old one while the two are compared.
		Need: func(_ context.Context, _ string, l *lock.Lock, _ form.Content) (int64, bool) {
			return sum(layerSizes(l)), true
		},
		NeedTemporary: NeedTemporary,
		Open:          openOutput,
		Next:          next,
	}},
	Rewrite:   "write the image again from the bundle, or copy it again from where it was written",
	Recognize: recognize,
	Open:      openMirror,
	Audit:     verify,
	NotServed: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is an image, which cannot be served: it has no upstream files for agents to download", p).
			WithHint("serve the bundle that the image was made from; or mount the image in the agent's pod, without a server")
	},
	NotContent: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is an image, which cannot be the source of an output", p).
			WithHint("name the bundle that the image was made from")
	},
}

func recognize(p *form.Place) form.MatchLevel {
	switch {
	case p.Repository != nil, p.MayBeLayout():
		return form.FullMatch
	case p.IsFile():
		return form.WeakMatch
	}
	return form.NoMatch
}

func openMirror(ctx context.Context, p *form.Place) (*form.Mirror, error) {
	im, err := at(ctx, p, func(top []byte, from oci.Reader) (*Image, error) { return Read(ctx, top, from) })
	if err != nil {
		return nil, err
	}
	return &form.Mirror{Lock: im.Lock, Tag: im.Tag, Digest: im.Top.SHA256.OCI(), Mount: im.Mount, MountOnly: im.MountOnly}, nil
}

// at reads the image at a place as read does. What is none is a [form.ErrOther].
func at(ctx context.Context, p *form.Place, read func(top []byte, from oci.Reader) (*Image, error)) (im *Image, err error) {
	if from := p.Repository; from != nil {
		if im, err = read(from.Top, from); err == nil {
			im.Tag = from.Tag
		}
	} else {
		l, layoutErr := p.Layout(ctx)
		if layoutErr != nil {
			return nil, layoutErr
		}
		im, err = inLayout(ctx, l, p.Document, func(top []byte) (*Image, error) { return read(top, l) })
	}
	if errors.Is(err, ErrNotImage) {
		err = form.Other(ErrNotImage)
	}
	return im, err
}

// output is an image that is written as a whole in the end.
type output struct {
	path    string
	from    form.Content
	options form.WriteOptions
}

// openOutput finds seeders that cannot be used before all is downloaded in vain.
func openOutput(_ context.Context, path string, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	if _, err := seedersFor(l, o.Seeders); err != nil {
		return nil, err
	}
	return &output{path, from, o}, nil
}

// Add does nothing: making a layer verifies what it is made of.
func (out *output) Add(context.Context, lock.Artifact) (bool, error) { return false, nil }

// Commit writes the image.
func (out *output) Commit(ctx context.Context, l *lock.Lock) (form.Written, error) {
	out.options.Writing(-1)
	return WriteFile(ctx, out.path, l, out.from.Plugins, out.options)
}

// Close does nothing: what is unfinished was removed by [WriteFile].
func (out *output) Close() error { return nil }

func next(path string, w form.Written, _ []agent.Platform, _ string) form.Advice {
	reference := "REGISTRY/botkube-plugins:" + w.Tag
	advice := form.Advice{Steps: []form.Step{
		{Do: "copy the image to a registry", Commands: []string{"skopeo copy --all oci-archive:" + path + " docker://" + reference}},
		{Or: true, Do: "load it on a machine", Commands: []string{"podman load -i " + path, "docker load -i " + path}},
		{Do: "print the Helm values to mount it", Commands: []string{"botkube-mirror values " + path + " --image " + reference + " --values YOURS.yaml"}},
	}}
	if note := MountOnlyNote(w.MountOnly); note != "" {
		advice.Notes = []string{note}
	}
	return advice
}

// MountOnlyNote says for which platforms an image has no program to fill a volume, or nothing.
func MountOnlyNote(platforms []agent.Platform) string {
	if len(platforms) == 0 {
		return ""
	}
	return fmt.Sprintf("for %s, the image can be mounted, but cannot fill a volume: it has no program for that. To add one, give a static botkube-mirror with --seeder %s=FILE", agent.JoinPlatforms(platforms), platforms[0])
}

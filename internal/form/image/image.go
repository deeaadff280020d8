// Package image writes and reads container images with an agent's plugin cache directory. A pod
// mounts the image as a volume, or a Job copies the directory from it to a volume.
//
// For each platform of a lock there is an image whose layers are, in this order:
// each plugin and dependency by itself, so that releases share the layers of what
// they have in common; the documents, which depend on all of them; and the
// program that copies the directory to a volume, if there is one. What lies
// below the mount is what package dir writes. The same lock gives the same bytes on
// every machine.
package image

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Manifest is the manifest of an image for one platform, or their index.
type Manifest struct {
	MediaType string
	lock.Blob
	Data []byte
	// Platform is nil for the index.
	Platform *agent.Platform
}

// Sink receives an image in the order in which a registry takes one: of each
// platform the layers, the configuration and the manifest, and in the end the
// index. A blob that stands in several images comes as often. Build makes one
// call at a time.
type Sink interface {
	// Blob receives a layer or a configuration. Open opens it, any number of times,
	// while the call lasts.
	Blob(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error
	Manifest(ctx context.Context, m Manifest) error
}

// Build makes an image of a lock and hands it on. What the sink received counts
// only if the error is nil. Layers wait in files without a name in [os.TempDir]:
// no more of them than are made at a time, and while one is made, the file that it is
// made of.
func Build(ctx context.Context, l *lock.Lock, src pluginsdir.Source, o form.WriteOptions, sink Sink) (form.Written, error) {
	if err := CheckMount(o.Mount); err != nil {
		return form.Written{}, err
	}
	seeders, err := seedersFor(l, o.Seeders)
	if err != nil {
		return form.Written{}, err
	}
	if o.ModTime.IsZero() {
		o.ModTime = time.Unix(0, 0)
	}
	o.ModTime = o.ModTime.UTC().Truncate(time.Second)
	l = l.PluginsOnly()
	l.Platforms = slices.SortedFunc(slices.Values(l.Platforms), agent.ComparePlatforms)
	b := &build{lock: l, source: src, options: o, seeders: seeders, sink: sink}
	if b.written.Tag, err = l.Tag(); err != nil {
		return form.Written{}, err
	}
	jobs, err := b.plan()
	if err != nil {
		return form.Written{}, err
	}
	b.total = len(jobs)
	if err := inOrder(ctx, jobs, layersAtATime(), b.prepare, b.handOn); err != nil {
		return form.Written{}, err
	}
	return b.written, b.putIndex(ctx)
}

// imageName has a host that no image can be pulled from.
const imageName = "localhost/botkube-plugins"

// archive is a [Sink] that writes an OCI archive, the tar file of a layout.
type archive struct {
	*oci.Archive
	to io.Writer
	// last is the manifest that came last.
	last lock.Blob
	// docker is the image of the platform that manifest.json names.
	docker   oci.DockerImage
	platform agent.Platform
}

func (a *archive) Blob(ctx context.Context, b lock.Blob, open func() (blob.File, error)) error {
	a.Archive.Blob(b, open)
	return a.Flush(ctx, a.to)
}

func (a *archive) Manifest(ctx context.Context, m Manifest) error {
	a.last = m.Blob
	a.Document(m.Data)
	if err := a.choose(m); err != nil {
		return err
	}
	return a.Flush(ctx, a.to)
}

// choose notes the image that manifest.json names. It names one only: crane and skopeo refuse a
// file with several, and docker load keeps the last one of a tag. The file is the same on every
// machine. So it names linux/amd64, or else the first of Linux, or else the first.
func (a *archive) choose(m Manifest) error {
	if m.Platform == nil || a.docker.Config != "" && rank(*m.Platform) <= rank(a.platform) {
		return nil
	}
	var manifest v1.Manifest
	if err := oci.Decode(m.Data, &manifest); err != nil {
		return err
	}
	a.docker, a.platform = oci.DockerImageOf(manifest), *m.Platform
	return nil
}

func rank(p agent.Platform) int {
	switch {
	case p == agent.Platform{OS: "linux", Arch: "amd64"}:
		return 2
	case p.OS == "linux":
		return 1
	}
	return 0
}

// WriteFile writes an image to a file, as an OCI archive that is one of docker save, too. The file
// has its name when it is whole and on disk; its directory is created if need be. A run that finds
// another one at it waits. One that has the same bytes already is left alone.
func WriteFile(ctx context.Context, name string, l *lock.Lock, src pluginsdir.Source, o form.WriteOptions) (w form.Written, err error) {
	changed, err := oci.WriteFile(ctx, name, o.Waiting, func(to *os.File) error {
		a := &archive{Archive: oci.NewArchive(o.ModTime), to: to}
		if w, err = Build(ctx, l, src, o, a); err != nil {
			return err
		}
		name := imageName + ":" + w.Tag
		index, err := oci.IndexJSON(a.last, map[string]string{oci.RefNameAnnotation: w.Tag, oci.ImageNameAnnotation: name})
		if err != nil {
			return err
		}
		a.Index(index)
		a.docker.RepoTags = []string{name}
		return cmp.Or(a.Docker(a.docker), a.Close(), a.Flush(ctx, to))
	})
	if err != nil {
		return form.Written{}, fmt.Errorf("writing %s: %w", name, oci.ExplainWriting(err, "write to another disk"))
	}
	w.Changed = changed
	return w, nil
}

// CheckMount returns an error if an image cannot have the plugins' directory at a path.
func CheckMount(mount string) error {
	if err := pluginsdir.CheckMount(mount); err != nil {
		return err
	}
	if mount == seederPath || strings.HasPrefix(mount, seederPath+"/") {
		return fault.New(fault.Usage, "%s cannot be the agent's plugins.cacheDir: the image has its program there", seederPath)
	}
	if strings.ContainsRune(mount, 0) || isWhiteout(mount) {
		return fault.New(fault.Usage, "an image cannot have a directory %q", mount)
	}
	return nil
}

// isWhiteout reports whether a path has a name that, in a layer, is not that of a
// file but removes one (image-spec, layer.md).
func isWhiteout(name string) bool { return strings.Contains("/"+name, "/.wh.") }

func describe(p agent.Platform, what string, err error) error {
	return fmt.Errorf("making the layer with %s for %s: %w", what, p, err)
}

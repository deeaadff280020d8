package image

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// maxFileLayers bounds the layers of files in an image. An overlay file system
// takes some 125 layers in all.
const maxFileLayers = 100

// layersAtATime is how many layers are made at a time: each takes some 2 MiB of
// memory, and room on a disk.
func layersAtATime() int { return min(runtime.GOMAXPROCS(0), 16) }

// content says what a layer holds. It is an annotation of the layer.
type content string

const (
	contentFiles     content = "files"
	contentDocuments content = "documents"
	contentSeeder    content = "seeder"
)

type job struct {
	platform agent.Platform
	content  content
	// files are what a layer of files holds.
	files []lock.File
	// what names the content for people.
	what string
	// last says that the platform's image is complete with it.
	last bool
}

// plan lists the layers of an image, platform by platform.
func (b *build) plan() ([]job, error) {
	var jobs []job
	for _, p := range b.lock.Platforms {
		files := b.lock.Files(p)
		for _, f := range files {
			if isWhiteout(f.Path) {
				return nil, fault.New(fault.Usage, "an image cannot have the file %q: in a layer, such a name removes another file", f.Path).
					WithHint("leave the plugin out with --exclude %s/%s, and report the problem to its publisher", f.Plugin.Repository, f.Plugin.Name)
			}
		}
		for _, files := range group(units(files), maxFileLayers) {
			jobs = append(jobs, job{platform: p, content: contentFiles, files: files, what: nameFiles(b.options.Mount, files)})
		}
		jobs = append(jobs, job{platform: p, content: contentDocuments, what: path.Join(b.options.Mount, pluginsdir.MetaDir) + " and the indexes"})
		if b.seeders[p] != "" {
			jobs = append(jobs, job{platform: p, content: contentSeeder, what: seederPath})
		}
		jobs[len(jobs)-1].last = true
	}
	return jobs, nil
}

// units divides files, in the order of their paths, into what shares a layer in any
// case: the small files of one source of templates.
func units(files []lock.File) [][]lock.File {
	var units [][]lock.File
	for _, f := range files {
		if n := len(units); n > 0 && f.Template != "" && units[n-1][0].Template == f.Template && units[n-1][0].Plugin == f.Plugin {
			units[n-1] = append(units[n-1], f)
			continue
		}
		units = append(units, []lock.File{f})
	}
	return units
}

// group divides units into at most n runs of about the same length.
func group(units [][]lock.File, n int) [][]lock.File {
	n = min(n, len(units))
	groups := make([][]lock.File, n)
	for i := range groups {
		groups[i] = slices.Concat(units[i*len(units)/n : (i+1)*len(units)/n]...)
	}
	return groups
}

func nameFiles(mount string, files []lock.File) string {
	first, last := path.Join(mount, files[0].Path), path.Join(mount, files[len(files)-1].Path)
	if len(files) == 1 {
		return first
	}
	return fmt.Sprintf("%s … %s (%d files)", first, last, len(files))
}

type build struct {
	lock    *lock.Lock
	source  pluginsdir.Source
	options form.WriteOptions
	seeders seeders
	sink    Sink
	// done counts the layers that were handed on, of total.
	done, total int

	written   form.Written
	manifests []v1.Descriptor
	// current is the image that layers are handed on of.
	current imageState
}

// prepare makes a layer. The documents depend on all files: they are made when
// their turn comes.
func (b *build) prepare(ctx context.Context, j job) (*layer, error) {
	switch j.content {
	case contentFiles:
		return b.fileLayer(ctx, j.platform, j.files)
	case contentSeeder:
		return b.seederLayer(ctx, j.platform)
	}
	return nil, nil
}

// handOn gives the next layer to the sink, and the configuration and the manifest
// after the last one of a platform.
func (b *build) handOn(ctx context.Context, j job, l *layer) error {
	if j.content == contentDocuments {
		var err error
		if l, err = b.documents(ctx, j.platform); err != nil {
			return err
		}
		defer l.discard()
	}
	if err := b.sink.Blob(ctx, l.Blob, func() (blob.File, error) { return l.spool.content(), nil }); err != nil {
		return err
	}
	b.current.add(j, l)
	b.done++
	b.options.Wrote(fmt.Sprintf("%s layer %d of %d: %s", j.platform, b.done, b.total, j.what))
	if !j.last {
		return nil
	}
	return b.putImage(ctx, j.platform)
}

func (b *build) documents(ctx context.Context, p agent.Platform) (*layer, error) {
	documents, err := pluginsdir.Documents(b.lock, p, b.options.Mount, b.current.made, b.source)
	if err != nil {
		return nil, err
	}
	return newLayer(b.options.ModTime, func(w *layerWriter) error {
		for _, d := range documents {
			if err := w.copy(ctx, path.Join(b.options.Mount, d.Path), agent.IndexMode, int64(len(d.Data)), bytes.NewReader(d.Data)); err != nil {
				return describe(p, d.Path, err)
			}
		}
		return nil
	})
}

// putImage hands on what makes layers an image.
func (b *build) putImage(ctx context.Context, p agent.Platform) error {
	config, err := b.config(p)
	if err != nil {
		return err
	}
	manifest, err := oci.Encode(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: oci.Describe(types.OCIConfigJSON, oci.BlobOf(config)), Layers: b.current.layers,
		Annotations: b.annotations(),
	})
	if err != nil {
		return err
	}
	if err := b.sink.Blob(ctx, oci.BlobOf(config), func() (blob.File, error) { return blob.InMemory(config), nil }); err != nil {
		return err
	}
	m := Manifest{MediaType: string(types.OCIManifestSchema1), Blob: oci.BlobOf(manifest), Data: manifest, Platform: &p}
	if err := b.sink.Manifest(ctx, m); err != nil {
		return err
	}
	d := oci.Describe(m.MediaType, m.Blob)
	d.Platform = &v1.Platform{OS: p.OS, Architecture: p.Arch}
	b.manifests = append(b.manifests, d)
	b.written.Size += b.current.size + int64(len(config)+len(manifest))
	if b.seeders[p] == "" {
		b.written.MountOnly = append(b.written.MountOnly, p)
	}
	b.current = imageState{}
	return nil
}

func (b *build) putIndex(ctx context.Context) error {
	data, err := oci.Encode(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Annotations: b.annotations(), Manifests: b.manifests})
	if err != nil {
		return err
	}
	m := Manifest{MediaType: string(types.OCIImageIndex), Blob: oci.BlobOf(data), Data: data}
	b.written.Digest = m.SHA256.OCI()
	return b.sink.Manifest(ctx, m)
}

// prepared is what [build.prepare] returned.
type prepared struct {
	layer *layer
	err   error
}

// inOrder prepares layers, at most n at a time, and hands them on in their
// order. A layer that waits for its turn counts, so that no more than n lie on
// disk.
func inOrder(ctx context.Context, jobs []job, n int, prepare func(context.Context, job) (*layer, error), handOn func(context.Context, job, *layer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan chan prepared, n-1) // one more is being handed on
	go func() {
		defer close(queue)
		for _, j := range jobs {
			made := make(chan prepared, 1)
			select {
			case queue <- made:
			case <-ctx.Done():
				return
			}
			go func() {
				l, err := prepare(ctx, j)
				made <- prepared{l, err}
			}()
		}
	}()
	defer func() {
		cancel()
		for made := range queue {
			(<-made).layer.discard()
		}
	}()
	for _, j := range jobs {
		made, more := <-queue
		if !more {
			return context.Cause(ctx)
		}
		p := <-made
		if p.err == nil {
			p.err = handOn(ctx, j, p.layer)
		}
		p.layer.discard()
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// compressed is what a layer leaves of a program, about: one part of so many.
const compressed = 3

// layerSizes estimates the sizes of an image's layers of files: an archive is as
// large as a layer of what is in it, and a program is compressed.
func layerSizes(l *lock.Lock) []int64 {
	var sizes []int64
	for _, p := range l.Platforms {
		seen := map[string]bool{}
		for _, file := range l.Files(p) {
			size := file.Artifact.Size
			if file.Format == "" {
				size /= compressed
			}
			if !seen[file.Artifact.URL] {
				sizes = append(sizes, size)
			}
			seen[file.Artifact.URL] = true
		}
	}
	return sizes
}

// NeedTemporary estimates how much of an image waits in temporary files for its turn:
// as many layers in a row as are made at a time.
func NeedTemporary(l *lock.Lock) int64 {
	sizes := layerSizes(l)
	n := min(layersAtATime(), len(sizes))
	var most int64
	for i := range len(sizes) - n + 1 {
		most = max(most, sum(sizes[i:i+n]))
	}
	return most
}

func sum(sizes []int64) (total int64) {
	for _, n := range sizes {
		total += n
	}
	return total
}

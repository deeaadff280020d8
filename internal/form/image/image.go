// Package image makes a container image that has an agent's plugin cache
// directory in it, to be mounted as a volume or to seed one from.
//
// For each platform of a lock there is an image whose layers are, in this order:
// each plugin and dependency by itself, so that releases share the layers of what
// they have in common; the documents, which depend on all of them; and the
// program that copies the directory to a volume, if there is one. What lies
// below the mount is what package dir writes. The same lock gives the same bytes on
// every machine.
package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// defaultMount is where an agent looks for its plugins if it is told nothing.
const defaultMount = "/plugins"

// Options say how an image is made. Its zero value is an image for the agent's
// default directory, without seeders.
type Options struct {
	// Mount is where the agent will see the directory, and where the image has
	// it; /plugins if empty.
	Mount string
	// ModTime is that of everything in the image; the epoch if zero.
	ModTime time.Time
	// Seeders are the programs to put into the image, at most one for each of
	// the lock's platforms.
	Seeders []Seeder
	// Parallel is how many layers are made at a time; if zero, as many as there
	// are processors. It has no influence on the result.
	Parallel int
	// Progress, if not nil, is called for each layer that was handed on, in
	// order.
	Progress func(Progress)
	// Waiting, if not nil, is called by [WriteFile] when another run writes
	// the file.
	Waiting func(path string)
}

// Progress is a layer that was handed on.
type Progress struct {
	Platform agent.Platform
	// Layer is what the layer holds, in words: the path of a file in the image,
	// or the first and the last of several.
	Layer string
	// Size is that of the layer as it is handed on, compressed, in bytes.
	Size int64
	// Done counts the layers, of Total for all platforms.
	Done, Total int
}

// Blob is a layer or a configuration on its way.
type Blob struct {
	MediaType string
	lock.Blob
	// Open opens the content, any number of times, while the call lasts that
	// the blob was given to.
	Open func() (blob.File, error)
}

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
	Blob(ctx context.Context, b Blob) error
	Manifest(ctx context.Context, m Manifest) error
}

// Result says what was made.
type Result struct {
	// Index is the image's index, whose digest is that of the whole.
	Index lock.Blob
	// Tag is the name that the image should have: see [lock.Lock.Tag].
	Tag       string
	Platforms []Platform
}

// Sum returns the size in bytes of all platforms, and those that have no program.
func (r *Result) Sum() (size int64, mountOnly []agent.Platform) {
	for _, p := range r.Platforms {
		size += p.Size
		if !p.Seeded {
			mountOnly = append(mountOnly, p.Platform)
		}
	}
	return size, mountOnly
}

// Platform is an image for one platform.
type Platform struct {
	agent.Platform
	// Manifest is the image's manifest.
	Manifest lock.Blob
	// Seeded says that there is a program to copy the directory to a volume.
	Seeded bool
	Layers int
	// Size is that of manifest, configuration and layers as they are transferred.
	Size int64
}

// Build makes an image of a lock and hands it on. What the sink received counts
// only if the error is nil. Layers wait in files without a name in [os.TempDir]:
// no more of them than are made at a time, and while one is made, maybe what it is
// made of.
func Build(ctx context.Context, l *lock.Lock, src pluginsdir.Source, o Options, sink Sink) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l = l.PluginsOnly()
	l.Platforms = slices.SortedFunc(slices.Values(l.Platforms), agent.ComparePlatforms)
	tag, err := l.Tag()
	if err != nil {
		return nil, err
	}
	jobs, err := plan(l, o)
	if err != nil {
		return nil, err
	}
	b := &build{lock: l, source: src, options: o, sink: sink, total: len(jobs)}
	if err := inOrder(ctx, jobs, o.Parallel, b.prepare, b.handOn); err != nil {
		return nil, err
	}
	index, err := b.putIndex(ctx)
	if err != nil {
		return nil, err
	}
	return &Result{Index: index, Tag: tag, Platforms: b.platforms}, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Mount == "" {
		o.Mount = defaultMount
	}
	if err := CheckMount(o.Mount); err != nil {
		return o, err
	}
	if o.ModTime.IsZero() {
		o.ModTime = time.Unix(0, 0)
	}
	o.ModTime = o.ModTime.UTC().Truncate(time.Second)
	if o.Parallel < 1 {
		o.Parallel = DefaultParallel()
	}
	return o, nil
}

// CheckMount reports why an image cannot have the directory at a path.
func CheckMount(mount string) error {
	if err := pluginsdir.CheckMount(mount); err != nil {
		return err
	}
	if mount == seederPath || strings.HasPrefix(mount, seederPath+"/") {
		return fault.New(fault.Usage, "%s is where the image has its program, so it cannot be the agent's plugins.cacheDir", seederPath)
	}
	if strings.ContainsRune(mount, 0) || isWhiteout(mount) {
		return fault.New(fault.Usage, "no image can have a directory %q", mount)
	}
	return nil
}

// isWhiteout reports whether a path has a name that, in a layer, is not that of a
// file but removes one (image-spec, layer.md).
func isWhiteout(name string) bool { return strings.Contains("/"+name, "/.wh.") }

// seederOf returns the seeder for a platform, or nil.
func (o Options) seederOf(p agent.Platform) *Seeder {
	for i := range o.Seeders {
		if o.Seeders[i].Platform == p {
			return &o.Seeders[i]
		}
	}
	return nil
}

// describe says which file of an image is meant.
func describe(p agent.Platform, what string, err error) error {
	return fmt.Errorf("making the layer of %s for %s: %w", what, p, err)
}

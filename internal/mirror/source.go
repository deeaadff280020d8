package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// source is a mirror that is read.
type source struct {
	// name is as the user wrote it.
	name string
	lock *lock.Lock
	form.Content
	// obtain makes a blob ready to be read, and tells how many bytes that
	// took over a network. It is nil where all blobs are there.
	obtain func(context.Context, lock.Blob) (int64, error)
	close  func() error
}

// openSource opens a bundle, from a file, a layout directory, a registry or
// standard input, or an agent's cache directory.
func (s *Session) openSource(ctx context.Context, name string, stdin io.Reader) (*source, error) {
	if reference, ok := strings.CutPrefix(name, form.RegistryPrefix); ok {
		return s.openRegistry(ctx, reference)
	}
	if name == form.StandardStream {
		src, err := openStandardInput(ctx, stdin)
		return src, noBundle(err)
	}
	at, err := locate(name)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(at.path)
	if err != nil {
		return nil, fault.New(fault.Usage, "opening %s: %w", at.path, oci.Cause(err)).
			WithHint(sourceHint)
	}
	if fi.IsDir() && oci.Sniff(at.path) != oci.InDir {
		return openDirSource(at.path)
	}
	b, err := openBundle(ctx, at.path, at.name)
	if err != nil {
		return nil, noBundle(err)
	}
	return bundleSource(at.path, b), nil
}

// openBundle opens the bundle at a path that has a name in its layout, or the only one.
func openBundle(ctx context.Context, path, name string) (*bundle.Bundle, error) {
	l, err := oci.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return bundleIn(ctx, l, name)
}

// bundleIn opens the bundle of a layout, which it closes if there is none.
func bundleIn(ctx context.Context, l *oci.Layout, name string) (*bundle.Bundle, error) {
	b, err := bundle.Open(ctx, l, name)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return b, nil
}

// noBundle adds the next step for what is something else than a bundle.
func noBundle(err error) error {
	if errors.Is(err, bundle.ErrNotBundle) && fault.HintOf(err) == "" {
		return fault.New(fault.Usage, "%w", err).WithHint(sourceHint)
	}
	return err
}

const sourceHint = "name a bundle (FILE.tar or a directory), docker://REFERENCE for one in a registry, or - for standard input"

func bundleSource(name string, b *bundle.Bundle) *source {
	return &source{name: name, lock: b.Lock(), Content: form.Content{Plugins: pluginsdir.Upstream{Blobs: b}, Blobs: b}, close: b.Close}
}

func openDirSource(path string) (*source, error) {
	if site.IsSite(path) {
		return nil, fault.New(fault.Usage, "%s is a site: nothing else is made of one", path).WithHint("name the bundle that it was made of")
	}
	d, err := dir.OpenSource(path)
	if err != nil && fault.KindOf(err) == fault.Usage && fault.HintOf(err) == "" {
		return nil, fault.New(fault.Usage, "%w", err).WithHint(sourceHint)
	}
	if err != nil {
		return nil, err
	}
	return &source{name: path, lock: d.Lock(), Content: form.Content{Plugins: d}, close: d.Close}, nil
}

// openStandardInput reads a bundle from standard input.
func openStandardInput(ctx context.Context, stdin io.Reader) (*source, error) {
	l, err := oci.OpenStream(ctx, stdin)
	if err != nil {
		return nil, err
	}
	b, err := bundleIn(ctx, l, "")
	if err != nil {
		return nil, err
	}
	return bundleSource(b.Name(), b), nil
}

// openRegistry opens a bundle in a registry. Its blobs come through the store.
func (s *Session) openRegistry(ctx context.Context, reference string) (*source, error) {
	repo, ref, err := s.pullFrom(ctx, reference)
	if err != nil {
		return nil, err
	}
	top, err := repo.Manifest(ctx, ref.Identifier())
	if err != nil {
		return nil, err
	}
	contents, err := s.readBundle(ctx, repo, top)
	if err != nil {
		return nil, fmt.Errorf("reading the bundle %s: %w", ref, err)
	}
	src := &source{
		name: form.RegistryPrefix + ref.String(), lock: contents.Lock,
		Content: form.Content{Plugins: pluginsdir.Upstream{Blobs: s.Store, Memory: s.Store}, Blobs: s.Store},
		obtain:  func(ctx context.Context, b lock.Blob) (int64, error) { return s.fetchBlob(ctx, repo, b) },
		close:   func() error { return nil },
	}
	return src, s.fetchDocuments(ctx, src, contents)
}

// readBundle reads the documents of a bundle in a registry.
func (s *Session) readBundle(ctx context.Context, repo *registry.Repository, top registry.Manifest) (*bundle.Contents, error) {
	return bundle.Read(ctx, top.Data, storedReader{repositoryReader{repo}, s})
}

// pullFrom asks a registry for access to what a reference names.
func (s *Session) pullFrom(ctx context.Context, reference string) (*registry.Repository, registry.Reference, error) {
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, ref, err
	}
	if ref.Identifier() == "" {
		return nil, ref, fault.New(fault.Usage, "%s%s has neither tag nor digest", form.RegistryPrefix, ref).
			WithHint("add the Botkube version: %s%s:v1.14.0", form.RegistryPrefix, ref)
	}
	repo, err := cmp.Or(s.Source, s.Registry).Repository(ctx, ref.Repository(), false)
	return repo, ref, err
}

// fetchDocuments brings into the store what is small, and of which the rest is
// understood: indexes, schemas, and manifests, which a registry keeps apart from
// blobs.
func (s *Session) fetchDocuments(ctx context.Context, src *source, contents *bundle.Contents) error {
	for _, m := range contents.Manifests {
		if _, isImage := m.ImageRole(); !isImage {
			continue
		}
		if _, err := s.Store.Put(m.Data); err != nil {
			return err
		}
	}
	document := func(b lock.Blob, max int64) error {
		if b.Size > max {
			return fault.New(fault.Integrity, "%s names a document of %d bytes; at most %d are read", src.name, b.Size, max)
		}
		_, err := src.obtain(ctx, b)
		return err
	}
	for _, r := range src.lock.Repositories {
		if err := document(r.Index, index.MaxSize); err != nil {
			return err
		}
		for _, schema := range r.Schemas {
			if err := document(schema.Blob, lock.MaxSchema); err != nil {
				return err
			}
		}
	}
	return nil
}

// SubsetOptions say which part of a mirror is taken. Empty means all of it.
type SubsetOptions struct {
	Platforms []agent.Platform
	Plugins   []agent.PluginKey
	Exclude   []agent.PluginKey
}

func (o SubsetOptions) all() bool {
	return len(o.Platforms)+len(o.Plugins)+len(o.Exclude) == 0
}

// subset returns the part of a source's lock that is wanted, as a pull of that
// part would have written it.
func (src *source) subset(o SubsetOptions) (*lock.Lock, error) {
	if o.all() {
		return src.lock, nil
	}
	platforms := o.Platforms
	for _, p := range platforms {
		if !slices.Contains(src.lock.Platforms, p) {
			return nil, fault.New(fault.Incomplete, "%s is not for %s, but for %s", src.name, p, agent.JoinPlatforms(src.lock.Platforms)).
				WithHint("pull it for that platform too, where there is internet: --platform %s", p)
		}
	}
	if len(platforms) == 0 {
		platforms = src.lock.Platforms
	}
	for _, key := range slices.Concat(o.Plugins, o.Exclude) {
		if !slices.ContainsFunc(src.lock.Plugins, func(p lock.Plugin) bool { return matches(key, p) }) {
			return nil, src.noPlugin(key)
		}
	}
	part := src.lock.Subset(platforms, func(p lock.Plugin) bool {
		named := func(keys []agent.PluginKey) bool {
			return slices.ContainsFunc(keys, func(k agent.PluginKey) bool { return matches(k, p) })
		}
		return (len(o.Plugins) == 0 || named(o.Plugins)) && !named(o.Exclude)
	})
	// A pull leaves out repositories of which nothing is wanted, too.
	part.Repositories = slices.DeleteFunc(part.Repositories, func(r lock.Repository) bool {
		return !slices.ContainsFunc(part.Plugins, func(p lock.Plugin) bool { return p.Repository == r.Name })
	})
	if len(part.Plugins) == 0 {
		return nil, fault.New(fault.Usage, "%s holds nothing of what is selected", src.name).
			WithHint("see what it holds: botkube-mirror list %s", src.name)
	}
	return part, src.dropSchemas(part)
}

// matches reports whether a key names a plugin of a lock. Without a version it
// names all that are there.
func matches(key agent.PluginKey, p lock.Plugin) bool {
	return key.Repository == p.Repository && key.Name == p.Name &&
		(key.Version == "" || key.Version == p.Version)
}

// noPlugin says that a plugin is not there, and which are.
func (src *source) noPlugin(key agent.PluginKey) error {
	var names []string
	for _, p := range src.lock.Plugins {
		names = append(names, p.Key().String())
	}
	return fault.New(fault.Usage, "%w", index.UnknownName("plugin", key.String(), names)).
		WithHint("see what %s holds: botkube-mirror list %s", src.name, src.name)
}

// dropSchemas takes JSON schemas out of a lock that only plugins refer to
// that are not in it.
func (src *source) dropSchemas(l *lock.Lock) error {
	for i, r := range l.Repositories {
		if len(r.Schemas) == 0 || src.Blobs == nil {
			continue
		}
		used, err := src.schemasUsed(l, r)
		if err != nil {
			return fmt.Errorf("reading the index of %q: %w", r.Name, err)
		}
		l.Repositories[i].Schemas = slices.DeleteFunc(slices.Clone(r.Schemas), func(s lock.Schema) bool { return !used[s.URL] })
	}
	return nil
}

// schemasUsed returns the URLs of the schemas that the entries of a lock refer to.
func (src *source) schemasUsed(l *lock.Lock, r lock.Repository) (map[string]bool, error) {
	data, err := src.Blobs.ReadAll(r.Index.SHA256, index.MaxSize)
	if err != nil {
		return nil, err
	}
	ix, err := index.Parse(data)
	if err != nil {
		return nil, err
	}
	return ix.Schemas(r.URL, func(e *agent.Entry) bool {
		return slices.ContainsFunc(l.Plugins, func(p lock.Plugin) bool { return p.Matches(r.Name, e) })
	})
}

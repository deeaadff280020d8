package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/serve"
)

// KindBundles is a directory with several bundles in it.
const KindBundles Kind = "bundles"

const servedHint = "name a bundle (FILE.tar or a layout directory), a directory of bundles, or a site"

// served is a mirror that is served.
type served struct {
	kind     Kind
	versions []servedVersion
	ignored  []string
	closers  []io.Closer
}

// servedVersion is a version, and the path of where it is.
type servedVersion struct {
	serve.Version
	source string
}

// sort puts the newest version first, and what is none by its name last.
func (s *served) sort() {
	slices.SortStableFunc(s.versions, func(a, b servedVersion) int {
		return compareVersions(a.Lock.BotkubeVersion, a.Tag, b.Lock.BotkubeVersion, b.Tag)
	})
}

// compareVersions orders mirrors by their Botkube versions, the newest first, and those
// that have none by their tags, last.
func compareVersions(a, tagA, b, tagB string) int {
	x, errX := version.NewVersion(a)
	y, errY := version.NewVersion(b)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(y.Compare(x), strings.Compare(tagA, tagB))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(tagA, tagB)
}

func (s *served) close() {
	for _, c := range s.closers {
		_ = c.Close() // nothing was written to it
	}
}

// openServed finds out by its content what a target is, and opens it.
func (s *Session) openServed(ctx context.Context, target string) (*served, error) {
	switch {
	case strings.HasPrefix(target, form.RegistryPrefix):
		return nil, fault.New(fault.Usage, "%s is in a registry; what is served lies on this machine", target).
			WithHint("copy it here: botkube-mirror unpack %s -o bundle.tar", target)
	case target == form.StandardStream:
		return nil, fault.New(fault.Usage, "standard input cannot be served").WithHint(servedHint)
	}
	at, err := locate(target)
	if err != nil {
		return nil, err
	}
	path := at.path
	fi, err := os.Stat(path)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fault.New(fault.Usage, "opening %s: %w", path, pathErr.Err).WithHint(servedHint)
	}
	out := new(served)
	if fi.IsDir() && oci.Sniff(path) != oci.InDir {
		err = s.openServedDir(ctx, out, path)
	} else {
		out.kind = KindBundle
		err = out.addBundle(ctx, path, at.name)
		if errors.Is(err, bundle.ErrNotBundle) || errors.Is(err, oci.ErrNotLayout) {
			err = s.notServed(ctx, path, err)
		}
	}
	if err != nil {
		out.close()
		return nil, err
	}
	out.sort()
	return out, nil
}

// notServed says what something is that is no bundle.
func (s *Session) notServed(ctx context.Context, path string, err error) error {
	in, inspectErr := s.inspect(ctx, path, nil)
	switch {
	case inspectErr != nil:
		return fault.New(fault.Usage, "%w", err).WithHint(servedHint)
	case in.kind == KindImage:
		return fault.New(fault.Usage, "%s is an image, which has no upstream files that agents could download", path).
			WithHint("serve the bundle that it was made of, or have pods mount the image: then no server is needed")
	case in.kind == KindLock:
		return fault.New(fault.Usage, "%s is a lock: it names files, but has none", path).
			WithHint("botkube-mirror pull --lock %s -o bundle.tar, and serve that", path)
	case in.kind == KindBundle: // one that is compressed
		return err
	}
	return fault.New(fault.Usage, "%w", err).WithHint(servedHint)
}

// openServedDir opens a directory that is no layout.
func (s *Session) openServedDir(ctx context.Context, out *served, path string) error {
	root, tag := filepath.Split(filepath.Clean(path))
	switch {
	case dir.IsDirectory(path):
		return fault.New(fault.Usage, "%s is an agent's cache directory, which has no upstream files that agents could download", path).
			WithHint("serve the bundle or the site that was pulled with it, or mount the directory: then no server is needed")
	case site.HasVersions(path):
		return s.addSite(ctx, out, path, "")
	case root != "" && site.HasVersions(filepath.Clean(root)):
		return s.addSite(ctx, out, filepath.Clean(root), tag)
	}
	return out.addBundles(ctx, path)
}

func (s *Session) addSite(ctx context.Context, out *served, root, tag string) error {
	out.kind = KindSite
	src, err := site.OpenSource(ctx, root, tag, s.waiting)
	if err != nil {
		return err
	}
	out.closers = append(out.closers, src)
	for _, v := range src.Versions() {
		out.versions = append(out.versions, servedVersion{source: filepath.Join(root, v.Tag), Version: serve.Version{
			Tag: v.Tag, Lock: v.Lock, Indexes: v,
			Open: func(f site.File) (serve.File, error) { return v.Open(f) },
		}})
	}
	return nil
}

// addBundles adds the bundles in a directory. What is none is left out; one that
// is damaged is an error, lest a version be missed later.
func (out *served) addBundles(ctx context.Context, path string) error {
	out.kind = KindBundles
	entries, err := os.ReadDir(path)
	if err != nil {
		return fault.New(fault.Usage, "reading the directory: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		at := filepath.Join(path, e.Name())
		if oci.Sniff(at) == oci.NoLayout {
			out.ignored = append(out.ignored, at)
			continue
		}
		err := out.addBundle(ctx, at, "")
		if errors.Is(err, bundle.ErrNotBundle) || errors.Is(err, oci.ErrNotLayout) {
			out.ignored = append(out.ignored, at)
		} else if err != nil {
			return err
		}
	}
	if len(out.versions) == 0 {
		return fault.New(fault.Usage, "%s is neither a bundle nor a site, and there is no bundle in it", path).WithHint(servedHint)
	}
	return nil
}

func (out *served) addBundle(ctx context.Context, path, name string) error {
	b, err := openBundle(ctx, path, name)
	if err != nil {
		return err
	}
	out.closers = append(out.closers, b)
	l := b.Lock().PluginsOnly()
	tag, err := l.Tag()
	if err != nil {
		return err
	}
	for _, v := range out.versions {
		if v.Tag == tag {
			return fault.New(fault.Usage, "%s and %s are both of version %s", v.source, path, tag).
				WithHint("leave one of them out; for several platforms, pull one bundle: --platform linux/amd64 --platform linux/arm64")
		}
	}
	indexes, err := readIndexes(b, l)
	if err != nil {
		return err
	}
	out.versions = append(out.versions, servedVersion{source: path, Version: serve.Version{
		Tag: tag, Lock: l, Indexes: indexes,
		Open: func(f site.File) (serve.File, error) { return servedBlob(b, f.SHA256) },
	}})
	return nil
}

// servedBlob opens a blob that tells whether it is what it was.
func servedBlob(b *bundle.Bundle, d lock.SHA256) (serve.File, error) {
	content, err := b.Open(d)
	if err != nil {
		return nil, err
	}
	f, described := content.(serve.File)
	if !described {
		content.Close()
		return nil, fmt.Errorf("the blob %s is not a file", d)
	}
	return f, nil
}

// heldIndexes are indexes by the names of their repositories.
type heldIndexes map[string]pluginsdir.Index

// readIndexes reads the indexes of a bundle, and verifies them: they are
// rewritten more than once.
func readIndexes(b *bundle.Bundle, l *lock.Lock) (site.Indexes, error) {
	held := heldIndexes{}
	for _, r := range l.Repositories {
		ix, err := pluginsdir.Upstream{Blobs: b}.Index(agent.Platform{}, r)
		if err != nil {
			return nil, err
		}
		held[r.Name] = ix
	}
	return held, nil
}

// Index is for [site.Indexes].
func (h heldIndexes) Index(_ agent.Platform, r lock.Repository) (pluginsdir.Index, error) {
	return h[r.Name], nil
}

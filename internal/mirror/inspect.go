package mirror

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/form/dir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/legible"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// Kind is what a mirror is, wherever it lies.
type Kind string

// The kinds.
const (
	KindBundle    Kind = "bundle"
	KindDirectory Kind = "directory"
	KindImage     Kind = "image"
	KindSite      Kind = "site"
	KindLock      Kind = "lock"
	// KindUpstream is no mirror, but what one could be made of.
	KindUpstream Kind = "upstream"
)

// holdsMembers reports whether there is room for the agent's image and the chart.
func (k Kind) holdsMembers() bool { return k == KindBundle || k == KindLock || k == KindUpstream }

// inspected is a mirror as its documents describe it. No plugin was read.
type inspected struct {
	// target is as the user wrote it.
	target string
	kind   Kind
	lock   *lock.Lock
	// tag is that of a bundle, an image or a version of a site; the first two
	// have a digest.
	tag, digest string
	// mount is where an agent sees a directory or an image. It is empty if that
	// cannot be told.
	mount string
	// baseURL is where a site is served, by its indexes.
	baseURL string
	// mountOnly are the platforms whose image has no program to seed a volume.
	mountOnly []agent.Platform
}

const inspectHint = "name a bundle (FILE.tar or a directory), a directory, a site or an image that pull or unpack wrote, a lock, docker://REFERENCE, or - for standard input"

// inspect finds out what a target is, and reads its lock.
func (s *Session) inspect(ctx context.Context, target string, stdin io.Reader) (*inspected, error) {
	in, err := s.inspectAny(ctx, target, stdin)
	if err != nil {
		return nil, err
	}
	in.target = target
	return in, nil
}

func (s *Session) inspectAny(ctx context.Context, target string, stdin io.Reader) (*inspected, error) {
	if reference, ok := strings.CutPrefix(target, form.RegistryPrefix); ok {
		return s.inspectRegistry(ctx, reference)
	}
	if target == form.StandardStream {
		return inspectStandardInput(ctx, stdin)
	}
	at, err := locate(target)
	if err != nil {
		return nil, err
	}
	path := at.path
	fi, err := os.Stat(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	switch {
	case oci.Sniff(path) != oci.NoLayout:
		return inspectLayout(ctx, at)
	case fi.IsDir():
		return inspectDir(path)
	case !fi.Mode().IsRegular():
		return nil, fault.New(fault.Usage, "%s is neither a regular file nor a directory", path).WithHint(inspectHint)
	}
	return inspectFile(ctx, path)
}

func unopened(path string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // it would name the path again
	}
	return fault.New(fault.Usage, "opening %s: %w", path, err).WithHint(inspectHint)
}

// inspectLayout reads a bundle or an image, in a file or a directory.
func inspectLayout(ctx context.Context, at located) (*inspected, error) {
	l, err := oci.Open(ctx, at.path)
	if err != nil {
		return nil, err
	}
	return inspectIn(ctx, l, at)
}

// inspectIn reads a bundle or an image in a layout, and closes that.
func inspectIn(ctx context.Context, l *oci.Layout, at located) (*inspected, error) {
	defer l.Close()
	notBundle := error(bundle.ErrNotBundle)
	if at.form != "image" {
		b, err := bundle.Open(ctx, l, at.name)
		if err == nil {
			return inspectedBundle(b.Contents()), nil
		}
		if !maybeImage(err) {
			return nil, err
		}
		notBundle = err
	}
	im, imageErr := image.Open(ctx, l, at.name)
	if imageErr != nil {
		return nil, noImage(l.Name(), notBundle, imageErr)
	}
	return inspectedImage(im), nil
}

// maybeImage reports whether what is no bundle may be an image. What has a hint is
// not of this program, but it is clear what to do.
func maybeImage(err error) bool {
	return errors.Is(err, bundle.ErrNotBundle) && fault.HintOf(err) == ""
}

// noImage says what something is that is neither bundle nor image, by what was
// found when it was read as each.
func noImage(name string, asBundle, asImage error) error {
	if errors.Is(asBundle, bundle.ErrPart) {
		return fault.New(fault.Usage, "%s: %w", name, asBundle).WithHint("%s", fault.HintOf(asBundle))
	}
	if fault.KindOf(asImage) != fault.Usage || errors.Is(asImage, oci.ErrChoice) {
		return asImage
	}
	return fault.New(fault.Usage, "%s is %w", name, oci.ErrNotLayout).WithHint(inspectHint)
}

func inspectedBundle(c *bundle.Contents) *inspected {
	return &inspected{kind: KindBundle, lock: c.Lock, tag: c.Tag, digest: digestOf(c.Index.Blob())}
}

func inspectedImage(im *image.Image) *inspected {
	in := &inspected{kind: KindImage, lock: im.Lock, tag: im.Tag, digest: digestOf(im.Top), mount: im.Mount}
	for _, p := range im.Platforms {
		if !p.Seeded {
			in.mountOnly = append(in.mountOnly, p.Platform)
		}
	}
	return in
}

// inspectDir reads a directory that is no layout: what an agent starts from, a
// site, or a version of one.
func inspectDir(path string) (*inspected, error) {
	if site.IsSite(path) {
		return inspectSite(path, "")
	}
	l, err := dir.ReadLock(path)
	if err != nil {
		if root, tag := filepath.Split(filepath.Clean(path)); site.IsSite(filepath.Clean(root)) {
			return inspectSite(filepath.Clean(root), tag)
		}
		if fault.KindOf(err) == fault.Usage && fault.HintOf(err) == "" {
			err = fault.New(fault.Usage, "%w", err).WithHint(inspectHint)
		}
		return nil, err
	}
	return &inspected{kind: KindDirectory, lock: l, mount: mountOf(path)}, nil
}

// inspectSite reads the version of a site that has a tag, or its only one.
func inspectSite(root, tag string) (*inspected, error) {
	versions, err := site.ReadLocks(root)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(versions, func(a, b site.Version) int {
		return compareVersions(a.Lock.BotkubeVersion, a.Tag, b.Lock.BotkubeVersion, b.Tag)
	})
	var tags []string
	for _, v := range versions {
		if v.Tag == tag || tag == "" && len(versions) == 1 {
			return &inspected{kind: KindSite, lock: v.Lock, tag: v.Tag, baseURL: site.BaseURL(root, v)}, nil
		}
		tags = append(tags, v.Tag)
	}
	hint := "name " + filepath.Join(root, tags[0])
	if tag != "" {
		return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", root, tag, strings.Join(tags, ", ")).WithHint("%s", hint)
	}
	return nil, fault.New(fault.Usage, "the site %s has several versions: %s", root, strings.Join(tags, ", ")).WithHint("%s, or another of them", hint)
}

// mountOf returns where an agent must see a directory, as its indexes have it.
// Of a damaged directory it is not known: whether one is, verify says.
func mountOf(path string) string {
	d, err := dir.OpenSource(path)
	if err != nil {
		return ""
	}
	defer d.Close()
	for _, p := range d.Lock().Platforms {
		for _, r := range d.Lock().Repositories {
			ix, err := d.Index(p, r)
			if err != nil {
				return ""
			}
			if mount := pluginsdir.MountIn(ix.Data, r.Name, p); mount != "" {
				return mount
			}
		}
	}
	return ""
}

// inspectFile reads a file that does not begin like a tar: a lock.
func inspectFile(ctx context.Context, path string) (*inspected, error) {
	start, err := startOf(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	if !looksLikeLock(start) {
		// It may be what is left of a bundle.
		if _, err := openBundle(ctx, path, ""); fault.KindOf(err) != fault.Usage {
			return nil, err
		}
		return nil, fault.New(fault.Usage, "%s is no mirror: neither a tar file nor a lock", path).WithHint(inspectHint)
	}
	l, err := resolve.ReadLock(path)
	if err != nil {
		return nil, noLock(err)
	}
	return &inspected{kind: KindLock, lock: l}, nil
}

// sniffed is how many bytes at the start of a file are looked at.
const sniffed = 512

func startOf(path string) ([]byte, error) {
	f, _, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, sniffed))
}

func looksLikeLock(start []byte) bool {
	text, _ := legible.Text(start)
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// noLock says what to do about a lock that cannot be used.
func noLock(err error) error {
	if fault.KindOf(err) != fault.Integrity {
		return err
	}
	return fault.New(fault.Integrity, "%w", err).
		WithHint("copy the lock again, or write a new one with the command lock")
}

// inspectStandardInput reads a bundle, an image or a lock.
func inspectStandardInput(ctx context.Context, stdin io.Reader) (*inspected, error) {
	start, stdin, err := peek(stdin)
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	if looksLikeLock(start) {
		return lockFrom(stdin)
	}
	l, err := oci.OpenStream(ctx, stdin)
	if err != nil {
		return nil, err
	}
	return inspectIn(ctx, l, located{})
}

// peek returns how a stream starts, and the stream from there on. A file stays
// one, so that it can be read in place.
func peek(stdin io.Reader) ([]byte, io.Reader, error) {
	if f, ok := stdin.(*os.File); ok {
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			start := make([]byte, sniffed)
			n, err := f.ReadAt(start, 0)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return start[:n], f, err
		}
	}
	r := bufio.NewReader(stdin)
	start, err := r.Peek(sniffed)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return start, r, err
}

// lockFrom reads a lock that nobody has opened by a name.
func lockFrom(r io.Reader) (*inspected, error) {
	data, err := io.ReadAll(io.LimitReader(r, lock.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	l, err := lock.Parse(data)
	if err != nil {
		return nil, noLock(fault.New(fault.Integrity, "standard input: %w", err))
	}
	return &inspected{kind: KindLock, lock: l}, nil
}

// inspectRegistry reads a bundle or an image in a registry. Of an image, that
// takes the layers with its documents.
func (s *Session) inspectRegistry(ctx context.Context, reference string) (*inspected, error) {
	repo, ref, err := s.pullFrom(ctx, reference)
	if err != nil {
		return nil, err
	}
	top, err := repo.Manifest(ctx, ref.Identifier())
	if err != nil {
		return nil, err
	}
	name := form.RegistryPrefix + ref.String()
	contents, err := s.readBundle(ctx, repo, top)
	if err == nil {
		return inspectedBundle(contents), nil
	}
	if !errors.Is(err, bundle.ErrNotBundle) {
		return nil, fmt.Errorf("reading the bundle %s: %w", name, err)
	}
	im, imageErr := image.Read(ctx, top.Data, storedReader{repositoryReader{repo}, s})
	if imageErr != nil {
		return nil, noImage(name, err, imageErr)
	}
	in := inspectedImage(im)
	in.tag = ref.Tag()
	return in, nil
}

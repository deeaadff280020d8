package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Bundle is a bundle that is read where it lies. It is a [blob.Source] of what
// its lock names. Its methods may be called concurrently.
type Bundle struct {
	origin   origin
	files    oci.Files
	contents *Contents
	// names are those in index.json, beside what else that names.
	names  []string
	beside []oci.Named

	mu sync.Mutex
	// known are the blobs that were found to be right.
	known map[lock.SHA256]bool
}

// StandardInput is the name of a bundle that has none.
const StandardInput = "standard input"

// origin says in messages where a bundle is.
type origin struct {
	name string
	dir  bool
}

func (o origin) String() string {
	if o.name == StandardInput {
		return "the bundle on standard input"
	}
	return "the bundle " + o.name
}

// again is the hint where a bundle is damaged or not complete.
func (o origin) again() string {
	switch {
	case o.name == StandardInput:
		return "see that what writes to standard input succeeds; else copy the bundle again from where it was pulled, and compare sha256sum on both sides"
	case o.dir:
		return fmt.Sprintf("copy %s again from where it was pulled, with everything in it", filepath.Base(o.name))
	}
	return fmt.Sprintf("copy %s again from where it was pulled; compare sha256sum on both sides first", filepath.Base(o.name))
}

// Shape is what a path looks like.
type Shape int

// The forms that [Sniff] tells apart.
const (
	// NoForm is anything else, or nothing.
	NoForm Shape = iota
	// TarForm is a file that is, or was, a tar: a compressed one too.
	TarForm
	// LayoutForm is a directory with an OCI image layout, or a part of one.
	LayoutForm
)

// Sniff tells which form of bundle a path may be. Whether it is a bundle, [Open]
// says, and why it is none.
func Sniff(path string) Shape {
	fi, err := os.Stat(path)
	if err != nil {
		return NoForm
	}
	if fi.IsDir() {
		for _, name := range []string{layoutName, indexName, blobsDir} {
			if _, err := os.Lstat(filepath.Join(path, filepath.FromSlash(name))); err == nil {
				return LayoutForm
			}
		}
		return NoForm
	}
	if !fi.Mode().IsRegular() {
		return NoForm
	}
	f, _, err := disk.Open(path)
	if err != nil {
		return NoForm
	}
	defer f.Close()
	start := make([]byte, oci.BlockSize)
	n, _ := io.ReadFull(f, start)
	if start = start[:n]; oci.IsTar(start) || oci.Compression(start) != "" {
		return TarForm
	}
	return NoForm
}

// Open opens a bundle that is a tar file or a layout directory. What is none is
// an [ErrNotBundle]. It has a hint, unless it may be an image that this program
// wrote: of those, and of what is none of the two, the caller knows more.
func Open(path string) (*Bundle, error) { return OpenNamed(path, "") }

// OpenNamed is [Open] for the bundle that has a name in its layout, a tag or
// sha256:DIGEST, for there may be several. Any will do for the empty one, if it is
// the only bundle.
func OpenNamed(path, name string) (*Bundle, error) { return openPath(path, name, open) }

// OpenIncomplete is [OpenNamed] for a bundle that may lack blobs, which are looked
// for when they are read.
func OpenIncomplete(path, name string) (*Bundle, error) { return openPath(path, name, openIncomplete) }

// opener reads what can be read of a bundle before its blobs are.
type opener func(from origin, in oci.Files, name string) (*Bundle, error)

func openPath(path, name string, open opener) (*Bundle, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "there is no bundle %s: %w", path, oci.Cause(err)).WithHint(bundleHint)
	}
	if err != nil {
		return nil, unopened(path, err)
	}
	if fi.IsDir() {
		return openLayout(path, name, open)
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.New(fault.Usage, "%s is neither a regular file nor a directory", path).
			WithHint("name a file, or - for standard input")
	}
	f, _, err := disk.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	return openTar(f, path, name, open)
}

func unopened(path string, err error) error {
	e := fault.New(fault.Usage, "opening the bundle %s: %w", path, oci.Cause(err))
	if errors.Is(err, fs.ErrPermission) {
		return e.WithHint("let your user read it: chmod u+rX, or chown if it is another's")
	}
	return e.WithHint(bundleHint)
}

// OpenTar opens a bundle that is an open tar file, which the bundle closes. The
// path is for messages, and may be [StandardInput]. Name and errors are as
// [OpenNamed]'s.
func OpenTar(f *os.File, path, name string) (*Bundle, error) { return openTar(f, path, name, open) }

// OpenIncompleteTar is to [OpenTar] what [OpenIncomplete] is to [OpenNamed].
func OpenIncompleteTar(f *os.File, path, name string) (*Bundle, error) {
	return openTar(f, path, name, openIncomplete)
}

func openTar(f *os.File, path, name string, open opener) (*Bundle, error) {
	from := origin{name: path}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fault.New(fault.Usage, "it is not a regular file")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", from, err), f.Close())
	}
	t, err := oci.ScanTar(f, fi.Size())
	if err != nil {
		return nil, errors.Join(from.describe(notLayout(err)), f.Close())
	}
	t.Closer = f
	return open(from, t, name)
}

// openLayout opens a bundle that is a directory.
func openLayout(dir, name string, open opener) (*Bundle, error) {
	root, err := disk.OpenRoot(dir)
	if err != nil {
		return nil, unopened(dir, err)
	}
	return open(origin{dir, true}, oci.Dir{Root: root}, name)
}

// open reads everything that can be read before the blobs are, and looks for those.
func open(from origin, in oci.Files, name string) (*Bundle, error) {
	b, err := openIncomplete(from, in, name)
	if err == nil {
		err = b.checkPresent()
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func openIncomplete(from origin, in oci.Files, name string) (*Bundle, error) {
	found, err := readLayout(context.Background(), in, name)
	if err != nil {
		return nil, errors.Join(from.describe(from.choice(err)), in.Close())
	}
	b := &Bundle{origin: from, files: in, names: found.names, beside: found.beside, known: map[lock.SHA256]bool{}}
	b.contents = found.contents.With(b)
	return b, nil
}

// describe names the bundle in an error, and says what to do about it.
func (o origin) describe(err error) error {
	e := fault.New(fault.KindOf(err), "%s: %w", o, err)
	hint := fault.HintOf(err)
	switch damaged := e.Kind == fault.Integrity || e.Kind == fault.Incomplete; {
	case errors.Is(err, ErrNotBundle):
		e = fault.New(e.Kind, "%s: %w", o.name, err)
	case hint != "":
	case damaged:
		hint = o.again()
	case errors.Is(err, fs.ErrPermission):
		e.Kind, hint = fault.Usage, "let your user read what is in it: chmod -R u+rX, or chown if it is another's"
	}
	return e.WithHint("%s", hint)
}

// choice says of a layout in which no bundle could be chosen how to choose one.
func (o origin) choice(err error) error {
	address := func(n oci.Named) string {
		if o.name == StandardInput {
			return "write it to a file, and name " + oci.Address("FILE", false, n)
		}
		return "name " + oci.Address(o.name, o.dir, n)
	}
	if e, ok := errors.AsType[*oci.Several](err); ok {
		return fault.New(fault.Usage, "it holds %d bundles: %w", len(e.Documents), err).WithHint("%s, or another of them", address(e.Documents[0]))
	}
	if e, ok := errors.AsType[*oci.Absent](err); ok {
		if len(e.Has) == 0 {
			return notBundle("%w, as that of a store", err).WithHint(bundleHint)
		}
		return fault.New(fault.Usage, "%w", err).WithHint("%s, or another of them", address(e.Has[0]))
	}
	if e, ok := errors.AsType[*oci.Unread](err); ok && len(e.Found) > 0 {
		return fault.New(fault.KindOf(err), "beside a bundle, its %s names %s, which cannot be read: %w", indexName, e.Named, err).
			WithHint("%s, if that is the bundle that you want; else %s", address(e.Found[0]), o.again())
	}
	return err
}

// found is a bundle in a layout.
type found struct {
	contents *Contents
	names    []string
	beside   []oci.Named
}

// readLayout reads the two files that make a layout, and the bundle in it that has
// a name, or the only one.
func readLayout(ctx context.Context, in oci.Files, name string) (*found, error) {
	if err := checkLayoutFile(in); err != nil {
		return nil, err
	}
	chosen, err := choose(ctx, in, name)
	if err != nil {
		return nil, err
	}
	c, err := readIndex(ctx, chosen.Data, oci.ReaderOf(in))
	if err != nil {
		return nil, err
	}
	return &found{c, chosen.Names, chosen.Beside}, nil
}

// checkLayoutFile reads oci-layout. Hauler's stores have none, and nothing is lost
// without it, so it is missed only where there is no index.json either.
func checkLayoutFile(in oci.Files) error {
	data, err := in.Small(layoutName)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := in.Small(indexName); errors.Is(err, fs.ErrNotExist) {
			return noLayout(in)
		}
		return nil
	}
	if err != nil {
		return err
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := oci.DecodeOpen(data, &version); err != nil {
		return fault.New(fault.Integrity, "its %s cannot be read: %w", layoutName, err)
	}
	if version.Version != "1.0.0" {
		return fault.New(fault.Integrity, "its %s says version %q; this program knows 1.0.0", layoutName, oci.Clip(version.Version))
	}
	return nil
}

// choose finds the image index of the bundle in a layout that has a name, or of the
// only one.
func choose(ctx context.Context, in oci.Files, name string) (*oci.Chosen, error) {
	return oci.Choose(ctx, in, name, oci.Kind{Other: ErrNotBundle, Is: func(n oci.Named, data []byte) error {
		return isBundle(ctx, n, data, oci.ReaderOf(in))
	}})
}

// isBundle is nil for the index of a bundle, which may be damaged behind it, an
// [ErrNotBundle] for what is something else.
func isBundle(ctx context.Context, n oci.Named, data []byte, from oci.Reader) error {
	r := &reading{ctx: ctx, from: from, contents: &Contents{Index: Document{MediaType: indexType, Data: data}}}
	if isManifestOfLock(data) {
		_, err := readIndex(ctx, data, from)
		return err
	}
	if n.MediaType != indexType {
		if err := r.describeOther(data); err != nil {
			return err
		}
		return notBundle("its %s names a document of type %q, not an image index", indexName, oci.Clip(n.MediaType))
	}
	if err := r.readIndex(); err != nil || r.index.ArtifactType == ArtifactType {
		return err
	}
	first, err := r.readManifest(r.index.Manifests[0], "the first manifest")
	if err == nil {
		_, err = r.lockedBy(first.Data)
	}
	if err != nil && !errors.Is(err, ErrNotBundle) {
		// Nothing else says that it is one.
		return fault.New(fault.KindOf(err), "%w: %w", ErrNotBundle, err)
	}
	return err
}

// noLayout says of what has no oci-layout whether it may have had one.
func noLayout(in oci.Files) error {
	switch {
	case in.Partial():
		return fault.New(fault.Incomplete, "it has no file %s: the copy is not complete", layoutName)
	case in.Empty():
		return notBundle("it is empty").WithHint(bundleHint)
	}
	return notBundle("it has no file %s", layoutName)
}

// checkPresent looks for all blobs, without reading them. It closes a bundle
// that lacks one.
func (b *Bundle) checkPresent() error {
	for _, blob := range b.contents.Blobs {
		if err := oci.Present(b.files, blob); err != nil {
			return errors.Join(b.fault(blob.SHA256, err), b.Close())
		}
	}
	return nil
}

// What says in messages what a blob is, and for which platforms.
func (c *Contents) What(d lock.SHA256) string {
	for _, m := range c.Manifests {
		if m.Blob().SHA256 == d {
			return "a manifest"
		}
	}
	for _, r := range c.Lock.Repositories {
		if r.Index.SHA256 == d {
			return fmt.Sprintf("the index of %q, %s", r.Name, agent.Redact(r.URL))
		}
		for _, s := range r.Schemas {
			if s.SHA256 == d {
				return "the schema " + agent.Redact(s.URL)
			}
		}
	}
	return c.whatFile(d)
}

func (c *Contents) whatFile(d lock.SHA256) string {
	what := ""
	for _, a := range c.Lock.Artifacts {
		if a.SHA256 == d {
			what = agent.Redact(a.URL)
			break
		}
	}
	var platforms []string
	for _, m := range c.Manifests {
		for i, b := range m.Blobs {
			if b.SHA256 != d {
				continue
			}
			role, isImage := m.ImageRole()
			switch {
			case what != "":
			case isImage:
				what = fmt.Sprintf("a part of %s %s", role.What(), c.Lock.Image(role).Reference)
			case m.Member == MemberChart && i == 0:
				return "the metadata of the chart"
			case m.Member == MemberChart:
				return "the chart " + agent.Redact(c.Lock.Chart.URL)
			default:
				return "the lock"
			}
			if m.Platform != nil {
				platforms = append(platforms, m.Platform.String())
			}
			break
		}
	}
	if what == "" {
		return "a blob"
	}
	if len(platforms) > 0 {
		what += " for " + strings.Join(platforms, ", ")
	}
	return what
}

// Lock returns what the bundle was made of.
func (b *Bundle) Lock() *lock.Lock { return b.contents.Lock }

// Name returns the path that was opened.
func (b *Bundle) Name() string { return b.origin.name }

// Names returns the tags and references that the bundle has in its layout.
func (b *Bundle) Names() []string { return b.names }

// Beside returns what index.json names that is no part of the bundle.
func (b *Bundle) Beside() []oci.Named { return b.beside }

// Contents returns the documents as they are in the bundle, and its blobs. They
// may be written again while the bundle is open.
func (b *Bundle) Contents() *Contents { return b.contents }

// Reader returns a reader of the bundle's blobs, which reads them whatever was
// verified before.
func (b *Bundle) Reader() oci.Reader { return oci.ReaderOf(b.files) }

// Close closes the bundle.
func (b *Bundle) Close() error { return b.files.Close() }

// Open opens a blob to read.
func (b *Bundle) Open(d lock.SHA256) (blob.File, error) {
	f, err := b.files.Open(d)
	if errors.Is(err, fs.ErrNotExist) {
		err = oci.Missing(d)
	}
	if err != nil {
		return nil, b.fault(d, err)
	}
	return f, nil
}

func (b *Bundle) fault(d lock.SHA256, err error) error {
	return b.origin.describe(fmt.Errorf("%s: %w", b.contents.What(d), err))
}

// Forget has the next [Bundle.Verify] of a blob read it, whatever was read before.
func (b *Bundle) Forget(d lock.SHA256) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, d)
}

// Verify reads a blob and compares its digest, unless it did before.
func (b *Bundle) Verify(ctx context.Context, d lock.SHA256) error {
	b.mu.Lock()
	known := b.known[d]
	b.mu.Unlock()
	if known {
		return nil
	}
	f, err := b.Open(d)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := digest(ctx, f)
	if err != nil {
		return fmt.Errorf("verifying %s of %s: %w", b.contents.What(d), b.origin, err)
	}
	return b.judge(d, got)
}

// judge compares digests and remembers a right one.
func (b *Bundle) judge(d, got lock.SHA256) error {
	if got != d {
		return b.fault(d, fault.New(fault.Integrity, "%s/%s is damaged: its sha256 is %s", blobsDir, d, got))
	}
	b.mu.Lock()
	b.known[d] = true
	b.mu.Unlock()
	return nil
}

// ReadAll returns a blob of at most max bytes, and compares its digest.
func (b *Bundle) ReadAll(d lock.SHA256, max int64) ([]byte, error) {
	f, err := b.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", b.contents.What(d), b.origin, err)
	}
	if int64(len(data)) > max {
		return nil, b.fault(d, fault.New(fault.Integrity, "%s/%s has more than the %d bytes that are read of such a document", blobsDir, d, max))
	}
	return data, b.judge(d, lock.Sum(data))
}

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

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/project/layout"
)

// Bundle is a bundle that is read where it lies. It is a [blob.Source] of what
// its lock names. Its methods may be called concurrently.
type Bundle struct {
	origin   origin
	files    layout.Files
	contents *Contents

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

// Form is what a path looks like.
type Form int

// The forms that [Sniff] tells apart.
const (
	// NoForm is anything else, or nothing.
	NoForm Form = iota
	// TarForm is a file that is, or was, a tar: a compressed one too.
	TarForm
	// LayoutForm is a directory with an OCI image layout, or a part of one.
	LayoutForm
)

// Sniff tells which form of bundle a path may be. Whether it is a bundle, [Open]
// says, and why it is none.
func Sniff(path string) Form {
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
	f, err := os.Open(path)
	if err != nil {
		return NoForm
	}
	defer f.Close()
	start := make([]byte, layout.BlockSize)
	n, _ := io.ReadFull(f, start)
	if start = start[:n]; layout.IsTar(start) || layout.Compression(start) != "" {
		return TarForm
	}
	return NoForm
}

// Open opens a bundle that is a tar file or a layout directory. What is none is
// an [ErrNotBundle]. It has a hint, unless it may be an image that this program
// wrote: of those, and of what is none of the two, the caller knows more.
func Open(path string) (*Bundle, error) { return openPath(path, open) }

// OpenIncomplete is [Open] for a bundle that may lack blobs, which are looked
// for when they are read.
func OpenIncomplete(path string) (*Bundle, error) { return openPath(path, openIncomplete) }

// opener reads what can be read of a bundle before its blobs are.
type opener func(from origin, in layout.Files) (*Bundle, error)

func openPath(path string, open opener) (*Bundle, error) {
	fi, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "there is no bundle %s: %w", path, layout.Cause(err)).WithHint(bundleHint)
	}
	if err != nil {
		return nil, unopened(path, err)
	}
	if fi.IsDir() {
		return openLayout(path, open)
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.New(fault.Usage, "%s is neither a regular file nor a directory", path).
			WithHint("name a file, or - for standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unopened(path, err)
	}
	return openTar(f, path, open)
}

func unopened(path string, err error) error {
	e := fault.New(fault.Usage, "opening the bundle %s: %w", path, layout.Cause(err))
	if errors.Is(err, fs.ErrPermission) {
		return e.WithHint("let your user read it: chmod u+rX, or chown if it is another's")
	}
	return e.WithHint(bundleHint)
}

// OpenTar opens a bundle that is an open tar file, which the bundle closes. The
// name is for messages: a path, or [StandardInput]. Errors are as [Open]'s.
func OpenTar(f *os.File, name string) (*Bundle, error) { return openTar(f, name, open) }

// OpenIncompleteTar is to [OpenTar] what [OpenIncomplete] is to [Open].
func OpenIncompleteTar(f *os.File, name string) (*Bundle, error) {
	return openTar(f, name, openIncomplete)
}

func openTar(f *os.File, name string, open opener) (*Bundle, error) {
	from := origin{name: name}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fault.New(fault.Usage, "it is not a regular file")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", from, err), f.Close())
	}
	t, err := layout.ScanTar(f, fi.Size())
	if err != nil {
		return nil, errors.Join(from.describe(notLayout(err)), f.Close())
	}
	t.Closer = f
	return open(from, t)
}

// openLayout opens a bundle that is a directory.
func openLayout(dir string, open opener) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unopened(dir, err)
	}
	return open(origin{dir, true}, layout.Dir{Root: root})
}

// open reads everything that can be read before the blobs are, and looks for those.
func open(from origin, in layout.Files) (*Bundle, error) {
	b, err := openIncomplete(from, in)
	if err == nil {
		err = b.checkPresent()
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func openIncomplete(from origin, in layout.Files) (*Bundle, error) {
	c, err := readLayout(in)
	if err != nil {
		return nil, errors.Join(from.describe(err), in.Close())
	}
	b := &Bundle{origin: from, files: in, known: map[lock.SHA256]bool{}}
	b.contents = c.With(b)
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

// readLayout reads the two files that make a layout, and on from there.
func readLayout(in layout.Files) (*Contents, error) {
	data, err := in.Small(layoutName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noLayout(in)
	}
	if err != nil {
		return nil, err
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := layout.Decode(data, &version); err != nil {
		return nil, fault.New(fault.Integrity, "its %s cannot be read: %w", layoutName, err)
	}
	if version.Version != "1.0.0" {
		return nil, fault.New(fault.Integrity, "its %s says version %q; this program knows 1.0.0", layoutName, layout.Clip(version.Version))
	}
	data, err = in.Small(indexName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Incomplete, "it has no file %s", indexName)
	}
	if err != nil {
		return nil, err
	}
	d, others, err := bundleDescriptor(data)
	if err != nil {
		return nil, err
	}
	return readTagged(in, d, others)
}

// noLayout says of what has no oci-layout whether it may have had one.
func noLayout(in layout.Files) error {
	switch {
	case in.Partial():
		return fault.New(fault.Incomplete, "it has no file %s: the copy is not complete", layoutName)
	case in.Empty():
		return notBundle("it is empty").WithHint(bundleHint)
	}
	return notBundle("it has no file %s", layoutName)
}

// bundleDescriptor returns the one descriptor of index.json that may be a
// bundle, and what else it names: oras lists the manifests of an index again. It
// is the zero one if only other documents are named.
func bundleDescriptor(index []byte) (d v1.Descriptor, others []v1.Descriptor, err error) {
	var ix v1.IndexManifest
	if err := layout.Decode(index, &ix); err != nil {
		return d, nil, fault.New(fault.Integrity, "its %s cannot be read: %w", indexName, err)
	}
	if ix.SchemaVersion != 2 || ix.MediaType != "" && string(ix.MediaType) != indexType {
		return d, nil, fault.New(fault.Integrity, "its %s is of schema version %d and media type %q", indexName, ix.SchemaVersion, layout.Clip(string(ix.MediaType)))
	}
	if len(ix.Manifests) > maxManifests {
		return d, nil, fault.New(fault.Integrity, "its %s names %d manifests", indexName, len(ix.Manifests))
	}
	found := 0
	for _, m := range ix.Manifests {
		if string(m.MediaType) == indexType {
			d = m
			found++
		} else {
			others = append(others, m)
		}
	}
	switch {
	case found == 0 && len(others) == 0:
		return d, nil, notBundle("its %s names nothing, as that of a store", indexName).WithHint(bundleHint)
	case found > 1:
		return d, nil, notBundle("its %s names %d image indexes; a bundle has one", indexName, found)
	}
	return d, others, nil
}

// readTagged reads the bundle that a descriptor of index.json names.
func readTagged(in layout.Files, d v1.Descriptor, others []v1.Descriptor) (*Contents, error) {
	if d.MediaType == "" {
		return nil, notIndex(in, others[0])
	}
	want, err := descriptorBlob(d)
	if err != nil {
		return nil, fault.New(fault.Integrity, "its %s: %w", indexName, err)
	}
	read := func(p Part) ([]byte, error) { return readBlob(in, p.Blob) }
	if want.Size > maxDocument {
		return nil, fault.New(fault.Integrity, "its image index has %d bytes; at most %d are read", want.Size, maxDocument)
	}
	index, err := readBlob(in, want)
	if err != nil {
		return nil, fmt.Errorf("reading its image index: %w", err)
	}
	if got := blobOf(index); got != want {
		return nil, fault.New(fault.Integrity, "its image index should be %s but is %s", describe(want), describe(got))
	}
	c, err := readIndex(index, read)
	if err != nil {
		return nil, err
	}
	if err := checkTag(c, d); err != nil {
		return nil, err
	}
	for _, o := range others {
		b, err := descriptorBlob(o)
		if _, named := c.made[b.SHA256]; err != nil || !named {
			return nil, notBundle("its %s names %s beside a bundle", indexName, layout.Clip(o.Digest.String()))
		}
	}
	return c, nil
}

// notIndex says what a layout holds that is not an image index.
func notIndex(in layout.Files, d v1.Descriptor) error {
	r := &reading{read: func(p Part) ([]byte, error) { return readBlob(in, p.Blob) }}
	if b, err := descriptorBlob(d); err == nil {
		data, err := r.part(Part{MediaType: string(d.MediaType), Blob: b, What: "what it names"}, maxDocument)
		if err == nil {
			err = foreign(data, r.part)
		}
		if errors.Is(err, ErrNotBundle) {
			return err
		}
	}
	return notBundle("its %s names a document of type %q, not an image index", indexName, layout.Clip(string(d.MediaType)))
}

// checkTag compares what index.json says of the image index.
func checkTag(c *Contents, d v1.Descriptor) error {
	tag, tagged := d.Annotations[refNameAnnotation]
	switch {
	case tagged && !tagNames(tag, c):
		return fault.New(fault.Integrity, "it is tagged %q, but its lock is that of %q", layout.Clip(tag), c.Tag).
			WithHint("copy it again from where it was pulled; a tool that copies it must keep the tag %s", c.Tag)
	case !tagged && len(d.Annotations) > 0:
		return fault.New(fault.Integrity, "its %s annotates it, but not with %s", indexName, refNameAnnotation)
	case d.ArtifactType != "" && d.ArtifactType != ArtifactType:
		return fault.New(fault.Integrity, "its %s gives it the type %q", indexName, layout.Clip(d.ArtifactType))
	}
	return nil
}

// tagNames reports whether a tag, or the whole reference that crane and containerd
// write in its place, is that of a bundle.
func tagNames(ref string, c *Contents) bool {
	return ref == c.Tag || strings.HasSuffix(ref, ":"+c.Tag) || strings.HasSuffix(ref, "@sha256:"+lock.Sum(c.Index.Data).String())
}

// readBlob returns a blob of the size that it must have.
func readBlob(in layout.Files, b lock.Blob) ([]byte, error) {
	size, err := in.Size(b.SHA256)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(b.SHA256)
	}
	if err == nil && size != b.Size {
		err = fault.New(fault.Integrity, "%s/%s has %d bytes, not %d", blobsDir, b.SHA256, size, b.Size)
	}
	if err != nil {
		return nil, err
	}
	f, err := in.Open(b.SHA256)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, b.Size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("reading %s/%s: %w", blobsDir, b.SHA256, err)
	}
	return data, nil
}

func missing(d lock.SHA256) error {
	return fault.New(fault.Incomplete, "%s/%s is missing", blobsDir, d)
}

// checkPresent looks for all blobs, without reading them. It closes a bundle
// that lacks one.
func (b *Bundle) checkPresent() error {
	for _, blob := range b.contents.Blobs {
		if err := b.present(blob); err != nil {
			return errors.Join(b.fault(blob.SHA256, err), b.Close())
		}
	}
	return nil
}

// present looks for a blob of a size.
func (b *Bundle) present(blob lock.Blob) error {
	size, err := b.files.Size(blob.SHA256)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(blob.SHA256)
	}
	if err == nil && size != blob.Size {
		err = fault.New(fault.Integrity, "%s/%s has %d bytes, not %d", blobsDir, blob.SHA256, size, blob.Size)
	}
	return err
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
			switch {
			case what != "":
			case m.Member == MemberAgentImage:
				what = "a part of the agent image " + c.Lock.AgentImage.Reference
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

// Contents returns the documents as they are in the bundle, and its blobs. They
// may be written again while the bundle is open.
func (b *Bundle) Contents() *Contents { return b.contents }

// Close closes the bundle.
func (b *Bundle) Close() error { return b.files.Close() }

// Open opens a blob to read.
func (b *Bundle) Open(d lock.SHA256) (blob.File, error) {
	f, err := b.files.Open(d)
	if errors.Is(err, fs.ErrNotExist) {
		err = missing(d)
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

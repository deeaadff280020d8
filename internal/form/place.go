package form

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

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Place is what the user named to be read, on disk, on standard input or in a registry.
type Place struct {
	// Target is as the user wrote it.
	Target string
	// Prefix is FORM of a target FORM:PATH.
	Prefix string
	// Path is empty for standard input and a registry.
	Path string
	// Document is a name in an OCI layout: a tag, or sha256:DIGEST.
	Document string
	// Info describes what is at the path, or where a link there leads.
	Info fs.FileInfo
	// Start is how a file or standard input begins.
	Start []byte
	// Stream is standard input.
	Stream io.Reader
	// Repository is where a registry has it.
	Repository *Repository
	// Waiting is called when another run writes what is read.
	Waiting func(path string)

	layout *oci.Layout
}

// Repository is where a registry has a mirror.
type Repository struct {
	oci.Reader
	// Top is the document that the reference names.
	Top []byte
	// Tag is that of the reference, or empty.
	Tag string
	// Store receives the blobs that Obtain obtains. Outputs are made of them.
	Store Store
	// Obtain brings a blob into the store, and counts the bytes that the network moved.
	Obtain func(ctx context.Context, b lock.Blob) (transferred int64, err error)
}

// Store is what keeps blobs on this machine.
type Store interface {
	blob.Source
	pluginsdir.Memory
	Put(data []byte) (lock.SHA256, error)
}

// IsDir reports whether it is a directory.
func (p *Place) IsDir() bool { return p.Info != nil && p.Info.IsDir() }

// IsFile reports whether it is a file, or bytes on standard input.
func (p *Place) IsFile() bool { return p.Stream != nil || p.Info != nil && p.Info.Mode().IsRegular() }

// String names the place in messages.
func (p *Place) String() string {
	if p.Repository != nil || p.Stream != nil {
		return SourceName(p.Target)
	}
	return p.Path
}

// startSize is how many bytes at the start of a file are looked at.
const startSize = 512

// Locate finds what a target names on this machine: a path, FORM:PATH, or "-" for standard input. A
// document in an OCI layout is FORM:PATH:TAG, as in skopeo, or FORM:PATH@sha256:DIGEST, as in oras.
// A path that is there is taken as it is. Nothing is opened that could make the program wait, such
// as a pipe. Stdin is nil where it is not read.
func (all Forms) Locate(ctx context.Context, target string, stdin io.Reader) (*Place, error) {
	switch {
	case target == StandardStream && stdin == nil:
		return nil, fault.New(fault.Usage, "standard input cannot be used here").WithHint("give the path of a file or a directory instead of -")
	case target == StandardStream:
		return fromStream(ctx, stdin)
	}
	p := &Place{Target: target, Path: target}
	if prefix, path, found := strings.Cut(target, ":"); found && all.output(prefix) != nil {
		p.Prefix, p.Path = prefix, path
		if all.output(prefix).Documents {
			p.Path, p.Document = splitDocument(path)
		}
	}
	if p.Path == "" {
		return p, fault.New(fault.Usage, "the target %q has no path", target).WithHint(oci.Hint)
	}
	return p, p.look()
}

// look finds out what kind of file is at the path, and how it begins.
func (p *Place) look() (err error) {
	if p.Info, err = os.Stat(p.Path); err != nil {
		return oci.Unopened(p.Path, err)
	}
	switch {
	case p.Info.IsDir():
		if isSkopeoDir(p.Path) {
			return fault.New(fault.Usage, "%s is a directory that skopeo wrote with dir:, which has no index", p.Path).
				WithHint("convert it to a bundle: skopeo copy --all --preserve-digests dir:%s oci-archive:bundle.tar", p.Path)
		}
	case !p.Info.Mode().IsRegular():
		return fault.New(fault.Usage, "%s is %s, neither a regular file nor a directory", p.Path, disk.DescribeType(p.Info.Mode())).WithHint(oci.Hint)
	default:
		if p.Start, err = startOf(p.Path); err != nil {
			return oci.Unopened(p.Path, err)
		}
	}
	if p.Document != "" && !p.MayBeLayout() {
		return fault.New(fault.Usage, "%s is not an OCI layout, so it has nothing with the name %q", p.Path, p.Document).WithHint(oci.Hint)
	}
	return nil
}

// MayBeLayout reports whether an OCI layout is at a path, or the remains of one.
func (p *Place) MayBeLayout() bool { return p.Path != "" && oci.MayBeLayout(p.Path) }

func startOf(path string) ([]byte, error) {
	f, _, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, startSize))
}

// isSkopeoDir reports whether a directory is one of skopeo's transport dir: (containers/image,
// directory/directory_dest.go).
func isSkopeoDir(dir string) bool {
	start, err := startOf(filepath.Join(dir, "version"))
	return err == nil && bytes.HasPrefix(start, []byte("Directory Transport Version: "))
}

// splitDocument takes the name of a document off the longest path that is there.
func splitDocument(path string) (at, name string) {
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	for i := len(path) - 2; i > 0 && !exists(path); i-- {
		if (path[i] == ':' || path[i] == '@') && exists(path[:i]) {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}

// fromStream looks at how standard input begins. A file can then be read in place.
func fromStream(ctx context.Context, stdin io.Reader) (*Place, error) {
	p := &Place{Target: StandardStream, Stream: stdin}
	var err error
	f, ok := stdin.(*os.File)
	if ok {
		fi, err := f.Stat()
		ok = err == nil && fi.Mode().IsRegular()
	}
	if ok {
		p.Start = make([]byte, startSize)
		var n int
		n, err = f.ReadAt(p.Start, 0)
		p.Start = p.Start[:n]
	} else {
		r := bufio.NewReaderSize(&interruptible{ctx: ctx, from: stdin}, startSize)
		p.Stream = r
		p.Start, err = r.Peek(startSize)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	return p, nil
}

// interruptible is a reader that fails once its context is done.
type interruptible struct {
	ctx  context.Context
	from io.Reader
	buf  []byte
}

func (r *interruptible) Read(p []byte) (int, error) {
	// A read that is given up must not write to what the caller has.
	r.buf = slices.Grow(r.buf[:0], len(p))[:len(p)]
	n, err := disk.Await(r.ctx, func() (int, error) { return r.from.Read(r.buf) })
	return copy(p, r.buf[:n]), err
}

// Layout opens the OCI layout at the place. It is opened once: bundle and image share it.
func (p *Place) Layout(ctx context.Context) (l *oci.Layout, err error) {
	if p.layout != nil {
		return p.layout, nil
	}
	if p.Stream != nil {
		l, err = oci.OpenStream(ctx, p.Stream)
	} else {
		l, err = oci.Open(ctx, p.Path)
	}
	p.layout = l
	return l, err
}

// Close closes what was opened at the place.
func (p *Place) Close() error {
	if p.layout == nil {
		return nil
	}
	err := p.layout.Close()
	p.layout = nil
	return err
}

// Package archive takes one file out of an archive.
//
// The agent decides which file that is, and which archives hold it: its go-getter
// unpacks the whole archive to a directory, and the agent takes a file of that
// directory. This package finds the same file in one pass, without unpacking anything
// else: see [Extract]. Of a directory of templates, everything counts: see [Unpack].
package archive

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Limits bounds the work that an archive can make. A field that is zero has the
// value of [DefaultLimits].
type Limits struct {
	// Entries is how many entries of an archive are looked at.
	Entries int
	// DirectoryBytes is how much is read of a zip's directory, which is kept
	// in memory: some ten times as much.
	DirectoryBytes int64
	// UnpackedBytes bounds the decompressed stream of a tar, and the wanted file with
	// its holes if it is sparse. Of a zip, only the wanted file is decompressed.
	UnpackedBytes int64
	// Ratio is how many times its size an archive may unpack to. It applies to
	// what is more than 64 MiB when unpacked.
	Ratio int64
}

// DefaultLimits leaves room for far more than a plugin or a command line tool.
// Those unpack to three to five times their size, text to some twenty. Deflate cannot
// exceed 1032:1, so a ratio near that would never refuse a gzip; bzip2, xz and
// zstd reach many thousands.
var DefaultLimits = Limits{Entries: 1_000_000, DirectoryBytes: 16 << 20, UnpackedBytes: 4 << 30, Ratio: 200}

// MaxUnpacked returns how many bytes a file can have that comes out of an archive of a size
// in bytes.
func (l Limits) MaxUnpacked(size int64) int64 {
	l = l.withDefaults()
	if size > l.UnpackedBytes/l.Ratio {
		return l.UnpackedBytes
	}
	return max(ratioFloor, size*l.Ratio)
}

func (l Limits) withDefaults() Limits {
	l.Entries = cmp.Or(l.Entries, DefaultLimits.Entries)
	l.DirectoryBytes = cmp.Or(l.DirectoryBytes, DefaultLimits.DirectoryBytes)
	l.UnpackedBytes = cmp.Or(l.UnpackedBytes, DefaultLimits.UnpackedBytes)
	l.Ratio = cmp.Or(l.Ratio, DefaultLimits.Ratio)
	return l
}

// Sink receives the wanted file.
type Sink interface {
	io.Writer
	// Reset discards what was written: a later entry of the archive
	// supersedes it.
	Reset() error
}

// Source is an archive. An os.File is one.
type Source interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// Extract writes the file that want names to sink, and returns its name in the archive.
// What sink received counts only if the error is nil.
//
// The format is one of [agent.ArchiveFormats]. The formats bz2, gz, xz and zst compress
// a single file: Extract takes that file whatever is wanted, and returns no name. The
// agent's go-getter refuses these formats if it unpacks to a directory.
//
// If want.Dir is a pattern, one path of the archive may match it, as for
// [path/filepath.Glob]. If several entries have one name, the last counts.
//
// An archive that breaks the limits, is damaged or lacks the file is an error of kind
// [fault.Integrity]. So is one with ".." in a name, which go-getter refuses as a whole.
// Extract skips any other entry that is not wanted, and follows no link. The wanted file
// must be a regular file with a relative, printable name. go-getter makes an empty file
// of a link, so a wanted link is an error.
//
// xz and zstd may need a window of [MaxWindow] in memory. Only one archive at a time may
// have more than 64 MiB.
func Extract(ctx context.Context, blob Source, format string, want agent.Member, limits Limits, sink Sink) (name string, err error) {
	name, err = extract(ctx, blob, format, want, limits, sink, usualWindow)
	if !isWindowError(err) {
		return name, err
	}
	select {
	case largeWindow <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-largeWindow }()
	if err := sink.Reset(); err != nil {
		return "", fmt.Errorf("discarding what was unpacked: %w", err)
	}
	return extract(ctx, blob, format, want, limits, sink, MaxWindow)
}

// copyBuffer is the size of the one buffer that all content passes through: see [meter.copy].
const copyBuffer = 256 << 10

// buffers are used again and again: those of a small archive are larger than it is.
var buffers = sync.Pool{New: func() any { return &buffer{in: bufio.NewReaderSize(nil, copyBuffer/4)} }}

type buffer struct {
	in      *bufio.Reader
	between [copyBuffer]byte
}

// reading is one archive that is read.
type reading struct {
	*meter
	format string
	compression
	// window bounds those of xz and zstd, in bytes.
	window uint32
	*buffer
}

func open(ctx context.Context, blob Source, format string, limits Limits, window uint32) (*reading, error) {
	c, known := compressionOf(format)
	if !known {
		return nil, fmt.Errorf("archive format %q is unknown", format)
	}
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("measuring the archive: %w", err)
	}
	other, err := c.otherFormat(blob)
	if err != nil {
		return nil, err
	}
	m := &meter{ctx: ctx, limits: limits.withDefaults(), blob: blob, size: size, otherFormat: other}
	return &reading{m, format, c, window, buffers.Get().(*buffer)}, nil
}

func (r *reading) close() {
	r.in.Reset(nil)
	buffers.Put(r.buffer)
}

// walk calls visit with every entry. Archiver passes over what only describes others, as
// go-getter does (decompress_tar.go, untar). It reads the directory of a zip first.
func (r *reading) walk(visit func(archiver.File) error) error {
	handle := func(_ context.Context, f archiver.File) error {
		r.budget = nil
		r.entries++
		err := r.alive()
		switch {
		case err != nil:
		case r.entries > r.limits.Entries:
			err = fault.New(fault.Integrity, "archive holds more than %d entries", r.limits.Entries)
		case hasDotDot(f.NameInArchive):
			err = fault.New(fault.Integrity, "archive entry %s leads out of the archive", quote(f.NameInArchive)).
				WithHint("the agent refuses every archive with .. in a name")
		default:
			err = visit(f)
		}
		return r.stop(r.explain(err))
	}
	r.entries = 0
	if r.format == "zip" {
		budget := r.limits.DirectoryBytes
		r.budget = &budget
		return archiver.Zip{}.Extract(r.ctx, io.NewSectionReader(r, 0, r.size), nil, handle)
	}
	content, err := r.stream()
	if err != nil {
		return err
	}
	if err := (archiver.Tar{}).Extract(r.ctx, content, nil, handle); err != nil {
		return err
	}
	// The checksum of the compressed stream is at its very end. go-getter never reads what
	// follows the end of the tar, so anything else there is allowed.
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, content, r.between[:]); !isTrailing(err) {
		return err
	}
	return nil
}

// stream returns the decompressed content.
func (r *reading) stream() (io.Reader, error) {
	if r.size == 0 {
		return nil, io.ErrUnexpectedEOF // the zstd decoder takes an empty file for a whole archive
	}
	r.in.Reset(io.NewSectionReader(r, 0, r.size))
	content, err := r.open(r.in, r.window)
	return &countedReader{content, r.meter}, err
}

func (r *reading) copy(to io.Writer, content io.Reader) error {
	return r.meter.copy(to, content, r.between[:])
}

// extract is [Extract] with a bound on the windows of xz and zstd, in bytes.
func extract(ctx context.Context, blob Source, format string, want agent.Member, limits Limits, sink Sink, window uint32) (string, error) {
	pick, err := newSelection(want)
	if err != nil {
		return "", err
	}
	r, err := open(ctx, blob, format, limits, window)
	if err != nil {
		return "", err
	}
	defer r.close()
	if err := r.explain(r.extract(pick, sink)); err != nil {
		return "", err
	}
	return pick.best.name, nil
}

func (r *reading) extract(pick *selection, sink Sink) error {
	if !holdsMany(r.format) {
		if pick.pattern != nil {
			return fault.New(fault.Integrity, "a single file in %s has no directory %q", r.format, pick.want.Dir)
		}
		content, err := r.stream()
		if err != nil {
			return err
		}
		return r.copy(sink, content)
	}
	wanted := 0
	err := r.walk(func(f archiver.File) error {
		best, err := pick.offer(newEntry(f))
		if best {
			wanted = r.entries
		}
		if best && isTar(r.format) {
			err = r.replace(sink, pick.best)
		}
		return err
	})
	if err := cmp.Or(err, pick.err()); err != nil || isTar(r.format) {
		return err
	}
	// A zip can be read at any place: by its directory, only the one entry is. Archiver opens an
	// entry only while it is visited.
	return r.walk(func(f archiver.File) error {
		if r.entries != wanted {
			return nil
		}
		return r.replace(sink, newEntry(f))
	})
}

// replace writes an entry to the sink, in place of an earlier one.
func (r *reading) replace(sink Sink, e entry) error {
	if err := sink.Reset(); err != nil {
		return r.stop(fmt.Errorf("discarding a superseded file: %w", err))
	}
	if e.problem != "" {
		return nil
	}
	if err := r.admit(e.size, r.size); err != nil {
		return err
	}
	content, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	r.written = 0
	return r.copy(sink, content)
}

// Decompress writes the content of a compressed stream, by its extension: gz, zst, xz or
// bz2. A damaged stream, more than most bytes, a window of more than [MaxWindow], and data
// behind the end are errors of kind [fault.Integrity].
func Decompress(ctx context.Context, to io.Writer, from io.Reader, format string, most int64) error {
	c, known := compressionOf(format)
	if !known || c.open == nil || isTar(format) {
		return fmt.Errorf("%q is no format of a compressed stream", format)
	}
	m := &meter{ctx: ctx, limits: Limits{UnpackedBytes: most, Ratio: most + 1}}
	content, err := c.open(bufio.NewReader(from), MaxWindow)
	if err == nil {
		err = m.copy(to, content, make([]byte, copyBuffer))
	}
	return m.explain(err)
}

// Package archive takes one file out of an archive.
//
// The agent unpacks the whole archive to a directory with go-getter, and uses one file of that
// directory. [Extract] finds the same file in one pass, and unpacks nothing else.
//
// [Unpack] unpacks a whole archive, such as one with templates.
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

// Limits bounds what an archive may cost in time and space. A field that is zero has the value of
// [DefaultLimits].
type Limits struct {
	// Entries is how many entries an archive may have.
	Entries int
	// DirectoryBytes is the largest directory of a zip. It needs about ten times as much memory.
	DirectoryBytes int64
	// UnpackedBytes bounds the decompressed stream of a tar, and the wanted file. The holes of a
	// sparse file count. Only the wanted file of a zip is decompressed.
	UnpackedBytes int64
	// Ratio is how many times larger than the archive its content may be. It applies to content of
	// more than 64 MiB.
	Ratio int64
}

// DefaultLimits allows far more than a plugin or a command line tool needs. A program is three to
// five times larger than its archive, text about twenty times. Deflate reaches at most 1032 times,
// so a ratio near that would never refuse a gzip. bzip2, xz and zstd reach many thousands.
var DefaultLimits = Limits{Entries: 1_000_000, DirectoryBytes: 16 << 20, UnpackedBytes: 4 << 30, Ratio: 200}

// MaxUnpacked returns the largest size, in bytes, of a file from an archive of the given size.
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
	// Reset discards what was written, because a later entry of the archive replaces it.
	Reset() error
}

// Source is an archive. An os.File is one.
type Source interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// Extract writes the wanted file to sink, and returns its name in the archive. If it returns an
// error, the content of sink is not usable.
//
// The format is one of [agent.ArchiveFormats]. The formats bz2, gz, xz and zst compress
// a single file: Extract takes that file whatever its name, and returns no name. The agent's
// go-getter refuses these formats if it unpacks to a directory.
//
// want.Dir may be a pattern of [path.Match]. Exactly one path of the archive must match it. If
// several entries have the same name, Extract takes the last.
//
// Extract returns an error of kind [fault.Integrity] if the archive exceeds the limits, is damaged
// or does not have the file, or if any name in it has "..": go-getter refuses such an archive, too.
// The wanted file must be a regular file with a relative, printable name. A link is an error,
// because go-getter unpacks it as an empty file. Extract ignores all other entries.
//
// Decoders of xz and zstd may need a window of up to [MaxWindow] bytes in memory. Only one archive
// at a time may use more than 64 MiB.
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

// buffers are reused, because they are larger than many archives.
var buffers = sync.Pool{New: func() any { return &buffer{in: bufio.NewReaderSize(nil, copyBuffer/4)} }}

type buffer struct {
	in      *bufio.Reader
	between [copyBuffer]byte
}

// reading is an archive that is being read.
type reading struct {
	*meter
	format string
	compression
	// window is the largest allowed window of xz and zstd, in bytes.
	window uint32
	*buffer
}

func open(ctx context.Context, blob Source, format string, limits Limits, window uint32) (*reading, error) {
	c, known := compressionOf(format)
	if !known {
		return nil, fmt.Errorf("unknown archive format %q", format)
	}
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("finding the size of the archive: %w", err)
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

// walk calls visit with every entry. Archiver skips entries that only describe others, as go-getter
// does (decompress_tar.go, untar). It reads the directory of a zip first.
func (r *reading) walk(visit func(archiver.File) error) error {
	handle := func(_ context.Context, f archiver.File) error {
		r.budget = nil
		r.entries++
		err := r.stopped()
		switch {
		case err != nil:
		case r.entries > r.limits.Entries:
			err = fault.New(fault.Integrity, "archive holds more than %d entries", r.limits.Entries)
		case hasDotDot(f.NameInArchive):
			err = fault.New(fault.Integrity, `archive entry %s has ".." in its name`, quote(f.NameInArchive)).
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
	// Read to the end, where the checksum of the compressed stream is. Other data may follow the
	// tar: go-getter does not read that far.
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, content, r.between[:]); !isTrailing(err) {
		return err
	}
	return nil
}

// stream returns a reader of the decompressed content.
func (r *reading) stream() (io.Reader, error) {
	if r.size == 0 {
		return nil, io.ErrUnexpectedEOF // the zstd decoder accepts an empty file
	}
	r.in.Reset(io.NewSectionReader(r, 0, r.size))
	content, err := r.open(r.in, r.window)
	return &countedReader{content, r.meter}, err
}

func (r *reading) copy(to io.Writer, content io.Reader) error {
	return r.meter.copy(to, content, r.between[:])
}

// extract is [Extract] with a limit on the windows of xz and zstd, in bytes.
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
			return fault.New(fault.Integrity, "a .%s file holds a single file, and no directory %q", r.format, pick.want.Dir)
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
	// The first walk read only the directory of the zip. The second reads the one wanted entry,
	// because archiver can open an entry only while it is visited.
	return r.walk(func(f archiver.File) error {
		if r.entries != wanted {
			return nil
		}
		return r.replace(sink, newEntry(f))
	})
}

// replace writes an entry to the sink instead of an earlier one.
func (r *reading) replace(sink Sink, e entry) error {
	if err := sink.Reset(); err != nil {
		return r.stop(fmt.Errorf("discarding an earlier file of the archive: %w", err))
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

// Decompress writes the decompressed content of a stream. The format is gz, zst, xz or bz2.
//
// It returns an error of kind [fault.Integrity] if the stream is damaged, has more than most bytes
// of content, needs a window of more than [MaxWindow] bytes, or is followed by other data.
func Decompress(ctx context.Context, to io.Writer, from io.Reader, format string, most int64) error {
	c, known := compressionOf(format)
	if !known || c.open == nil || isTar(format) {
		return fmt.Errorf("%q is not the format of a compressed stream", format)
	}
	m := &meter{ctx: ctx, limits: Limits{UnpackedBytes: most, Ratio: most + 1}}
	content, err := c.open(bufio.NewReader(from), MaxWindow)
	if err == nil {
		err = m.copy(to, content, make([]byte, copyBuffer))
	}
	return m.explain(err)
}

// Package archive takes one file out of an archive.
//
// The agent decides which file that is, and which archives hold it: its go-getter
// unpacks the whole archive to a directory, and the agent takes a file of that
// directory. This package finds the same file in one pass, without unpacking anything
// else: see [Extract].
package archive

import (
	"cmp"
	"context"
	"fmt"
	"io"

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
	x := &extraction{ctx: ctx, blob: blob, want: want, limits: limits.withDefaults(), sink: sink, window: usualWindow}
	name, err = x.run(format)
	if !isWindowError(err) {
		return name, err
	}
	select {
	case largeWindow <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-largeWindow }()
	if err := x.discard(); err != nil {
		return "", err
	}
	x.window = MaxWindow
	return x.run(format)
}

// copyBuffer is the size of the one buffer that all content passes through.
const copyBuffer = 256 << 10

// extraction is one run of [Extract].
type extraction struct {
	*meter
	ctx    context.Context
	blob   Source
	want   agent.Member
	limits Limits
	sink   Sink
	// window is the largest of xz and zstd, in bytes.
	window uint32
	src    *source
	pick   *selection
	buf    []byte
	// dirty says that sink holds a file that may yet be superseded.
	dirty bool
}

// run reads the archive from its beginning.
func (x *extraction) run(format string) (string, error) {
	size, err := x.blob.Seek(0, io.SeekEnd)
	if err != nil {
		return "", fmt.Errorf("measuring the archive: %w", err)
	}
	if x.pick, err = newSelection(x.want); err != nil {
		return "", err
	}
	x.meter = &meter{ctx: x.ctx, limits: x.limits, size: size}
	if x.meter.otherFormat, err = otherFormat(x.blob, format); err != nil {
		return "", err
	}
	if size == 0 {
		// To the zstd decoder that is a whole archive.
		return "", x.explain(io.ErrUnexpectedEOF)
	}
	x.src, x.buf = newSource(x.blob, x.meter), make([]byte, copyBuffer)
	if format == "zip" {
		return x.zip()
	}
	l, known := layouts[format]
	if !known {
		return "", fmt.Errorf("archive format %q is unknown", format)
	}
	if !l.tar && x.want.Dir != "" {
		return "", fault.New(fault.Integrity, "a single file in %s has no directory %q", format, x.want.Dir)
	}
	return x.stream(l)
}

// stream extracts from everything but a zip.
func (x *extraction) stream(l layout) (string, error) {
	unpacked, err := l.open(x.src.buffered(), x.window)
	if err != nil {
		return "", x.explain(err)
	}
	defer unpacked.Close()
	counted := &countedReader{unpacked, x.meter}
	if !l.tar {
		return "", x.copy(counted)
	}
	return x.tar(counted)
}

// replace writes an entry to the sink, in place of an earlier one.
func (x *extraction) replace(e entry) error {
	if err := x.discard(); err != nil {
		return err
	}
	if e.problem != nil {
		return nil
	}
	if err := x.admit(e.size, x.size); err != nil {
		return err
	}
	content, err := e.open()
	if err != nil {
		return x.explain(err)
	}
	defer content.Close()
	return x.copy(content)
}

// discard empties the sink.
func (x *extraction) discard() error {
	if !x.dirty {
		return nil
	}
	if err := x.sink.Reset(); err != nil {
		return fmt.Errorf("discarding a superseded file: %w", err)
	}
	x.dirty = false
	return nil
}

func (x *extraction) copy(content io.Reader) error {
	x.dirty = true
	x.written = 0
	_, err := io.CopyBuffer(meteredSink{x.sink, x.meter}, content, x.buf)
	return x.explain(err)
}

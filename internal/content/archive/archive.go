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

// copyBuffer is the size of the one buffer that all content passes through.
const copyBuffer = 256 << 10

// extraction is one run of [extract].
type extraction struct {
	*meter
	sink Sink
	pick *selection
	buf  []byte
}

// extract is [Extract] with a bound on the windows of xz and zstd, in bytes.
func extract(ctx context.Context, blob Source, format string, want agent.Member, limits Limits, sink Sink, window uint32) (string, error) {
	c, known := compressionOf(format)
	if !known {
		return "", fmt.Errorf("archive format %q is unknown", format)
	}
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return "", fmt.Errorf("measuring the archive: %w", err)
	}
	pick, err := newSelection(want)
	if err != nil {
		return "", err
	}
	other, err := c.otherFormat(blob)
	if err != nil {
		return "", err
	}
	x := &extraction{
		meter: &meter{ctx: ctx, limits: limits.withDefaults(), blob: blob, size: size, otherFormat: other},
		sink:  sink, pick: pick, buf: make([]byte, copyBuffer),
	}
	packed := io.NewSectionReader(x.meter, 0, size)
	switch {
	case size == 0:
		err = io.ErrUnexpectedEOF // to the zstd decoder that is a whole archive
	case format == "zip":
		err = x.zip(packed)
	default:
		err = x.stream(c, bufio.NewReaderSize(packed, copyBuffer/4), window, isTar(format))
	}
	if err := x.explain(err); err != nil {
		return "", err
	}
	return x.pick.best.name, nil
}

// stream extracts from everything but a zip.
func (x *extraction) stream(c compression, packed *bufio.Reader, window uint32, isTar bool) error {
	content, err := c.open(packed, window)
	if err != nil {
		return err
	}
	counted := &countedReader{content, x.meter}
	switch {
	case isTar:
		return x.tar(counted)
	case x.pick.pattern != nil:
		return fault.New(fault.Integrity, "a single file in %s has no directory %q", c.suffix, x.pick.want.Dir)
	}
	return x.copy(counted)
}

// replace writes the selected entry to the sink, in place of an earlier one.
func (x *extraction) replace() error {
	if err := x.sink.Reset(); err != nil {
		return x.stop(fmt.Errorf("discarding a superseded file: %w", err))
	}
	e := x.pick.best
	if e.problem != "" {
		return nil
	}
	if err := x.admit(e.size, x.size); err != nil {
		return err
	}
	content, err := e.open()
	if err != nil {
		return err
	}
	defer content.Close()
	return x.copy(content)
}

func (x *extraction) copy(content io.Reader) error {
	x.written = 0
	_, err := io.CopyBuffer(meteredSink{x.sink, x.meter}, content, x.buf)
	return err
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
		_, err = io.CopyBuffer(meteredSink{to, m}, content, make([]byte, copyBuffer))
	}
	return m.explain(err)
}

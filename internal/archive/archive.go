// Package archive takes one file out of an archive.
//
// Which file that is, and which archives hold it, follows from what the agent
// does: its go-getter unpacks the whole archive to a directory, and the agent
// then takes a file of that directory. The package comes to the same file in one
// pass, without unpacking anything else, and refuses what no honest archive
// holds: see [Extract].
package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Limits bounds what an archive can make us do. A field that is zero has the
// value of [DefaultLimits].
type Limits struct {
	// Entries is how many entries an archive may have.
	Entries int
	// UnpackedBytes is how much an archive may hold when it is unpacked:
	// every entry counts, whether it is wanted or not, and so do the holes
	// of sparse files.
	UnpackedBytes int64
	// Ratio is how many times its size an archive may unpack to. It applies to
	// what is more than 64 MiB when unpacked.
	Ratio int64
}

// DefaultLimits leaves room for far more than a plugin or a command line tool.
// Those unpack to three to five times their size, text to some twenty. Deflate cannot
// exceed 1032:1, so a ratio near that would never refuse a gzip; bzip2, xz and
// zstd reach many thousands.
var DefaultLimits = Limits{Entries: 20_000, UnpackedBytes: 4 << 30, Ratio: 200}

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = DefaultLimits.Entries
	}
	if l.UnpackedBytes == 0 {
		l.UnpackedBytes = DefaultLimits.UnpackedBytes
	}
	if l.Ratio == 0 {
		l.Ratio = DefaultLimits.Ratio
	}
	return l
}

// Sink receives the wanted file.
type Sink interface {
	io.Writer
	// Reset discards what was written: a later entry of the archive
	// supersedes it.
	Reset() error
}

// Blob is an archive. An os.File is one.
type Blob interface {
	io.Reader
	io.ReaderAt
	io.Seeker
}

// Extract writes the file that want names to sink, and returns its name in the
// archive. What sink received counts only if the error is nil.
//
// The format is one of [agent.ArchiveFormats]. Of bz2, gz, xz and zst, which
// compress a single file, Extract takes that file whatever is wanted, and returns
// no name. The agent's go-getter refuses those where it unpacks to a directory.
//
// If want.Dir is a pattern, one path of the archive may match it, as for
// [path/filepath.Glob]. Of several entries with one name the last counts.
//
// An archive that breaks the limits, is damaged or lacks the file is an error of
// kind [fault.Integrity], and so is one with entries that name a place outside
// it, or with anything but files, directories and links. Links that stay inside
// are skipped; go-getter makes empty files of them, so it is an error if the
// agent would take one.
func Extract(ctx context.Context, blob Blob, format string, want agent.Member, limits Limits, sink Sink) (name string, err error) {
	size, err := blob.Seek(0, io.SeekEnd)
	if err != nil {
		return "", fmt.Errorf("measuring the archive: %w", err)
	}
	pick, err := newSelection(want)
	if err != nil {
		return "", err
	}
	m := &meter{ctx: ctx, limits: limits.withDefaults(), size: size}
	if size == 0 {
		// To the zstd decoder that is a whole archive.
		return "", m.explain(io.ErrUnexpectedEOF)
	}
	x := &extraction{meter: m, src: newSource(blob, m), pick: pick, sink: sink, buf: make([]byte, copyBuffer)}
	if format == "zip" {
		return x.zip()
	}
	l, known := layouts[format]
	if !known {
		return "", fmt.Errorf("archive format %q is unknown", format)
	}
	if !l.tar && want.Dir != "" {
		return "", fault.New(fault.Integrity, "a single file in %s has no directory %q", format, want.Dir)
	}
	return x.stream(l)
}

// copyBuffer is the size of the one buffer that all content passes through.
const copyBuffer = 256 << 10

// extraction is one run of [Extract].
type extraction struct {
	*meter
	src  *source
	pick *selection
	sink Sink
	buf  []byte
	// dirty says that sink holds a file that may yet be superseded.
	dirty bool
}

// stream extracts from everything but a zip.
func (x *extraction) stream(l layout) (string, error) {
	unpacked, err := l.open(x.src.buffered())
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
	if x.dirty {
		if err := x.sink.Reset(); err != nil {
			return fmt.Errorf("discarding a superseded file: %w", err)
		}
		x.dirty = false
	}
	if e.kind != regular {
		return nil
	}
	content, err := e.open()
	if err != nil {
		return x.explain(err)
	}
	defer content.Close()
	x.dirty = true
	return x.copy(content)
}

func (x *extraction) copy(content io.Reader) error {
	x.written = 0
	_, err := io.CopyBuffer(meteredSink{x.sink, x.meter}, content, x.buf)
	return x.explain(err)
}

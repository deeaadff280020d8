package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// compression is one way to compress an archive. Formats with the same suffix share it.
type compression struct {
	// suffix is the end of the formats' names: gz for gz, tar.gz and tgz.
	suffix string
	// kind describes such a file as [agent.IdentifyProgram] does.
	kind string
	// open starts to decompress a stream. It fails if the stream needs a window of more bytes. It
	// is nil for zip, which is read by its directory.
	open func(in *bufio.Reader, window uint32) (io.Reader, error)
}

var compressions = []compression{
	{"bz2", "a bzip2 archive", openBzip2},
	{"gz", "a gzip archive", openGzip},
	{"xz", "an xz archive", openXz},
	{"zst", "a zstd archive", openZstd},
	{"tar", "a tar archive", openPlain},
	{"zip", "a zip archive", nil},
}

// compressionOf returns the compression of one of [agent.ArchiveFormats].
func compressionOf(format string) (compression, bool) {
	i := slices.IndexFunc(compressions, func(c compression) bool { return strings.HasSuffix(format, c.suffix) })
	if i < 0 {
		return compression{}, false
	}
	return compressions[i], true
}

// isTar reports whether a format is a tar, compressed or not, such as tgz.
func isTar(format string) bool { return strings.HasPrefix(format, "t") }

// holdsMany reports whether a format holds several files. The others compress a single file.
func holdsMany(format string) bool { return isTar(format) || format == "zip" }

// otherFormat describes a file whose first bytes are not those of its format. It returns "" for
// every other file.
func (c compression) otherFormat(blob io.ReaderAt) (string, error) {
	head := make([]byte, agent.ProgramHeadSize)
	n, err := blob.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	kind := agent.IdentifyProgram(head[:n]).String()
	if strings.Replace(kind, "an empty ", "a ", 1) == c.kind {
		return "", nil
	}
	return fmt.Sprintf("it is %s, not %s", kind, c.kind), nil
}

func openPlain(in *bufio.Reader, _ uint32) (io.Reader, error) { return in, nil }

// openBzip2 does not use archiver's decoder, github.com/dsnet/compress, which takes a
// million steps for every incomplete prefix tree (bzip2/prefix.go,
// handleDegenerateCodes). A block of some forty bytes can hold six, so a small archive
// could keep it busy for hours. go-getter uses compress/bzip2, too.
func openBzip2(in *bufio.Reader, _ uint32) (io.Reader, error) { return bzip2.NewReader(in), nil }

// MaxWindow is the largest window of xz and zstd that is decoded, in bytes. It is
// the largest of go-getter's zstd decoder; its xz decoder takes as much as an
// archive asks for, up to 4 GiB.
const MaxWindow = 512 << 20

// usualWindow is the largest window, in bytes, that any number of archives may use at a time. It is
// the largest that xz -9 makes.
const usualWindow = 64 << 20

// largeWindow is held by the one extraction that may use more than usualWindow.
var largeWindow = make(chan struct{}, 1)

// isWindowError reports whether a decoder failed because it needs a larger window.
func isWindowError(err error) bool {
	return errors.Is(err, xz.ErrMemlimit) || errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
}

func openXz(in *bufio.Reader, window uint32) (io.Reader, error) { return xz.NewReader(in, window) }

// openZstd decodes on the calling goroutine, because [meter] is not safe for concurrent use. Such a
// decoder does not have to be closed.
func openZstd(in *bufio.Reader, window uint32) (io.Reader, error) {
	return zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window)))
}

func openGzip(in *bufio.Reader, _ uint32) (io.Reader, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipMembers{z, in}, nil
}

// gzipMembers reads the members of a gzip file one after the other. It ignores zeros after the last
// member, as gzip does: tape drives fill their last block with them. The decoder itself would
// report a damaged member.
type gzipMembers struct {
	*gzip.Reader
	in *bufio.Reader
}

var gzipMagic = []byte{0x1f, 0x8b}

// errTrailing reports data after the last member that is not a member.
var errTrailing = errors.New("other data follows its end")

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.Reader.Read(p)
		if err == io.EOF {
			err = g.next()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (g *gzipMembers) next() error {
	start, err := g.in.Peek(len(gzipMagic))
	switch {
	case len(start) == 0:
		return err
	case start[0] == 0:
		return io.EOF
	case !bytes.Equal(start, gzipMagic):
		return errTrailing
	}
	if err := g.Reset(g.in); err != nil {
		return err
	}
	g.Multistream(false)
	return nil
}

// errTrailingBzip2 is the error of compress/bzip2 for other data after the end.
const errTrailingBzip2 = bzip2.StructuralError("bad magic value in continuation file")

// isTrailing reports whether err means that other data follows a complete stream.
func isTrailing(err error) bool {
	return errors.Is(err, errTrailing) || errors.Is(err, errTrailingBzip2) || errors.Is(err, zstd.ErrMagicMismatch)
}

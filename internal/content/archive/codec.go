package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mholt/archiver/v4"
	"github.com/therootcompany/xz"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// layout is what a format is made of.
type layout struct {
	tar  bool
	open codec
}

// codec opens a compressed stream whose window has at most so many bytes.
type codec func(in *bufio.Reader, window uint32) (io.ReadCloser, error)

// layouts holds every format of [agent.ArchiveFormats] but zip.
var layouts = map[string]layout{
	"bz2":     {open: openBzip2},
	"gz":      {open: openGzip},
	"xz":      {open: openXz},
	"zst":     {open: openZstd},
	"tar":     {tar: true, open: openPlain},
	"tar.bz2": {tar: true, open: openBzip2},
	"tar.gz":  {tar: true, open: openGzip},
	"tar.xz":  {tar: true, open: openXz},
	"tar.zst": {tar: true, open: openZstd},
	"tbz2":    {tar: true, open: openBzip2},
	"tgz":     {tar: true, open: openGzip},
	"txz":     {tar: true, open: openXz},
	"tzst":    {tar: true, open: openZstd},
}

func openPlain(in *bufio.Reader, _ uint32) (io.ReadCloser, error) { return io.NopCloser(in), nil }

// openBzip2 does not use archiver's decoder, github.com/dsnet/compress, which takes a
// million steps for every incomplete prefix tree (bzip2/prefix.go,
// handleDegenerateCodes). A block of some forty bytes can hold six, so a small archive
// could keep it busy for hours. go-getter uses compress/bzip2, too.
func openBzip2(in *bufio.Reader, _ uint32) (io.ReadCloser, error) {
	return io.NopCloser(bzip2.NewReader(in)), nil
}

// MaxWindow is the largest window of xz and zstd that is decoded, in bytes. It is
// the largest of go-getter's zstd decoder; its xz decoder takes as much as an
// archive asks for, up to 4 GiB.
const MaxWindow = 512 << 20

// usualWindow is the window that every archive may have, in bytes: the largest
// that xz -9 makes.
const usualWindow = 64 << 20

// largeWindow is held by the one extraction that may have more than usualWindow.
var largeWindow = make(chan struct{}, 1)

// isWindowError reports whether a decoder would need a larger window.
func isWindowError(err error) bool {
	return errors.Is(err, xz.ErrMemlimit) || errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded)
}

// openXz uses archiver's decoder, but not by archiver, which has no option for
// the window.
func openXz(in *bufio.Reader, window uint32) (io.ReadCloser, error) {
	r, err := xz.NewReader(in, window)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// openZstd decodes on the calling goroutine: the meter is not for several.
func openZstd(in *bufio.Reader, window uint32) (io.ReadCloser, error) {
	z := archiver.Zstd{DecoderOptions: []zstd.DOption{
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(window)),
	}}
	return z.OpenReader(in)
}

func openGzip(in *bufio.Reader, _ uint32) (io.ReadCloser, error) {
	r, err := archiver.Gz{DisableMultistream: true}.OpenReader(in)
	if err != nil {
		return nil, err
	}
	z, ok := r.(*gzip.Reader)
	if !ok {
		return nil, errors.New("gzip decoder cannot read several members")
	}
	return &gzipMembers{z, in}, nil
}

// gzipMembers reads the members of a gzip file one after the other. The decoder
// can do so itself, but takes zeros behind the last one, which gzip ignores and
// tape blocks end in, for a damaged member.
type gzipMembers struct {
	*gzip.Reader
	in *bufio.Reader
}

var gzipMagic = []byte{0x1f, 0x8b}

// errTrailing is what follows the last member and is not one.
var errTrailing = errors.New("something follows its end")

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.Reader.Read(p)
		if n > 0 && err == io.EOF {
			return n, nil
		}
		if err != io.EOF {
			return n, err
		}
		if err := g.next(); err != nil {
			return 0, err
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

// errTrailingBzip2 is what compress/bzip2 reports of the same.
const errTrailingBzip2 = bzip2.StructuralError("bad magic value in continuation file")

// isTrailing reports whether a stream was whole, but is followed by something
// that is no part of it.
func isTrailing(err error) bool {
	return errors.Is(err, errTrailing) || errors.Is(err, errTrailingBzip2) || errors.Is(err, zstd.ErrMagicMismatch)
}

// magicNames are the words of [agent.IdentifyProgram] for archives, by the ends of
// formats' names.
var magicNames = []struct{ format, is string }{
	{"gz", "a gzip archive"}, {"bz2", "a bzip2 archive"}, {"xz", "an xz archive"}, {"zst", "a zstd archive"},
	{"zip", "a zip archive"}, {"tar", "a tar archive"},
}

// otherFormat says what a file is if it does not begin as an archive of the format, and
// else returns "".
func otherFormat(blob io.ReaderAt, format string) (string, error) {
	head := make([]byte, agent.ProgramHeadSize)
	n, err := blob.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	is := agent.IdentifyProgram(head[:n]).String()
	for _, b := range magicNames {
		if !strings.HasSuffix(format, b.format) {
			continue
		}
		if strings.HasSuffix(is, strings.TrimPrefix(strings.TrimPrefix(b.is, "an "), "a ")) {
			return "", nil
		}
		return fmt.Sprintf("it is %s, not %s", is, b.is), nil
	}
	return "", nil
}

package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

const (
	// maxTrailing bounds the zeros after the end marker: archivers fill up
	// to the block of a tape.
	maxTrailing = 4 << 20
)

// tarFiles are the files of a layout in a tar, where they lie.
type tarFiles struct {
	r io.ReaderAt
	// at has the extents of the files' contents in r, by path.
	at    map[string]extent
	blobs bool
	// made is the latest time of an entry.
	made time.Time
}

type extent struct{ at, size int64 } // in bytes

func newTar(r io.ReaderAt) *tarFiles { return &tarFiles{r: r, at: map[string]extent{}} }

func (t *tarFiles) open(name string) (blob.File, int64, error) {
	e, ok := t.at[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return Section(t.r, e.at, e.size), e.size, nil
}

func (t *tarFiles) size(name string) (int64, error) {
	e, ok := t.at[name]
	if !ok {
		return 0, fs.ErrNotExist
	}
	return e.size, nil
}

// holds is for [files]. There always is something: an empty file does not begin like a tar.
func (t *tarFiles) holds() (blobs, anything bool) { return t.blobs, true }

func (t *tarFiles) has(name string) bool {
	_, has := t.at[name]
	return has
}

// isLayout reports whether there is anything of a layout.
func (t *tarFiles) isLayout() bool { return t.blobs || t.has(IndexName) || t.has(FileName) }

// Section returns a part of r. The caller closes r.
func Section(r io.ReaderAt, at, size int64) blob.File {
	content := section{io.NewSectionReader(r, at, size)}
	if f, ok := r.(*os.File); ok {
		return fileSection{content, f, at}
	}
	return content
}

type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// fileSection is a part of a file, which changes when the file does.
type fileSection struct {
	section
	file *os.File
	at   int64
}

func (s fileSection) Stat() (fs.FileInfo, error) { return s.file.Stat() }

// Region returns where the content lies.
func (s fileSection) Region() (*os.File, int64) { return s.file, s.at }

// readAt fills data; the end of the file before that is unexpected.
func readAt(r io.ReaderAt, data []byte, at int64) error {
	n, err := r.ReadAt(data, at)
	switch {
	case n == len(data):
		return nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the file: %w", err)
}

// scanner goes through a tar file. What archive/tar takes and no writer of layouts
// leaves is refused besides: padding that is not zero, an end without its marker,
// sparse files, two entries of a name.
type scanner struct {
	r    io.ReaderAt
	size int64
	// at is where the next header is; headers were read by in up to there.
	at      int64
	in      *io.SectionReader
	headers *tar.Reader
	out     *tarFiles
	entries int
	// nested are the layouts in directories, by their paths.
	nested map[string]*tarFiles
	// docker says that there is what docker save describes its images in.
	docker bool
	// strange is of the first entry that a layout does not have.
	strange error
}

// scanTar lists the files of a layout in a tar file.
func scanTar(r io.ReaderAt, size int64) (*tarFiles, error) {
	s := &scanner{r: r, size: size, in: io.NewSectionReader(r, 0, size), out: newTar(r), nested: map[string]*tarFiles{}}
	s.headers = tar.NewReader(s.in)
	if err := s.checkStart(); err != nil {
		return nil, err
	}
	for more := true; more; {
		var err error
		if more, err = s.entry(); err != nil {
			return nil, err
		}
	}
	if in := s.inDirectory(); in != nil {
		return in, s.strange
	}
	return s.out, s.otherTar()
}

// inDirectory returns the only layout that is in a directory of the tar file, as in tar -cf FILE
// DIRECTORY.
func (s *scanner) inDirectory() *tarFiles {
	if s.out.isLayout() || s.docker {
		return nil
	}
	var found *tarFiles
	for _, t := range s.nested {
		if !t.has(IndexName) {
			continue
		}
		if found != nil {
			return nil
		}
		found = t
	}
	return found
}

func (s *scanner) checkStart() error {
	if s.size == 0 {
		return fault.New(fault.Integrity, "the file is empty")
	}
	start := make([]byte, min(s.size, BlockSize))
	if err := readAt(s.r, start, 0); err != nil {
		return err
	}
	if len(start) < BlockSize && bytes.HasPrefix([]byte(FileName), start[:min(len(start), len(FileName))]) {
		return s.truncated()
	}
	// Archives of the seventh edition have no magic, but a right checksum.
	if !isTar(start) && (len(start) < BlockSize || checkSum(start) != nil) {
		return notTar(start)
	}
	return nil
}

func (s *scanner) truncated() error {
	return fault.New(fault.Integrity, "it is truncated: it ends after %d bytes, before the end of the tar file", s.size)
}

func (s *scanner) damaged(format string, args ...any) error {
	return fault.New(fault.Integrity, "the tar header at byte %d "+format, append([]any{s.at}, args...)...)
}

// entry reads the headers of one entry, and notes that; it reports whether there may
// be another.
func (s *scanner) entry() (more bool, err error) {
	if s.entries++; s.entries > maxEntries {
		return false, fault.New(fault.Integrity, "the tar file has more than %d entries", maxEntries)
	}
	block, err := s.block()
	switch {
	case err != nil:
		return false, err
	case allZero(block):
		return false, s.end()
	}
	h, err := s.headers.Next()
	switch {
	case errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return false, s.damaged("or an extended header before it is damaged: a name, a size or a record cannot be read")
	case err != nil:
		return false, fmt.Errorf("reading the file: %w", err)
	}
	if err := s.pastExtended(); err != nil {
		return false, err
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		if h.PAXRecords["path"] != "" || h.PAXRecords["size"] != "" {
			err = fault.New(fault.Integrity, "the extended tar header before byte %d is damaged: it sets a name or a size for all entries", s.at)
		}
		return true, err
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			h.Typeflag = tar.TypeGNUSparse
		}
	}
	return true, s.note(h)
}

func (s *scanner) block() ([]byte, error) {
	if s.size-s.at < BlockSize {
		return nil, s.truncated()
	}
	block := make([]byte, BlockSize)
	return block, readAt(s.r, block, s.at)
}

// pastExtended goes to the header of the entry that archive/tar has read, past extended
// ones. archive/tar looks neither at how checksums are written nor at padding.
func (s *scanner) pastExtended() error {
	for {
		block, err := s.block()
		if err != nil {
			return err
		}
		if err := checkSum(block); err != nil {
			return s.damaged("is damaged: %w", err)
		}
		switch block[156] {
		case tar.TypeXHeader, tar.TypeXGlobalHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
		default:
			return nil
		}
		size, err := strconv.ParseInt(strings.Trim(string(block[124:136]), " \x00"), 8, 64)
		if err != nil {
			return s.damaged("is an extended header without a size")
		}
		if err := s.skip(size); err != nil || block[156] == tar.TypeXGlobalHeader {
			return err
		}
	}
}

// note takes an entry in, and goes to the next.
func (s *scanner) note(h *tar.Header) error {
	clean, err := cleanName(h.Name)
	if err != nil {
		return s.damaged("has the entry %q, which %w", Clip(h.Name), err)
	}
	if s.out.made.Before(h.ModTime) {
		s.out.made = h.ModTime
	}
	content := extent{s.at + BlockSize, h.Size}
	switch h.Typeflag {
	case tar.TypeReg:
		if err := s.skip(h.Size); err != nil {
			return err
		}
		return s.keep(clean, content)
	case tar.TypeDir:
		if h.Size != 0 {
			return s.damaged("gives the directory %q a size", Clip(h.Name))
		}
		return s.skip(0)
	case tar.TypeGNUSparse: // its size is not that of what is there
		return s.otherKind(h.Name, h.Typeflag)
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		h.Size = 0 // some archivers give that of what it leads to
	}
	if s.strange == nil {
		s.strange = s.otherKind(h.Name, h.Typeflag)
	}
	return s.skip(h.Size)
}

// kinds are those of entries that a layout does not have.
var kinds = map[byte]string{
	tar.TypeLink: "a hard link", tar.TypeSymlink: "a symbolic link", tar.TypeFifo: "a pipe",
	tar.TypeChar: "a device", tar.TypeBlock: "a device", tar.TypeGNUSparse: "a sparse file",
}

func (s *scanner) otherKind(name string, kind byte) error {
	what := cmp.Or(kinds[kind], "an entry of unknown type")
	return s.damaged("has the entry %q, %s, which is neither a file nor a directory", Clip(name), what)
}

func (s *scanner) keep(name string, e extent) error {
	s.docker = s.docker || name == DockerName
	t, name := s.layoutOf(name)
	if t == nil {
		return nil
	}
	if t.has(name) {
		return fault.New(fault.Integrity, "the tar file has two entries named %s", name)
	}
	t.at[name] = e
	t.blobs = t.blobs || strings.HasPrefix(name, BlobsDir)
	return nil
}

// maxNested and maxNestedPath bound the directories in which layouts are looked
// for, and the length of their paths in bytes.
const maxNested, maxNestedPath = 16, 1024

// layoutOf returns the layout to which an entry belongs, and its name in that; nil
// for what belongs to none.
func (s *scanner) layoutOf(name string) (t *tarFiles, in string) {
	dir, base := path.Split(name)
	if above, is := strings.CutSuffix(dir, BlobsDir+"/"); is && IsBlobName(base) {
		dir, base = above, BlobsDir+"/"+base
	} else if base != FileName && base != IndexName && name != DockerName {
		return nil, ""
	}
	switch {
	case dir == "":
		return s.out, base
	case !strings.HasSuffix(dir, "/") || len(dir) > maxNestedPath:
		return nil, ""
	}
	t = s.nested[path.Clean(dir)]
	if t == nil && len(s.nested) < maxNested {
		t = newTar(s.r)
		s.nested[path.Clean(dir)] = t
	}
	return t, base
}

// skip goes past an entry's content and the padding after it, which must be
// zeros.
func (s *scanner) skip(size int64) error {
	if size < 0 || size > lock.MaxBlob {
		return s.damaged("gives the size %d", size)
	}
	end := s.at + BlockSize + size
	pad := make([]byte, padding(size))
	if end+int64(len(pad)) > s.size {
		return s.truncated()
	}
	if err := readAt(s.r, pad, end); err != nil {
		return err
	}
	if !allZero(pad) {
		return fault.New(fault.Integrity, "the tar file is damaged: the padding at byte %d is not zero", end)
	}
	s.at = end + int64(len(pad))
	return nil
}

// end checks what follows the first block of zeros: another one, and nothing
// but zeros.
func (s *scanner) end() error {
	rest := s.size - s.at
	switch {
	case rest < 2*BlockSize:
		return s.truncated()
	case rest > maxTrailing:
		return fault.New(fault.Integrity, "%d bytes follow the end of the tar file", rest)
	}
	zeros := make([]byte, rest)
	if err := readAt(s.r, zeros, s.at); err != nil {
		return err
	}
	if !allZero(zeros) {
		return fault.New(fault.Integrity, "there is more data after the end of the tar file at byte %d", s.at)
	}
	return nil
}

// checkSum compares a header's checksum, which must be written as archivers do: in six
// octal digits, a zero and a space; in seven and a zero (Rust's tar); or in six, a
// space and a zero (node's tar).
func checkSum(block []byte) error {
	field := block[148:156]
	digits := field[:6]
	if end := string(field[6:]); field[7] == 0 && end != " \x00" {
		digits = field[:7]
	} else if end != "\x00 " && end != " \x00" {
		return errors.New("its checksum is not an octal number")
	}
	want, err := strconv.ParseUint(string(digits), 8, 32)
	if err != nil {
		return errors.New("its checksum is not an octal number")
	}
	var sum uint64
	for i, b := range block {
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += uint64(b)
	}
	if sum != want {
		return errors.New("its checksum is wrong")
	}
	return nil
}

// cleanName refuses names that lead out of the directory to which the tar file would be unpacked.
func cleanName(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("has no name")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("is absolute")
	case strings.ContainsAny(name, "\\\x00"):
		return "", errors.New("has a backslash or a zero byte in its name")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("has \"..\" in its name, which leads out of the directory")
		}
	}
	return path.Clean(name), nil
}

func allZero(data []byte) bool { return len(bytes.Trim(data, "\x00")) == 0 }

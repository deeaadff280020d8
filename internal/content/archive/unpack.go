package archive

import (
	"context"
	"errors"
	"os"
	"path"

	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Unpack writes all files of an archive below a directory, at the paths at which the agent's
// go-getter would write them. Like go-getter, it writes a link and any other special file as an
// empty file. It ignores the modes in the archive.
//
// Unpack returns an error of kind [fault.Integrity] for a bad archive, and for a format that holds
// a single file. [Limits.UnpackedBytes] applies to all files together.
func Unpack(ctx context.Context, blob Source, format string, limits Limits, to *os.Root) error {
	if !holdsMany(format) {
		return fault.New(fault.Integrity, "a .%s file holds a single file, not a directory", format)
	}
	r, err := open(ctx, blob, format, limits, MaxWindow)
	if err != nil {
		return err
	}
	defer r.close()
	return r.explain(r.walk(func(f archiver.File) error { return r.write(f, to) }))
}

// write writes an entry as a file or a directory.
func (r *reading) write(f archiver.File, to *os.Root) error {
	name := cleanName(f.NameInArchive)
	if f.IsDir() {
		return r.unwritable(f, to.MkdirAll(name, 0o700))
	}
	if err := (entry{raw: f.NameInArchive, problem: packingProblem(f)}).err(); err != nil {
		return err
	}
	if err := to.MkdirAll(path.Dir(name), 0o700); err != nil {
		return r.unwritable(f, err)
	}
	file, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return r.unwritable(f, err)
	}
	defer file.Close()
	content, err := f.Open()
	if err != nil {
		return err
	}
	return errors.Join(r.copy(file, content), content.Close(), r.stop(file.Close()))
}

func (r *reading) unwritable(f archiver.File, err error) error {
	if err == nil || disk.IsFull(err) {
		return r.stop(err)
	}
	return fault.New(fault.Integrity, "archive entry %s cannot be written: %w", quote(f.NameInArchive), disk.Reason(err))
}

package archive

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/zip"
	"github.com/mholt/archiver/v4"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// zip reads the archive's directory twice: once to choose, once to write.
func (x *extraction) zip() (string, error) {
	chosen, err := x.chooseZip()
	if err != nil {
		return "", err
	}
	name, err := x.chosen()
	if err != nil {
		return "", err
	}
	i := -1
	err = archiver.Zip{}.Extract(x.ctx, x.src, func(_ context.Context, f archiver.FileInfo) error {
		if i++; i < chosen {
			return nil
		}
		if err := x.replace(entry{kind: regular, open: f.Open}); err != nil {
			return x.stop(err)
		}
		return fs.SkipAll
	})
	if err := x.explain(err); err != nil {
		return "", err
	}
	return name, nil
}

// directoryBytes bounds the memory that a zip's directory can take, which is
// read before any of its entries can be counted.
func (l Limits) directoryBytes() int64 { return int64(l.Entries)*512 + 1<<20 }

// chooseZip returns the position of the wanted entry.
func (x *extraction) chooseZip() (int, error) {
	chosen, i := -1, -1
	x.src.raw.budget = x.limits.directoryBytes()
	err := archiver.Zip{}.Extract(x.ctx, x.src, func(_ context.Context, f archiver.FileInfo) error {
		x.src.raw.budget = -1
		i++
		take, err := x.visitZip(f)
		if take {
			chosen = i
		}
		return x.stop(err)
	})
	x.src.raw.budget = -1
	return chosen, x.explain(err)
}

func (x *extraction) visitZip(f archiver.FileInfo) (take bool, err error) {
	if err := checkZipHeader(f); err != nil {
		return false, err
	}
	e, err := x.entry(f)
	if err != nil {
		return false, err
	}
	return x.pick.offer(e)
}

// checkZipHeader refuses what go-getter cannot read. Archiver could: it registers
// decoders for other methods, but without bounds on their memory.
func checkZipHeader(f archiver.FileInfo) error {
	h, ok := f.Header.(zip.FileHeader)
	if !ok {
		return fmt.Errorf("unexpected header %T of a zip entry", f.Header)
	}
	if f.IsDir() {
		return nil
	}
	if h.Method != zip.Store && h.Method != zip.Deflate {
		return fault.New(fault.Integrity, "archive entry %s is compressed by the unsupported method %d", quote(h.Name), h.Method)
	}
	const encrypted = 1
	if h.Flags&encrypted != 0 {
		return fault.New(fault.Integrity, "archive entry %s is encrypted", quote(h.Name))
	}
	return nil
}

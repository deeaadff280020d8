package image

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// seederPath is where an image has its program.
const seederPath = "/botkube-mirror"

// maxSeeder bounds, in bytes, a program that is put into an image.
const maxSeeder = 1 << 30

// Seeder is a [form.Seeder].
type Seeder form.Seeder

// machine is what an executable says of the processor that it is for.
type machine struct {
	machine elf.Machine
	class   elf.Class
	data    elf.Data
}

var machines = map[string]machine{
	"386":     {elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"amd64":   {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"arm":     {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB},
	"arm64":   {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"ppc64le": {elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"riscv64": {elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB},
	"s390x":   {elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB},
}

// CheckSeeder reports why a file cannot run in an image for its platform, in
// which there is nothing else: no loader, no library.
func CheckSeeder(s Seeder) error {
	f, _, err := s.open()
	if err != nil {
		return err
	}
	return f.Close()
}

// open opens a seeder that can be used, and says what size it has.
func (s Seeder) open() (*os.File, int64, error) {
	f, size, err := s.openRegular()
	if err == nil {
		if err = s.check(f); err == nil {
			return f, size, nil
		}
		f.Close()
	}
	return nil, 0, fault.New(fault.Usage, "%s cannot be the program of the image for %s: %w", s.Path, s.Platform, err).
		WithHint("build it with CGO_ENABLED=0 GOOS=%s GOARCH=%s, or take the one from the release", s.Platform.OS, s.Platform.Arch)
}

func (s Seeder) openRegular() (*os.File, int64, error) {
	// Opening a pipe would wait for who writes it.
	if fi, err := os.Stat(s.Path); err != nil {
		return nil, 0, err
	} else if !fi.Mode().IsRegular() {
		return nil, 0, errors.New("it is not a regular file")
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	switch {
	case err != nil:
	case !fi.Mode().IsRegular():
		err = errors.New("it is not a regular file")
	case fi.Size() > maxSeeder:
		err = fmt.Errorf("it has %d bytes, and at most %d are taken", fi.Size(), maxSeeder)
	default:
		return f, fi.Size(), nil
	}
	f.Close()
	return nil, 0, err
}

func (s Seeder) check(r io.ReaderAt) error {
	want, known := machines[s.Platform.Arch]
	if s.Platform.OS != "linux" || !known {
		return errors.New("images with a program are made for Linux only, and not for every processor")
	}
	e, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("it is no executable for Linux: %w", err)
	}
	if is := (machine{e.Machine, e.Class, e.Data}); is != want {
		return fmt.Errorf("it is for another processor (%s, %s, %s)", is.machine, is.class, is.data)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is dynamically linked")
		}
	}
	// An executable that may lie anywhere is of the type of a library, but
	// only the executable begins somewhere.
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN || e.Entry == 0 {
		return errors.New("it is no program but an object or a library")
	}
	if libraries, err := e.DynString(elf.DT_NEEDED); err == nil && len(libraries) > 0 {
		return errors.New("it is dynamically linked")
	}
	return nil
}

// checkSeeders checks seeders that belong to a lock.
func checkSeeders(l *lock.Lock, seeders []Seeder) error {
	has := map[agent.Platform]bool{}
	for _, p := range l.Platforms {
		has[p] = true
	}
	for _, s := range seeders {
		if !has[s.Platform] {
			return fault.New(fault.Usage, "%s is to be the program of an image for %s, which is not a platform of the lock, or is one that has a program", s.Path, s.Platform)
		}
		has[s.Platform] = false
		if err := CheckSeeder(s); err != nil {
			return err
		}
	}
	return nil
}

// layer makes the layer with the program.
func (s Seeder) layer(ctx context.Context, o Options) (*layer, error) {
	f, size, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return newLayer(o.ModTime, func(w *layerWriter) error {
		if err := w.copy(ctx, seederPath, agent.BinaryMode, size, io.NewSectionReader(f, 0, size)); err != nil {
			return describe(s.Platform, s.Path, err)
		}
		return nil
	})
}

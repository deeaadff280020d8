package image

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// seederPath is where an image has its program.
const seederPath = "/botkube-mirror"

// maxSeeder bounds, in bytes, a program that is put into an image.
const maxSeeder = 1 << 30

// seeders are the programs of images, by platform.
type seeders map[agent.Platform]string

// seedersFor returns the programs for the platforms of a lock: those given, and the
// running one for its own platform, if it runs without libraries.
func seedersFor(l *lock.Lock, o form.Seeders) (seeders, error) {
	if o.None {
		return nil, nil
	}
	found := seeders{}
	for _, s := range o.Given {
		switch {
		case !slices.Contains(l.Platforms, s.Platform):
			return nil, fault.New(fault.Usage, "a seeder is given for %s, but the image is not for that platform", s.Platform).
				WithHint("leave it out, or add --platform %s", s.Platform)
		case found[s.Platform] != "":
			return nil, fault.New(fault.Usage, "two seeders are given for %s: %s and %s", s.Platform, found[s.Platform], s.Path).
				WithHint("leave one out")
		}
		if err := checkSeeder(s.Platform, s.Path); err != nil {
			return nil, err
		}
		found[s.Platform] = s.Path
	}
	self := agent.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	path, err := os.Executable()
	if err == nil && found[self] == "" && slices.Contains(l.Platforms, self) && checkSeeder(self, path) == nil {
		found[self] = path
	}
	return found, nil
}

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

// checkSeeder reports why a file cannot run in an image for a platform, in
// which there is nothing else: no loader, no library.
func checkSeeder(p agent.Platform, path string) error {
	f, _, err := openSeeder(p, path)
	if err != nil {
		return err
	}
	return f.Close()
}

// openSeeder opens a program that can be used, and says what size it has.
func openSeeder(p agent.Platform, path string) (*os.File, int64, error) {
	f, fi, err := disk.Open(path)
	if err == nil {
		if err = judgeSeeder(p, f, fi.Size()); err == nil {
			return f, fi.Size(), nil
		}
		f.Close()
	}
	return nil, 0, fault.New(fault.Usage, "%s cannot be the program of the image for %s: %w", path, p, disk.Reason(err)).
		WithHint("build it with CGO_ENABLED=0 GOOS=%s GOARCH=%s, or take the one from the release", p.OS, p.Arch)
}

func judgeSeeder(p agent.Platform, r io.ReaderAt, size int64) error {
	if size > maxSeeder {
		return fmt.Errorf("it has %d bytes, and at most %d are taken", size, maxSeeder)
	}
	want, known := machines[p.Arch]
	if p.OS != "linux" || !known {
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

// seederLayer makes the layer with the program.
func (b *build) seederLayer(ctx context.Context, p agent.Platform) (*layer, error) {
	program := b.seeders[p]
	f, size, err := openSeeder(p, program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return newLayer(b.options.ModTime, func(w *layerWriter) error {
		if err := w.copy(ctx, seederPath, agent.BinaryMode, size, io.NewSectionReader(f, 0, size)); err != nil {
			return describe(p, program, err)
		}
		return nil
	})
}

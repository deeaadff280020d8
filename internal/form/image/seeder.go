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
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// seederPath is where an image has its program.
const seederPath = "/botkube-mirror"

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
			return nil, fault.New(fault.Usage, "--seeder gives a program for %s, but the image is not for that platform", s.Platform).
				WithHint("leave that --seeder out, or add --platform %s", s.Platform)
		case found[s.Platform] != "":
			return nil, fault.New(fault.Usage, "--seeder gives two programs for %s: %s and %s", s.Platform, found[s.Platform], s.Path).
				WithHint("leave one of them out")
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
	return nil, 0, fault.New(fault.Usage, "%s cannot be the image's program for %s: %w", path, p, disk.Reason(err)).
		WithHint("use the program from the release for that platform; or build it with CGO_ENABLED=0 GOOS=%s GOARCH=%s", p.OS, p.Arch)
}

func judgeSeeder(p agent.Platform, r io.ReaderAt, size int64) error {
	if size > maxSeeder {
		return fmt.Errorf("the file has %d bytes, but the maximum is %d", size, maxSeeder)
	}
	if p.OS != "linux" {
		return errors.New("an image can have a program for Linux only")
	}
	e, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("the file is not a Linux program: %w", err)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("the program is dynamically linked")
		}
	}
	// An executable that may lie anywhere is of the type of a library, but
	// only the executable begins somewhere.
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN || e.Entry == 0 {
		return errors.New("the file is an object or a library, not a program")
	}
	var head agent.Head
	if err := blob.Copy(context.Background(), &head, io.NewSectionReader(r, 0, agent.ProgramHeadSize)); err != nil {
		return err
	}
	if is := head.Program(); !slices.Equal(is.Machines, []string{p.Arch}) {
		return fmt.Errorf("the program is for another processor: %s", is)
	}
	if libraries, err := e.DynString(elf.DT_NEEDED); err == nil && len(libraries) > 0 {
		return errors.New("the program is dynamically linked")
	}
	return nil
}

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

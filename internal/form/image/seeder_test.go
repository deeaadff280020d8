package image

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

var programs struct {
	sync.Mutex
	data map[agent.Platform][]byte
}

// buildProgram builds a static program for a platform.
func buildProgram(t testing.TB, p agent.Platform) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	name := filepath.Join(t.TempDir(), "botkube-mirror")
	if programs.data[p] == nil {
		source := filepath.Join(t.TempDir(), "main.go")
		check(t, os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"hello\") }\n"), 0o644))
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", name, source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOFLAGS=", "GOWORK=off")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(name)
		check(t, err)
		if programs.data == nil {
			programs.data = map[agent.Platform][]byte{}
		}
		programs.data[p] = data
	}
	check(t, os.WriteFile(name, programs.data[p], 0o755))
	return name
}

func seed(p agent.Platform, path string) form.Seeder { return form.Seeder{Platform: p, Path: path} }

// smallestProgram writes the header of an executable, which is all that is
// looked at.
func smallestProgram(t testing.TB, dir string, like form.Seeder) form.Seeder {
	t.Helper()
	header := elfHeader(t, like.Path)
	name := filepath.Join(dir, "smallest")
	check(t, os.WriteFile(name, header, 0o755))
	return seed(like.Platform, name)
}

// elfHeader is the header of a 64-bit executable without segments.
func elfHeader(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	check(t, err)
	header := slices.Clone(data[:64])
	clear(header[32:48])                               // where the segments and sections are
	clear(header[56:64])                               // and how many
	binary.LittleEndian.PutUint64(header[24:32], 4096) // where it begins
	return header
}

func TestSeeder(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)[0])
	program := buildProgram(t, amd64)
	data, result := f.write(t, with(form.WriteOptions{Seeders: form.Seeders{Given: []form.Seeder{seed(amd64, program)}}}))
	if !slices.Equal(result.MountOnly, []agent.Platform{arm64}) {
		t.Errorf("%+v", result.MountOnly)
	}
	want, err := os.ReadFile(program)
	check(t, err)
	for p, im := range images(t, data) {
		config, err := im.ConfigFile()
		check(t, err)
		members := rootfs(t, im, time.Unix(0, 0))
		switch p {
		case amd64:
			if m := members["/botkube-mirror"]; m.mode != 0o755 || m.data != string(want) {
				t.Errorf("the program has mode %v and %d bytes", m.mode, len(m.data))
			}
			if !slices.Equal(config.Config.Entrypoint, []string{"/botkube-mirror"}) {
				t.Errorf("the entry point is %q", config.Config.Entrypoint)
			}
		case arm64:
			if _, found := members["/botkube-mirror"]; found || config.Config.Entrypoint != nil {
				t.Errorf("%s has a program", p)
			}
		}
	}
}

func TestCheckSeeder(t *testing.T) {
	program := buildProgram(t, amd64)
	check(t, checkSeeder(amd64, program))
	check(t, checkSeeder(arm64, buildProgram(t, arm64)))

	dir := t.TempDir()
	file := func(name string, content []byte) string {
		name = filepath.Join(dir, name)
		check(t, os.WriteFile(name, content, 0o755))
		return name
	}
	huge := file("huge", nil)
	check(t, os.Truncate(huge, maxSeeder+1))
	object := elfHeader(t, program)
	binary.LittleEndian.PutUint16(object[16:], 1)
	library := elfHeader(t, program)
	binary.LittleEndian.PutUint16(library[16:], 3)
	clear(library[24:32])
	for why, s := range map[string]form.Seeder{
		"no such file":       seed(amd64, filepath.Join(dir, "none")),
		"not a regular":      seed(amd64, dir),
		"not a Linux":        seed(amd64, file("script", []byte("#!/bin/sh\n"))),
		"not a Linux ":       seed(amd64, file("empty", nil)),
		"not a Linux  ":      seed(amd64, file("half", elfHeader(t, program)[:40])),
		"another processor":  seed(arm64, program),
		"the maximum is":     seed(amd64, huge),
		"for Linux only":     seed(agent.Platform{OS: "darwin", Arch: "amd64"}, program),
		"another processor ": seed(agent.Platform{OS: "linux", Arch: "mips"}, program),
		"an object":          seed(amd64, file("object", object)),
		"a library":          seed(amd64, file("library", library)),
	} {
		err := checkSeeder(s.Platform, s.Path)
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || !strings.Contains(err.Error(), strings.TrimSpace(why)) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if runtime.GOOS == "linux" {
		shell, err := filepath.EvalSymlinks("/bin/sh")
		check(t, err)
		err = checkSeeder(agent.Platform{OS: "linux", Arch: runtime.GOARCH}, shell)
		if data, _ := os.ReadFile(shell); bytes.Contains(data, []byte("/ld-")) && (err == nil || !strings.Contains(err.Error(), "dynamically linked")) {
			t.Errorf("%s: %v", shell, err)
		}
	}
}

func TestSeedersOfTheLock(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	s := seed(amd64, buildProgram(t, amd64))
	for _, seeders := range [][]form.Seeder{{s, s}, {seed(arm64, s.Path)}, {seed(amd64, "none")}} {
		o := with(form.WriteOptions{Seeders: form.Seeders{Given: seeders}})
		if _, err := openOutput(t.Context(), "image.tar", f.lock, form.Content{}, o); fault.KindOf(err) != fault.Usage {
			t.Errorf("before anything is downloaded: %v", err)
		}
		if _, err := Build(t.Context(), f.lock, f.source(), o, discard{}); fault.KindOf(err) != fault.Usage {
			t.Errorf("%v: %v", seeders, err)
		}
	}
}

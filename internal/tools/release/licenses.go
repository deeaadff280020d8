package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// licenseFile matches the names under which publishers put terms that a copy must carry.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying|copyright|notice|patents)([-._].*)?$`)

// about goes beside the terms: the Mozilla Public License wants recipients to know where the source is.
const about = `Each directory MODULE@VERSION holds the terms of a Go module that is linked into botkube-mirror;
go@VERSION holds those of Go itself, from https://go.dev/dl. The source of a module is
https://proxy.golang.org/MODULE/@v/VERSION.zip, or at any other proxy for Go modules.
`

// licenses copies the terms of everything that is linked into a program, a directory for each
// module. Packages may have terms of their own, so all directories from a package up to its
// module count.
func licenses(program, dir string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	packages, err := linkedPackages(info)
	if err != nil {
		return err
	}
	if err := sameModules(program, info, packages); err != nil {
		return err
	}
	for _, p := range packages {
		if p.Module.Main {
			continue
		}
		to := filepath.Join(dir, filepath.FromSlash(p.Module.Path+"@"+p.Module.Version))
		for at := p.Dir; ; at = filepath.Dir(at) {
			within, err := filepath.Rel(p.Module.Dir, at)
			if err != nil || !filepath.IsLocal(within) {
				return fmt.Errorf("package %s is not in its module's directory %s", p.Dir, p.Module.Dir)
			}
			if err := copyLicenses(at, filepath.Join(to, within)); err != nil {
				return err
			}
			if within == "." {
				break
			}
		}
		if entries, err := os.ReadDir(to); err != nil || len(entries) == 0 {
			return fmt.Errorf("%s has no file of its licence in %s: see what licenseFile lacks", p.Module.Path, p.Module.Dir)
		}
	}
	goroot, err := goTool(nil, "env", "GOROOT")
	if err != nil {
		return err
	}
	if err := copyLicenses(strings.TrimSpace(goroot), filepath.Join(dir, "go@"+goVersion(info))); err != nil {
		return err
	}
	return write(filepath.Join(dir, "README"), []byte(about))
}

// goVersion returns a program's version of Go without experiments: 1.26.8.
func goVersion(info *debug.BuildInfo) string {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	return version
}

type linkedPackage struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linkedPackages lists what a program was built of, but the standard library.
func linkedPackages(info *debug.BuildInfo) ([]linkedPackage, error) {
	var env []string
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" {
			env = append(env, s.Key+"="+s.Value)
		}
	}
	out, err := goTool(env, "list", "-deps", "-json=Dir,Module", ".")
	if err != nil {
		return nil, err
	}
	var packages []linkedPackage
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var p linkedPackage
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		case p.Module != nil:
			packages = append(packages, p)
		}
	}
}

// sameModules compares the source with the program: terms of other versions may be others.
func sameModules(program string, info *debug.BuildInfo, packages []linkedPackage) error {
	source, linked := map[string]bool{}, map[string]bool{}
	for _, p := range packages {
		if !p.Module.Main {
			source[p.Module.Path+"@"+p.Module.Version] = true
		}
	}
	for _, m := range info.Deps {
		linked[m.Path+"@"+m.Version] = true
	}
	if !maps.Equal(source, linked) {
		return fmt.Errorf("%s was built of %v, and the source has %v", program, slices.Sorted(maps.Keys(linked)), slices.Sorted(maps.Keys(source)))
	}
	return nil
}

func copyLicenses(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenseFile.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(to, e.Name()), data); err != nil {
			return err
		}
	}
	return nil
}

// goTool runs go for the program's module.
func goTool(env []string, args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Dir, c.Env = root, append(os.Environ(), env...)
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return string(out), nil
}

package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/botkube-mirror/botkube-mirror/cmd"
)

var (
	distFlag  = flag.String("dist", "", "what GoReleaser made; .ci/release gives it")
	againFlag = flag.String("again", "", "what GoReleaser made of the same commit elsewhere")
)

var platforms = []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"}

// release is what the tests look at.
type release struct {
	dist, version string
}

func made(t *testing.T) release {
	t.Helper()
	if *distFlag == "" {
		t.Skip("no release given: run .ci/release")
	}
	var metadata struct{ Version string }
	data, err := os.ReadFile(filepath.Join(*distFlag, "metadata.json"))
	if err == nil {
		err = json.Unmarshal(data, &metadata)
	}
	if err != nil {
		t.Fatal(err)
	}
	return release{*distFlag, metadata.Version}
}

func (r release) file(suffix string) string {
	return filepath.Join(r.dist, "botkube-mirror_"+r.version+"_"+suffix)
}

func (r release) archive(t *testing.T, platform string) *archive {
	t.Helper()
	suffix := ".tar.gz"
	if strings.HasPrefix(platform, "windows") {
		suffix = ".zip"
	}
	a, err := readArchive(r.file(platform + suffix))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// requires skips a test that this machine cannot run; .ci/run has such a test fail.
func requires(t *testing.T, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("MIRROR_TEST_REQUIRE") != "":
		t.Fatalf("needs %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	file, err := exec.LookPath(name)
	requires(t, err == nil, name)
	return file
}

func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", c, err, out, complaint.String())
	}
	return string(out)
}

// TestChecksums wants a checksum for each file that a user downloads.
func TestChecksums(t *testing.T) {
	r := made(t)
	data, err := os.ReadFile(filepath.Join(r.dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	for _, p := range platforms {
		suffix := ".tar.gz"
		if strings.HasPrefix(p, "windows") {
			suffix = ".zip"
		}
		want = append(want, p+suffix, p+suffix+".cdx.json")
		if strings.HasPrefix(p, "linux") {
			want = append(want, p+".deb", p+".rpm")
		}
	}
	want = append(want, "image.tar")
	for line := range strings.Lines(string(data)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(filepath.Join(r.dist, name))
		if err != nil {
			t.Fatal(err)
		}
		if s := sha256.Sum256(content); hex.EncodeToString(s[:]) != sum {
			t.Errorf("checksums.txt has another checksum for %s", name)
		}
		have = append(have, strings.TrimPrefix(name, "botkube-mirror_"+r.version+"_"))
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("checksums.txt covers\n%s\nand should cover\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// TestArchives wants in each archive the program for its platform, and all that belongs to it.
func TestArchives(t *testing.T) {
	r := made(t)
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			a := r.archive(t, platform)
			info, err := a.buildInfo()
			if err != nil {
				t.Fatal(err)
			}
			built := map[string]string{}
			for _, s := range info.Settings {
				built[s.Key] = s.Value
			}
			if got := built["GOOS"] + "_" + built["GOARCH"]; got != platform || built["CGO_ENABLED"] != "0" || built["-trimpath"] != "true" {
				t.Errorf("the program was built so: %v", built)
			}
			binary := "botkube-mirror"
			if strings.HasPrefix(platform, "windows") {
				binary += ".exe"
			}
			want := map[string]bool{binary: true, "LICENSE": true, "README.md": true, "licenses/README": true}
			if err := fs.WalkDir(os.DirFS(root), "docs", func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					want[name] = true
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for _, name := range completions {
				want["completions/"+name] = true
			}
			for name := range pages(cmd.Tree(), time.Now()) {
				want["man/"+name+".gz"] = true
			}
			for _, m := range info.Deps {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(a.files)), func(name string) bool {
					return strings.HasPrefix(name, "licenses/"+m.Path+"@"+m.Version+"/")
				}) {
					t.Errorf("licenses has nothing of %s %s, which is linked in", m.Path, m.Version)
				}
			}
			for name, mode := range a.modes {
				switch wantMode := fs.FileMode(0o644); {
				case name == binary:
					if mode != 0o755 {
						t.Errorf("%s has mode %v", name, mode)
					}
				case mode != wantMode:
					t.Errorf("%s has mode %v", name, mode)
				}
				if !want[name] && !strings.HasPrefix(name, "licenses/") {
					t.Errorf("%s is there unasked", name)
				}
				delete(want, name)
			}
			for name := range want {
				t.Errorf("%s is missing", name)
			}
		})
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	anchor  = regexp.MustCompile(`<a id="([^"]+)">`)
	code    = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
)

// TestLinks follows the links between the pages of an archive, and to their headings.
func TestLinks(t *testing.T) {
	a := made(t).archive(t, "linux_amd64")
	for name, data := range a.files {
		if path.Ext(name) != ".md" || strings.HasPrefix(name, "licenses/") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(data), ""), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			page, ok := a.files[file]
			if !ok {
				t.Errorf("%s links to %s, which the archive does not have", name, m[1])
			} else if fragment != "" && !slices.Contains(anchors(string(page)), fragment) {
				t.Errorf("%s links to %s, and %s has no such heading", name, m[1], file)
			}
		}
	}
}

func anchors(page string) []string {
	var all []string
	for _, m := range anchor.FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		all = append(all, slug)
	}
	return all
}

// TestSBOM compares what an SBOM lists with what the program says that it was built of.
func TestSBOM(t *testing.T) {
	r := made(t)
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			a := r.archive(t, platform)
			f, err := os.Open(a.name + ".cdx.json")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var bom cdx.BOM
			if err := cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
				t.Fatal(err)
			}
			info, err := a.buildInfo()
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"stdlib " + goVersion(info)}
			for _, m := range info.Deps {
				want = append(want, m.Path+" "+m.Version)
			}
			var have []string
			for _, c := range *bom.Components {
				have = append(have, c.Name+" "+c.Version)
				if c.Licenses == nil || len(*c.Licenses) == 0 {
					t.Errorf("%s has no licence", c.Name)
				}
			}
			slices.Sort(want)
			slices.Sort(have)
			if !slices.Equal(want, have) {
				t.Errorf("it lists\n%s\nand the program has\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
			}
			main, sum := bom.Metadata.Component, sha256.Sum256(a.program)
			if main.Version != r.version || main.PackageURL != "pkg:golang/"+self+"@v"+r.version || (*main.Hashes)[0].Value != hex.EncodeToString(sum[:]) {
				t.Errorf("it is about %+v", main)
			}
		})
	}
}

// TestProgram runs the archive's program from an empty directory.
func TestProgram(t *testing.T) {
	r := made(t)
	requires(t, runtime.GOOS == "linux", "Linux")
	a := r.archive(t, runtime.GOOS+"_"+runtime.GOARCH)
	file := filepath.Join(t.TempDir(), "botkube-mirror")
	if err := os.WriteFile(file, a.program, 0o755); err != nil {
		t.Fatal(err)
	}
	version := exec.Command(file, "version")
	version.Env = []string{}
	if got := output(t, version); !strings.HasPrefix(got, "botkube-mirror "+r.version+" (") {
		t.Errorf("version prints %q", got)
	}
	for shell, name := range completions {
		if got := output(t, exec.Command(file, "completion", shell)); got != string(a.files["completions/"+name]) {
			t.Errorf("completions/%s is not what the program prints", name)
		}
	}
}

// TestManPages has man read every page.
func TestManPages(t *testing.T) {
	man := program(t, "man")
	dir := t.TempDir()
	for name, page := range pages(cmd.Tree(), time.Now()) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(man, "--warnings", "-l", file)
		c.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C.UTF-8", "MANROFFSEQ=")
		var complaint bytes.Buffer
		c.Stderr = &complaint
		out, err := c.Output()
		if err != nil || complaint.Len() > 0 {
			t.Errorf("man %s: %v\n%s", name, err, complaint.String())
		}
		if !strings.Contains(string(out), "SYNOPSIS") {
			t.Errorf("man shows of %s:\n%s", name, out)
		}
	}
}

// installed are the places in which a package puts files, beside licences and docs.
func installed(t *testing.T, zsh string) []string {
	t.Helper()
	want := []string{
		"usr/bin/botkube-mirror",
		"usr/share/bash-completion/completions/botkube-mirror",
		"usr/share/fish/vendor_completions.d/botkube-mirror.fish",
		"usr/share/zsh/" + zsh + "/_botkube-mirror",
		"usr/share/doc/botkube-mirror/README.md",
	}
	for name := range pages(cmd.Tree(), time.Now()) {
		want = append(want, "usr/share/man/man1/"+name+".gz")
	}
	return want
}

// checkInstalled compares a root directory in which a package was installed with the archive.
func checkInstalled(t *testing.T, dir string, a *archive, want []string, license, licenses string) {
	t.Helper()
	for _, name := range append(want, license) {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		} else if mode := info.Mode(); mode != 0o644 && !(mode == 0o755 && name == "usr/bin/botkube-mirror") {
			t.Errorf("%s has mode %v", name, mode)
		}
	}
	for name, data := range a.files {
		at := ""
		if name == "botkube-mirror" {
			at = "usr/bin/botkube-mirror"
		} else if rest, ok := strings.CutPrefix(name, "licenses/"); ok {
			at = licenses + "/" + rest
		} else if strings.HasPrefix(name, "docs/") {
			at = "usr/share/doc/botkube-mirror/" + name
		}
		if at == "" {
			continue
		}
		if have, err := os.ReadFile(filepath.Join(dir, at)); err != nil || !bytes.Equal(have, data) {
			t.Errorf("%s is not that of the archive: %v", at, err)
		}
	}
}

// checkRemoved wants nothing of a package to be left.
func checkRemoved(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if strings.Contains(path.Base(name), "botkube") {
			t.Errorf("%s is left", name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestDeb(t *testing.T) {
	r := made(t)
	dpkg := program(t, "dpkg")
	requires(t, os.Geteuid() == 0, "root")
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{"info", "updates"} {
				if err := os.MkdirAll(filepath.Join(dir, "var/lib/dpkg", d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "var/lib/dpkg/status"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			output(t, exec.Command(dpkg, "--root="+dir, "--force-architecture", "--log=/dev/null", "-i", r.file("linux_"+arch+".deb")))
			checkInstalled(t, dir, r.archive(t, "linux_"+arch), installed(t, "vendor-completions"), "usr/share/doc/botkube-mirror/copyright", "usr/share/doc/botkube-mirror/licenses")
			output(t, exec.Command(dpkg, "--root="+dir, "--log=/dev/null", "--purge", "botkube-mirror"))
			checkRemoved(t, filepath.Join(dir, "usr"))
		})
	}
}

func TestRPM(t *testing.T) {
	r := made(t)
	rpm := program(t, "rpm")
	requires(t, os.Geteuid() == 0, "root")
	for arch, name := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		t.Run(arch, func(t *testing.T) {
			dir, file := t.TempDir(), r.file("linux_"+arch+".rpm")
			if got := output(t, exec.Command(rpm, "-qp", "--queryformat", "%{NAME} %{ARCH} %{LICENSE}", file)); got != "botkube-mirror "+name+" Apache-2.0" {
				t.Errorf("it is %s", got)
			}
			at := []string{"--root=" + dir, "--dbpath=/var/lib/rpm", "--ignorearch", "--nodeps", "--force-debian"}
			output(t, exec.Command(rpm, append(slices.Clone(at), "-i", file)...))
			checkInstalled(t, dir, r.archive(t, "linux_"+arch), installed(t, "site-functions"), "usr/share/licenses/botkube-mirror/LICENSE", "usr/share/licenses/botkube-mirror/licenses")
			output(t, exec.Command(rpm, append([]string{"--root=" + dir, "--dbpath=/var/lib/rpm", "--nodeps", "--force-debian"}, "-e", "botkube-mirror")...))
			checkRemoved(t, filepath.Join(dir, "usr"))
		})
	}
}

// TestCask compares the cask with the archives: names, checksums and what it links.
func TestCask(t *testing.T) {
	r := made(t)
	data, err := os.ReadFile(filepath.Join(r.dist, "homebrew/Casks/botkube-mirror.rb"))
	if err != nil {
		t.Fatal(err)
	}
	cask := string(data)
	for _, platform := range []string{"darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64"} {
		content, err := os.ReadFile(r.file(platform + ".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); !strings.Contains(cask, hex.EncodeToString(sum[:])) {
			t.Errorf("the cask lacks the checksum of %s", platform)
		}
		if name := "_" + platform + ".tar.gz"; !strings.Contains(cask, name) {
			t.Errorf("the cask names no %s", name)
		}
	}
	a := r.archive(t, "darwin_arm64")
	linked := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:binary|manpage|\w+_completion) "([^"]+)"`).FindAllStringSubmatch(cask, -1) {
		linked[m[1]] = true
		if _, ok := a.files[m[1]]; !ok {
			t.Errorf("the cask links %s, which the archive does not have", m[1])
		}
	}
	for name := range a.files {
		if wanted := name == "botkube-mirror" || strings.HasPrefix(name, "man/") || strings.HasPrefix(name, "completions/") && !strings.HasSuffix(name, ".ps1"); wanted && !linked[name] {
			t.Errorf("the cask does not link %s: name it in .goreleaser.yaml", name)
		}
	}
}

// TestReproducible compares with a release of the same commit from elsewhere.
func TestReproducible(t *testing.T) {
	r := made(t)
	if *againFlag == "" {
		t.Skip("no second release given: run .ci/release")
	}
	data, err := os.ReadFile(filepath.Join(r.dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(*againFlag, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Errorf("the checksums differ:\n%s\nand\n%s", data, again)
	}
}

// TestRebuilt has plain go build make the program of the archive, as docs/releasing.md says.
func TestRebuilt(t *testing.T) {
	r := made(t)
	if *againFlag == "" {
		t.Skip("the work tree may have changed since: run .ci/release")
	}
	file := filepath.Join(t.TempDir(), "botkube-mirror")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", file, ".")
	c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	output(t, c)
	if program, err := os.ReadFile(file); err != nil || !bytes.Equal(program, r.archive(t, "linux_amd64").program) {
		t.Errorf("go build makes another program: %v", err)
	}
}

// TestUnpackedManPages is about the archive's own pages: they are packed, and whole.
func TestUnpackedManPages(t *testing.T) {
	a := made(t).archive(t, "linux_amd64")
	z, err := gzip.NewReader(bytes.NewReader(a.files["man/botkube-mirror-pull.1.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(".TH BOTKUBE\\-MIRROR\\-PULL 1 %s ", a.date.UTC().Format(time.DateOnly)); !strings.HasPrefix(string(page), want) {
		t.Errorf("it begins with %.80s", page)
	}
}

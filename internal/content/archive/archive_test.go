package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// memory is a sink.
type memory struct {
	content []byte
	resets  int
}

func (m *memory) Write(p []byte) (int, error) {
	m.content = append(m.content, p...)
	return len(p), nil
}

func (m *memory) Reset() error {
	m.content = nil
	m.resets++
	return nil
}

func extract(b []byte, format string, want agent.Member, limits archive.Limits) (name, content string, err error) {
	var sink memory
	name, err = archive.Extract(context.Background(), bytes.NewReader(b), format, want, limits, &sink)
	return name, string(sink.content), err
}

// someFormats are those of which the default tier tries whatever does not depend on
// the compression, which would take most of the time.
func someFormats() []string {
	if tier.Thorough() {
		return formats(true, true, false)
	}
	return []string{"tar", "tar.gz", "zip"}
}

func formats(tar, zip, bare bool) (list []string) {
	for _, f := range agent.ArchiveFormats {
		if isTar(f) && tar || f == "zip" && zip || isBare(f) && bare {
			list = append(list, f)
		}
	}
	return list
}

func TestExtract(t *testing.T) {
	release := []item{
		dir("linux-amd64"),
		file("linux-amd64/README.md", "read me"),
		file("linux-amd64/helm", "the tool"),
		file("linux-amd64/bin/helm", "another"),
		file("NOTICE.txt", "notice"),
	}
	for _, test := range []struct {
		name  string
		items []item
		want  agent.Member
		file  string
		body  string
	}{
		{"the only file", []item{file("executor_x_linux_amd64", "x")}, agent.Member{First: true}, "executor_x_linux_amd64", "x"},
		{"a file by its name", []item{file("a", "1"), file("flux", "2"), file("z", "3")}, agent.Member{Name: "flux"}, "flux", "2"},
		{"a name with a dot and a slash", []item{file("./kubectl", "k")}, agent.Member{Name: "kubectl"}, "kubectl", "k"},
		{"an empty file", []item{file("kubectl", "")}, agent.Member{Name: "kubectl"}, "kubectl", ""},
		{"in a directory", release, agent.Member{Dir: "linux-amd64", Name: "helm"}, "linux-amd64/helm", "the tool"},
		{"in a directory without an entry", []item{file("a/b/tool", "t")}, agent.Member{Dir: "a/b", Name: "tool"}, "a/b/tool", "t"},
		{"in a directory by a pattern", release, agent.Member{Dir: "linux-*/b?n", Name: "helm"}, "linux-amd64/bin/helm", "another"},
		{"a pattern does not match the root", []item{dir("."), file("./x/tool", "t")}, agent.Member{Dir: "*", Name: "tool"}, "x/tool", "t"},
		{"the first by name", []item{file("c", "3"), file("b", "2"), file("a", "1"), file("d", "4")}, agent.Member{First: true}, "a", "1"},
		{"the first in byte order", []item{file("a", "1"), file("Z", "2")}, agent.Member{First: true}, "Z", "2"},
		{"the first without an extension", []item{file(".a", "0"), file("a.md", "1"), file("b.", "2"), file("c.sh", "3"), file("d", "4")}, agent.Member{First: true}, "c.sh", "3"},
		{"the first for windows", []item{file("a.txt", "1"), file("x.exe", "2")}, agent.Member{First: true}, "x.exe", "2"},
		{"the first at the top", []item{file("a/a", "1"), file("b", "2")}, agent.Member{First: true}, "b", "2"},
		{"the name before the first", []item{file("z", "z"), file("a", "1"), file("b", "2")}, agent.Member{Name: "z", First: true}, "z", "z"},
		{"the first for want of the name", []item{file("b", "2"), file("a", "1")}, agent.Member{Name: "z", First: true}, "a", "1"},
		{"a name that is no candidate", []item{file("tool.md", "1"), file("a", "2")}, agent.Member{Name: "tool.md", First: true}, "tool.md", "1"},
		{"the last of duplicates", []item{file("a", "long one"), file("b", "2"), file("./a", "3")}, agent.Member{Name: "a"}, "a", "3"},
		{"the last of duplicates, the first file", []item{file("a", "1"), file("a", "2")}, agent.Member{First: true}, "a", "2"},
		{"a link elsewhere", []item{file("tool-1.0", "t"), symlink("tool", "tool-1.0"), file("x/b", "x"), symlink("x/c", "../x/b")}, agent.Member{Name: "tool-1.0"}, "tool-1.0", "t"},
		{"a link that a file supersedes", []item{symlink("a", "b"), file("a", "1")}, agent.Member{First: true}, "a", "1"},
	} {
		for _, format := range formats(true, true, false) {
			t.Run(test.name+"/"+format, func(t *testing.T) {
				name, body, err := extract(pack(t, format, test.items...), format, test.want, archive.Limits{})
				if err != nil || name != test.file || body != test.body {
					t.Errorf("got %q, %q, %v; want %q, %q", name, body, err, test.file, test.body)
				}
			})
		}
	}
}

func TestExtractSingleFile(t *testing.T) {
	for _, format := range formats(false, false, true) {
		t.Run(format, func(t *testing.T) {
			b := pack(t, format, file("", "content"))
			name, body, err := extract(b, format, agent.Member{Name: "any"}, archive.Limits{})
			if name != "" || body != "content" || err != nil {
				t.Errorf("got %q, %q, %v", name, body, err)
			}
			_, _, err = extract(b, format, agent.Member{Dir: "x", Name: "any"}, archive.Limits{})
			wantFault(t, err, `holds a single file, and no directory "x"`)
		})
	}
}

func TestUnknownFormat(t *testing.T) {
	_, _, err := extract([]byte("Rar!"), "rar", agent.Member{First: true}, archive.Limits{})
	if err == nil || fault.KindOf(err) != fault.Unexpected {
		t.Errorf("got %v", err)
	}
}

func wantFault(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v; want one of kind integrity with %q", err, text)
	}
}

func TestNotFound(t *testing.T) {
	many := []item{file("linux-amd64/README.md", "")}
	for i := range 30 {
		many = append(many, file(fmt.Sprintf("docs/%02d.md", i), ""))
	}
	few := []item{file("b.md", ""), file("a/x", ""), file("B.md", ""), file("b.md", "")}
	for _, test := range []struct {
		name  string
		items []item
		want  agent.Member
		text  string
		hint  string
	}{
		{"name", few, agent.Member{Name: "kubectl"}, `archive has no file "kubectl"`, "the archive has: B.md, b.md, a/x"},
		{"first", few, agent.Member{First: true}, `archive has no file that the agent would run as the plugin`, "the archive has: B.md, b.md, a/x"},
		{"directory", few, agent.Member{Dir: "c", Name: "x"}, `archive has no directory "c"`, "the archive has: B.md, a/x, b.md"},
		{"file as directory", few, agent.Member{Dir: "b.md", Name: "x"}, `archive has no file "x" in "b.md"`, "the archive has: B.md, a/x, b.md"},
		{"many", many, agent.Member{Dir: "linux-*", Name: "kubectl"}, `archive has no file "kubectl" in "linux-amd64"`, "the archive has: linux-amd64/README.md, docs/00.md, "},
		{"bidi", []item{file("a\u202eb.md", "")}, agent.Member{First: true}, `run as the plugin`, `the archive has: "a\u202eb.md"`},
		{"nothing", nil, agent.Member{First: true}, `archive has no files`, ""},
		{"pattern", few, agent.Member{Dir: "[", First: true}, `not a valid pattern`, ""},
		{"several", []item{file("x-1/t", "1"), file("y/t", "2"), file("x-2/t", "3")}, agent.Member{Dir: "x-*", Name: "t"}, `matches several paths in the archive: "x-1" and "x-2"`, ""},
		{"several with a file", []item{file("x-1/t", "1"), file("x-1.md", "2")}, agent.Member{Dir: "x-*", Name: "t"}, `matches several paths`, ""},
	} {
		for _, format := range someFormats() {
			t.Run(test.name+"/"+format, func(t *testing.T) {
				name, _, err := extract(pack(t, format, test.items...), format, test.want, archive.Limits{})
				wantFault(t, err, test.text)
				if hint := fault.HintOf(err); name != "" || !strings.HasPrefix(hint, test.hint) || (test.hint == "") != (hint == "") {
					t.Errorf("got name %q, hint %q", name, hint)
				}
				if test.name == "many" && !strings.HasSuffix(fault.HintOf(err), " and 11 more") {
					t.Errorf("got hint %q", fault.HintOf(err))
				}
			})
		}
	}
}

// oddEntries are those that no honest archive has, or that a file system or a
// terminal may choke on. Each is called by what is wrong with it.
var oddEntries = []struct {
	name string
	item item
}{
	{"has an absolute path", file("/etc/passwd", "x")},
	{"has an absolute path", file(`\etc`, "x")},
	{"has an absolute path", file(`C:\tool`, "x")},
	{"has an absolute path", file("//server/share", "x")},
	{"has control characters in its name", file("a\x1b[2Jb", "x")},
	{"has control characters in its name", file("a\nb", "x")},
	{"has control characters in its name", file("a\rb", "x")},
	{"has control characters in its name", file("a\u009bb", "x")},
	{"has a name of more than 4096 bytes", file(strings.Repeat("n", 5000), "x")},
	{"is a link, not a regular file", symlink("l", "../x")},
	{"is a link, not a regular file", symlink("d/l", "../../x")},
	{"is a link, not a regular file", symlink("l", `..\x`)},
	{"is a link, not a regular file", symlink("l", "/etc/passwd")},
	{"is a link, not a regular file", symlink("l", `c:\x`)},
	{"is a link, not a regular file", symlink("l", strings.Repeat("n/", 3000))},
	{"is a link, not a regular file", symlink("l", "tool")},
	{"is a link, not a regular file", hardlink("l", "tool")},
	{"is a link, not a regular file", hardlink("d/l", "../x")},
	{"is a link, not a regular file", hardlink("l", "/x")},
	{"is not a regular file", item{name: "dev", kind: tar.TypeChar}},
	{"is not a regular file", item{name: "dev", kind: tar.TypeBlock}},
	{"is not a regular file", item{name: "pipe", kind: tar.TypeFifo}},
}

// TestOddEntries wants them to be passed over where nobody asks for them, and to
// be refused where the agent would take them.
func TestOddEntries(t *testing.T) {
	for i, test := range oddEntries {
		for _, format := range someFormats() {
			if format == "zip" && test.item.kind == tar.TypeLink {
				continue
			}
			t.Run(fmt.Sprintf("%d %s/%s", i, test.name, format), func(t *testing.T) {
				for _, items := range [][]item{{test.item, file("tool", "t")}, {file("tool", "t"), test.item}} {
					name, body, err := extract(pack(t, format, items...), format, agent.Member{Name: "tool"}, archive.Limits{})
					if err != nil || name != "tool" || body != "t" {
						t.Errorf("got %q, %q, %v", name, body, err)
					}
				}
				want := agent.Member{Dir: path.Dir(strings.TrimLeft(test.item.name, "/")), Name: path.Base(test.item.name)}
				name, _, err := extract(pack(t, format, file("tool", "t"), test.item), format, want, archive.Limits{})
				wantFault(t, err, test.name)
				if err == nil || name != "" {
					t.Fatalf("got name %q", name)
				}
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) || len(err.Error()) > 300 {
					t.Errorf("unsuited for a terminal: %q", err)
				}
			})
		}
	}
}

// TestNamesThatLeadOut are refused wherever they stand, as the agent does.
func TestNamesThatLeadOut(t *testing.T) {
	for _, item := range []item{
		file("../tool", "x"), file("a/../tool", "x"), dir("a/.."), file(`a\..\..\tool`, "x"), symlink("../l", "tool"),
	} {
		for _, format := range someFormats() {
			b := pack(t, format, file("tool", "t"), item)
			name, _, err := extract(b, format, agent.Member{Name: "tool"}, archive.Limits{})
			wantFault(t, err, `has ".." in its name`)
			if name != "" {
				t.Errorf("got name %q", name)
			}
		}
	}
}

// TestNamelessEntries are none that can be asked for.
func TestNamelessEntries(t *testing.T) {
	for _, format := range formats(true, true, false) {
		for _, odd := range []string{"./.", "."} {
			b := pack(t, format, file("tool", "t"), file(odd, ""))
			if _, body, err := extract(b, format, agent.Member{First: true}, archive.Limits{}); body != "t" || err != nil {
				t.Errorf("%s with %q: got %q, %v", format, odd, body, err)
			}
		}
	}
}

// TestManyEntries has more than any limit on names that are kept would allow.
func TestManyEntries(t *testing.T) {
	items := []item{file("tool", "t")}
	for i := range tier.Pick(6_000, 60_000) {
		items = append(items, file(fmt.Sprintf("share/doc/%d", i), ""))
	}
	for _, format := range []string{"tar.gz", "zip"} {
		b := pack(t, format, items...)
		for _, want := range []agent.Member{{Name: "tool"}, {First: true}} {
			if _, body, err := extract(b, format, want, archive.Limits{}); body != "t" || err != nil {
				t.Errorf("%s: got %q, %v", format, body, err)
			}
		}
	}
}

func TestSocket(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	check(t, w.WriteHeader(&tar.Header{Name: "s", Typeflag: tar.TypeReg, Mode: 0o140644}))
	check(t, w.Close())
	_, _, err := extract(out.Bytes(), "tar", agent.Member{Name: "s"}, archive.Limits{})
	wantFault(t, err, `"s" is not a regular file`)
}

func TestSupersededByLink(t *testing.T) {
	for _, format := range formats(true, true, false) {
		b := pack(t, format, file("a", "1"), symlink("a", "b"))
		_, _, err := extract(b, format, agent.Member{First: true}, archive.Limits{})
		wantFault(t, err, `"a" is a link`)
	}
}

func TestDamaged(t *testing.T) {
	noise := strings.Repeat("some content 0123456789 ", 500)
	for _, format := range agent.ArchiveFormats {
		whole := pack(t, format, file("tool", noise), file("z", "z"))
		for name, cut := range map[string]int{"empty": 0, "one byte": 1, "half": len(whole) / 2, "all but one": len(whole) - 1} {
			if format == "tar" && name != "half" {
				continue // what is missing is empty, or padding
			}
			t.Run(name+"/"+format, func(t *testing.T) {
				_, _, err := extract(whole[:cut], format, agent.Member{Name: "tool"}, archive.Limits{})
				wantFault(t, err, "archive ")
			})
		}
		t.Run("foreign/"+format, func(t *testing.T) {
			_, _, err := extract([]byte(noise), format, agent.Member{Name: "tool"}, archive.Limits{})
			wantFault(t, err, "archive ")
		})
	}
}

// TestMismatch has content that is not what the name of the archive promises.
func TestMismatch(t *testing.T) {
	tool := file("tool", "t")
	for _, test := range []struct {
		format  string
		archive []byte
		text    string
	}{
		{"tar.gz", pack(t, "zip", tool), "it is a zip archive, not a gzip archive"},
		{"tgz", pack(t, "tar.xz", tool), "it is an xz archive, not a gzip archive"},
		{"tar.gz", pack(t, "tar", tool), "it is a tar archive, not a gzip archive"},
		{"tar.gz", []byte("#!/bin/sh\n"), "it is a script, not a gzip archive"},
		{"tar.xz", append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 100)...), "it is a program for Linux (ELF), not an xz archive"},
		{"zip", []byte("<!DOCTYPE html>"), "it is a web page, not a zip archive"},
		{"zip", pack(t, "tar.zst", tool), "it is a zstd archive, not a zip archive"},
		{"tar", pack(t, "tar.bz2", tool), "it is a bzip2 archive, not a tar archive"},
		{"tbz2", []byte("version https://git-lfs.github.com/spec/v1\n"), "it is a Git LFS pointer, not a bzip2 archive"},
	} {
		_, _, err := extract(test.archive, test.format, agent.Member{First: true}, archive.Limits{})
		wantFault(t, err, test.text)
		if fault.HintOf(err) == "" {
			t.Errorf("%s: no hint", test.text)
		}
	}
}

// TestFlippedBits covers the checksum at the end of a stream, too, which is
// behind the end of the tar.
func TestFlippedBits(t *testing.T) {
	const body = "the content of a file, which must come out as it went in"
	for _, format := range agent.ArchiveFormats {
		if format == "tar" {
			continue // has no checksum of content
		}
		whole := pack(t, format, file("tool", body))
		for i := 0; i < len(whole); i += tier.Pick(7, 1) {
			b := bytes.Clone(whole)
			b[i] ^= 0x10
			name, got, err := extract(b, format, agent.Member{Name: "tool"}, archive.Limits{})
			if err == nil && got != body {
				t.Errorf("%s: bit of byte %d flipped: got %q, %q", format, i, name, got)
			}
		}
	}
	gz := pack(t, "tar.gz", file("tool", body))
	gz[len(gz)-8] ^= 1
	_, _, err := extract(gz, "tar.gz", agent.Member{Name: "tool"}, archive.Limits{})
	wantFault(t, err, "checksum")
}

func TestAfterTheEnd(t *testing.T) {
	plain := packTar(t, []item{file("tool", "t")})
	member := agent.Member{Name: "tool"}
	for _, test := range []struct {
		name, format string
		archive      []byte
		ok           bool
	}{
		{"garbage after a tar", "tar", append(bytes.Clone(plain), "garbage"...), true},
		{"zeros after a tar", "tar", append(bytes.Clone(plain), make([]byte, 9000)...), true},
		{"garbage in the stream", "tar.gz", compress(t, "gz", append(bytes.Clone(plain), "garbage"...)), true},
		{"zeros after a gzip", "tar.gz", append(compress(t, "gz", plain), 0, 0, 0), true},
		{"many zeros after a gzip", "tar.gz", append(compress(t, "gz", plain), make([]byte, 10240)...), true},
		{"garbage after a gzip", "tar.gz", append(compress(t, "gz", plain), "garbage"...), true},
		{"zeros after an xz", "tar.xz", append(compress(t, "xz", plain), make([]byte, 512)...), true},
		{"garbage after a zstd", "tar.zst", append(compress(t, "zst", plain), "garbage"...), true},
		{"garbage after a bzip2", "tar.bz2", append(compress(t, "bz2", plain), "garbage"...), true},
		{"zeros after a bzip2", "tar.bz2", append(compress(t, "bz2", plain), make([]byte, 512)...), true},
		{"two members", "tar.gz", append(compress(t, "gz", plain[:700]), compress(t, "gz", plain[700:])...), true},
		{"an empty member", "tar.gz", append(compress(t, "gz", nil), compress(t, "gz", plain)...), true},
		{"half a member", "tar.gz", append(compress(t, "gz", plain), compress(t, "gz", plain)[:20]...), false},
		{"the start of a member", "tar.gz", append(compress(t, "gz", plain), 0x1f, 0x8b), false},
		{"two streams of xz", "tar.xz", append(compress(t, "xz", plain[:700]), compress(t, "xz", plain[700:])...), true},
		{"two streams of bzip2", "tar.bz2", append(compress(t, "bz2", plain[:700]), compress(t, "bz2", plain[700:])...), true},
		{"two frames of zstd", "tar.zst", append(compress(t, "zst", plain[:700]), compress(t, "zst", plain[700:])...), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, body, err := extract(test.archive, test.format, member, archive.Limits{})
			if !test.ok {
				wantFault(t, err, "damaged")
			} else if err != nil || body != "t" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	_, _, err := extract(append(compress(t, "gz", plain), "garbage"...), "gz", member, archive.Limits{})
	wantFault(t, err, "other data follows its end")
}

var errDisk = errors.New("no space left")

type fullDisk struct{ memory }

func (*fullDisk) Write([]byte) (int, error) { return 0, errDisk }

type stuckDisk struct{ memory }

func (*stuckDisk) Reset() error { return errDisk }

// fillingDisk is full after some bytes.
type fillingDisk struct {
	memory
	room int
}

func (d *fillingDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, errDisk
	}
	return d.memory.Write(p)
}

// TestLarge has files of which pieces are written while the next ones are read.
func TestLarge(t *testing.T) {
	body := strings.Repeat("some text that goes on and on, ", 150_000)
	for _, format := range []string{"tar", "tar.gz", "zip", "gz"} {
		b := pack(t, format, file("a", body))
		for _, room := range []int{len(body), len(body) - 1, 2 << 20, 1 << 20, 1} {
			sink := &fillingDisk{room: room}
			_, err := archive.Extract(t.Context(), bytes.NewReader(b), format, agent.Member{First: true}, archive.Limits{}, sink)
			if room < len(body) && (!errors.Is(err, errDisk) || fault.KindOf(err) != fault.Unexpected) {
				t.Errorf("%s: with room for %d bytes: %v", format, room, err)
			} else if room == len(body) && (err != nil || string(sink.content) != body) {
				t.Errorf("%s: got %d bytes, and %v", format, len(sink.content), err)
			}
		}
	}
}

type badDisk struct{ *bytes.Reader }

func (badDisk) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestOwnFailures are no fault of the archive.
func TestOwnFailures(t *testing.T) {
	for _, format := range agent.ArchiveFormats {
		b := pack(t, format, file("b", "2"), file("a", "1"))
		member := agent.Member{First: true}
		run := func(blob archive.Source, sink archive.Sink) {
			t.Helper()
			_, err := archive.Extract(context.Background(), blob, format, member, archive.Limits{}, sink)
			if !errors.Is(err, errDisk) || fault.KindOf(err) != fault.Unexpected {
				t.Errorf("%s: got %v", format, err)
			}
		}
		run(bytes.NewReader(b), &fullDisk{})
		run(badDisk{bytes.NewReader(b)}, &memory{})
		if isTar(format) {
			run(bytes.NewReader(b), &stuckDisk{})
		}
	}
}

// canceller cancels with the first write.
type canceller struct {
	memory
	cancel context.CancelFunc
}

func (c *canceller) Write(p []byte) (int, error) {
	c.cancel()
	return c.memory.Write(p)
}

func TestCancel(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 4<<20/16)
	archives := map[string][]byte{"sparse": sparseTar("a", 1<<30)}
	for _, format := range agent.ArchiveFormats {
		archives[format] = pack(t, format, file("a", big))
	}
	boundless := archive.Limits{Ratio: 1 << 40}
	for name, b := range archives {
		t.Run(name, func(t *testing.T) {
			format := strings.Replace(name, "sparse", "tar", 1)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			sink := &canceller{cancel: cancel}
			_, err := archive.Extract(ctx, bytes.NewReader(b), format, agent.Member{First: true}, boundless, sink)
			if !errors.Is(err, context.Canceled) || fault.KindOf(err) == fault.Integrity {
				t.Errorf("got %v", err)
			}
			if len(sink.content) > 1<<20 {
				t.Errorf("%d bytes were written", len(sink.content))
			}
			sink.content = nil
			_, err = archive.Extract(ctx, bytes.NewReader(b), format, agent.Member{First: true}, archive.Limits{}, sink)
			if !errors.Is(err, context.Canceled) || len(sink.content) > 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFile takes an os.File at some other offset for its archive.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "archive")
	check(t, os.WriteFile(name, pack(t, "tar.gz", file("tool", "t")), 0o600))
	f, err := os.Open(name)
	check(t, err)
	defer f.Close()
	_, err = f.Seek(5, io.SeekStart)
	check(t, err)
	var sink memory
	_, err = archive.Extract(context.Background(), f, "tar.gz", agent.Member{Name: "tool"}, archive.Limits{}, &sink)
	if err != nil || string(sink.content) != "t" {
		t.Errorf("got %q, %v", sink.content, err)
	}
	check(t, f.Close())
	_, err = archive.Extract(context.Background(), f, "tar.gz", agent.Member{Name: "tool"}, archive.Limits{}, &sink)
	if !errors.Is(err, fs.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

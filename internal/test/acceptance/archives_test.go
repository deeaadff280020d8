//go:build linux

package acceptance

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// wanted is a file for the agent to download; taken is what it has then. See
// package main of module agent.
type wanted struct {
	URL    string `json:"url"`
	Name   string `json:"name"`
	Plugin bool   `json:"plugin"`
}

type taken struct {
	Error   string `json:"error"`
	Odd     string `json:"odd"`
	Content []byte `json:"content"`
}

// usable says that the agent has a file that can be run at all.
func (t taken) usable() bool { return t.Error == "" && t.Odd == "" && len(t.Content) > 0 }

// agentTakes has the agent's own code download every file.
func agentTakes(t *testing.T, files []wanted) []taken {
	t.Helper()
	var in, stderr bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, w := range files {
		if err := encoder.Encode(w); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(agentProgram(t), "download")
	cmd.Env = append(homeEnv(tempDir(t)), "GODEBUG=")
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the agent: %v\n%s", err, &stderr)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	results := make([]taken, len(files))
	for i := range results {
		if err := decoder.Decode(&results[i]); err != nil {
			t.Fatalf("of %d files, the agent answers for %d: %v\n%s", len(files), i, err, &stderr)
		}
	}
	return results
}

// buffer is an [archive.Sink].
type buffer struct{ bytes.Buffer }

func (b *buffer) Reset() error {
	b.Buffer.Reset()
	return nil
}

// mirrorTakes does what a mirror does with a file.
func mirrorTakes(w wanted, data []byte) ([]byte, error) {
	l, err := agent.ParseLocation(w.URL)
	if err != nil || l.Format == "" {
		return data, err
	}
	member := l.DependencyMember(w.Name)
	if w.Plugin {
		member = l.PluginMember(w.Name)
	}
	var out buffer
	_, err = archive.Extract(context.Background(), bytes.NewReader(data), l.Format, member, archive.Limits{}, &out)
	return out.Bytes(), err
}

// sample is an archive, and what comes of it.
type sample struct {
	// file is its name with the extension, and with a sub-directory after two
	// slashes and parameters.
	file string
	data []byte
	// as says what a plugin and a dependency called "tool" become.
	plugin, dependency verdict
}

// verdict compares agent and mirror.
type verdict string

const (
	// both take the same file.
	both verdict = "both take it"
	// neither has a file that can be run.
	neither verdict = "neither takes it"
	// mirrorOnly is where a mirror helps: what the agent refuses does not matter
	// once the file is unpacked.
	mirrorOnly verdict = "the mirror alone takes it"
	// agentOnly is where the mirror is stricter with the file itself.
	agentOnly verdict = "the agent alone takes it"
)

const script = "#!/bin/sh\necho tool\n"

// TestArchivesAsAgent compares what the agent's own code takes from an archive with
// what a mirror takes.
func TestArchivesAsAgent(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	samples := ownSamples(t)
	var files []wanted
	for i, s := range samples {
		name, rest := s.file, ""
		if at := strings.IndexAny(name, "?/"); at >= 0 {
			name, rest = name[:at], name[at:]
		}
		// A directory of its own lets samples have the same name.
		path := filepath.Join(dir, fmt.Sprint(i), name)
		writeFile(t, path, s.data)
		for _, plugin := range []bool{true, false} {
			files = append(files, wanted{URL: "file://" + path + rest, Name: "tool", Plugin: plugin})
		}
	}
	for i, theirs := range agentTakes(t, files) {
		s, want := samples[i/2], samples[i/2].dependency
		if files[i].Plugin {
			want = s.plugin
		}
		ours, err := mirrorTakes(files[i], s.data)
		if got := compareTaken(t, files[i], theirs, ours, err); got != want {
			t.Errorf("%s, plugin %t: %s, but expected: %s\nagent: %s %s %.60q\nmirror: %v %.60q", s.file, files[i].Plugin, got, want, theirs.Error, theirs.Odd, theirs.Content, err, ours)
		}
	}
}

func compareTaken(t *testing.T, w wanted, theirs taken, ours []byte, err error) verdict {
	t.Helper()
	mirrored := err == nil && len(ours) > 0
	switch {
	case theirs.usable() && mirrored:
		if !bytes.Equal(theirs.Content, ours) {
			t.Errorf("%s: the agent has %.100q, the mirror %.100q", w.URL, theirs.Content, ours)
		}
		return both
	case mirrored:
		return mirrorOnly
	case theirs.usable():
		return agentOnly
	}
	return neither
}

// stricter are the files of the hostile corpus that the agent takes and a mirror
// does not: they are damaged behind the end of the tar, where the agent stops to
// read.
var stricter = []string{
	"gzip-checksum.tar.gz", "gzip-reserved-flags.tar.gz", "gzip-second-member-bad.tar.gz", "gzip-second-member-cut.tar.gz",
	"truncated-gzip-checksum.tar.gz", "truncated-gzip-last-byte.tar.gz",
}

// boundless are those with which the agent would fill the disk or the memory of
// the machine that runs the test.
var boundless = []string{"bomb", "sparse-bomb", "sparse-pax", "xz-dictionary-4-gib"}

// TestHostileArchivesAsAgent wants every file that the agent can run of the hostile
// corpus to be in the mirror, too, byte for byte.
func TestHostileArchivesAsAgent(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", "..", "..", "testdata", "hostile", "archives"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) < 50 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return slices.ContainsFunc(boundless, func(name string) bool { return strings.HasPrefix(e.Name(), name) })
	})
	var files []wanted
	for _, e := range entries {
		u := url.URL{Scheme: "file", Path: filepath.Join(root, e.Name())}
		for _, plugin := range []bool{true, false} {
			files = append(files, wanted{URL: u.String(), Name: "tool", Plugin: plugin})
		}
	}
	for i, theirs := range agentTakes(t, files) {
		name := entries[i/2].Name()
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := mirrorTakes(files[i], data)
		verdict := compareTaken(t, files[i], theirs, ours, err)
		if verdict == agentOnly && string(theirs.Content) == script && !slices.Contains(stricter, name) {
			t.Errorf("%s, plugin %t: the agent runs it, the mirror says: %v", name, files[i].Plugin, err)
		}
	}
}

// tarOf writes a tar; what a field of an entry's header does not say is usual.
func tarOf(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range entries {
		body := ""
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg && !strings.HasSuffix(h.Name, "/") {
			body = h.Uname // which nothing else needs here
			if body == "" {
				body = script
			}
			h.Uname = ""
			h.Size = int64(len(body))
		}
		switch {
		case h.Mode == noMode:
			h.Mode = 0
		case h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader:
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// noMode stands for the mode 0.
const noMode = -1

// other is a file whose content is not the tool's.
func other(name string) tar.Header { return tar.Header{Name: name, Uname: "other\n"} }

func zipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zipOf writes a zip of files with the same content.
func zipOf(t *testing.T, change func(*zip.FileHeader), names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		if change != nil {
			change(h)
		}
		member, err := w.CreateHeader(h)
		if err == nil && !h.Mode().IsDir() {
			_, err = io.WriteString(member, script)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// shell runs a command line in an empty directory with the file "tool", and
// returns what it writes to standard output. Where its program is not installed,
// there is nothing, unless MIRROR_TEST_REQUIRE is 1.
func shell(t *testing.T, line string) []byte {
	t.Helper()
	dir := tempDir(t)
	writeFile(t, filepath.Join(dir, "tool"), []byte(script))
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil && tier.Thorough() {
		t.Fatalf("%s: %v", line, err)
	}
	if err != nil {
		t.Logf("left out: %s: %v", line, err)
		return nil
	}
	return out
}

// ownSamples are the odd and the usual archives of all the tools that people have.
func ownSamples(t *testing.T) []sample {
	t.Helper()
	tool := tar.Header{Name: "tool"}
	gz := func(entries ...tar.Header) []byte { return zipped(t, tarOf(t, entries...)) }
	plain := tarOf(t, tool)
	packed := zipped(t, plain)
	var many []tar.Header
	for i := range 21_000 {
		many = append(many, tar.Header{Name: fmt.Sprintf("z/%d", i), Uname: "x"})
	}
	samples := []sample{
		{"one.tar.gz", packed, both, both},
		{"many.tar.gz", gz(append(many, tool)...), both, both},
		{"links.tar.gz", gz(tool, tar.Header{Name: "z1", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, tar.Header{Name: "z2", Typeflag: tar.TypeSymlink, Linkname: "../../x"}, tar.Header{Name: "z3", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}), both, both},
		{"link-to-tool.tar.gz", gz(tool, tar.Header{Name: "z", Typeflag: tar.TypeLink, Linkname: "tool"}), both, both},
		{"tool-is-symlink.tar.gz", gz(other("tool-1.0"), tar.Header{Name: "tool", Typeflag: tar.TypeSymlink, Linkname: "tool-1.0"}), neither, neither},
		{"tool-is-hardlink.tar.gz", gz(other("tool-1.0"), tar.Header{Name: "tool", Typeflag: tar.TypeLink, Linkname: "tool-1.0"}), neither, neither},
		{"link-first.tar.gz", gz(tool, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "tool"}), neither, both},
		{"fifo.tar.gz", gz(tar.Header{Name: "z", Typeflag: tar.TypeFifo}, tool), both, both},
		{"fifo-first.tar.gz", gz(tar.Header{Name: "a", Typeflag: tar.TypeFifo}, tool), neither, both},
		{"absolute-elsewhere.tar.gz", gz(tar.Header{Name: "/z"}, tool), both, both},
		{"absolute.tar.gz", gz(tar.Header{Name: "/tool"}), agentOnly, agentOnly},
		{"return.tar.gz", gz(tar.Header{Name: "z\r"}, tool), both, both},
		{"return-first.tar.gz", gz(tool, other("a\r")), agentOnly, both},
		{"not-utf8.tar.gz", gz(tar.Header{Name: "z\xff", Format: tar.FormatGNU}, tool), both, both},
		{"backslash.tar.gz", gz(tar.Header{Name: `z\tool`}, tool), both, both},
		{"dotdot.tar.gz", gz(tool, tar.Header{Name: "z/../z"}), neither, neither},
		{"twice.tar.gz", gz(other("tool"), tool), both, both},
		{"twice-dot.tar.gz", gz(other("tool"), tar.Header{Name: "./tool"}), both, both},
		{"directory-then-tool.tar.gz", gz(tar.Header{Name: "tool/", Typeflag: tar.TypeDir}, tool), mirrorOnly, mirrorOnly},
		{"tool-then-directory.tar.gz", gz(tool, tar.Header{Name: "tool/", Typeflag: tar.TypeDir}), mirrorOnly, mirrorOnly},
		{"directory.tar.gz", gz(tar.Header{Name: "tool/", Typeflag: tar.TypeDir}, other("z")), both, neither},
		{"license.tar.gz", gz(tool, other("LICENSE")), both, both},
		{"license-dir.tar.gz//x", gz(tar.Header{Name: "x/tool"}, other("x/LICENSE")), both, both},
		{"pattern.tar.gz//tool-*", gz(tar.Header{Name: "tool-1.0/tool"}), both, both},
		{"pattern-twice.tar.gz//tool-*", gz(tar.Header{Name: "tool-1.0/tool"}, tar.Header{Name: "tool-2.0/tool"}), neither, neither},
		{"ustar.tar.gz", gz(tar.Header{Name: "tool", Format: tar.FormatUSTAR}), both, both},
		{"gnu.tar.gz", gz(tar.Header{Name: strings.Repeat("d/", 90) + "x", Format: tar.FormatGNU}, tar.Header{Name: "tool", Format: tar.FormatGNU}), both, both},
		{"pax.tar.gz", gz(tar.Header{Name: "ä" + strings.Repeat("n", 120) + ".txt", Format: tar.FormatPAX}, tool), both, both},
		{"pax-global.tar.gz", gz(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "0123456789"}}, tool), both, both},
		{"mode-0.tar.gz", gz(tar.Header{Name: "tool", Mode: noMode}), both, both},
		{"setuid.tar.gz", gz(tar.Header{Name: "tool", Mode: 0o6755}), both, both},
		{"trailing.tar.gz", zipped(t, append(bytes.Clone(plain), "garbage"...)), both, both},
		{"after-gzip.tar.gz", append(bytes.Clone(packed), "garbage"...), both, both},
		{"zeros-after-gzip.tar.gz", append(bytes.Clone(packed), make([]byte, 512)...), both, both},
		{"members.tar.gz", append(zipped(t, plain[:700]), zipped(t, plain[700:])...), both, both},
		{"no-end.tar", plain[:1024], both, both},
		{"empty.tar.gz", gz(), neither, neither},
		{"nothing.tar.gz", nil, neither, neither},
		{"nothing", nil, neither, neither},
		{"empty-tool.tar.gz", zipped(t, packedTar(t, member{name: "tool", mode: 0o755})), neither, neither},
		{"UPPER.TAR.GZ", packed, both, both}, // as it is, without being unpacked
		{"upper.tar.GZ", packed, both, both},
		{"UPPER.ZIP", zipOf(t, nil, "tool"), both, both},
		{"short.tgz", packed, both, both},
		{"parameter?archive=tar.gz", packed, both, both},
		{"parameter.tar.gz?archive=false", packed, both, both},
		{"parameter.tar.gz?archive=zip", zipOf(t, nil, "tool"), both, both},
		{"zip-named.tar.gz", zipOf(t, nil, "tool"), neither, neither},
		{"tar-named.zip", plain, neither, neither},
		{"tar-named.tar.gz", plain, neither, neither},
		{"gzip-named.tar", packed, neither, neither},
		{"script-named.tar.gz", []byte(script), neither, neither},
		{"page.tar.gz", []byte("<!DOCTYPE html><title>Log in</title>"), neither, neither},
		{"one.zip", zipOf(t, nil, "tool"), both, both},
		{"windows.zip", zipOf(t, nil, "tool", `z\tool`, `z\`), both, both},
		{"windows-dir.zip//z", zipOf(t, nil, `z\tool`), neither, neither},
		{"dos.zip", zipOf(t, func(h *zip.FileHeader) { h.CreatorVersion, h.ExternalAttrs = 0, 0x20 }, "tool"), both, both},
		{"prefix.zip", append([]byte("#!/bin/sh\nexec unzip \"$0\"\n"), zipOf(t, nil, "tool")...), both, both},
		{"suffix.zip", append(zipOf(t, nil, "tool"), "garbage"...), both, both},
		{"encrypted.zip", encrypted(t, "tool"), neither, neither},
		{"encrypted-elsewhere.zip", encrypted(t, "z"), mirrorOnly, mirrorOnly},
		{"directory.zip//x", zipOf(t, nil, "x/", "x/tool"), both, both},
		{"twice.zip", zipOf(t, nil, "tool", "tool"), both, both},
		{"zip-dotdot.zip", zipOf(t, nil, "tool", "z/../../x"), neither, neither},
		{"symlink.zip", zipOf(t, func(h *zip.FileHeader) {
			if h.Name != "tool" {
				h.SetMode(fs.ModeSymlink | 0o777)
			}
		}, "tool", "z"), both, both},
		{"single.gz", zipped(t, []byte(script)), mirrorOnly, mirrorOnly},
		{"xz-96.tar.xz", hostileArchive(t, "xz-dictionary-96-mib.tar.xz"), both, both},
		{"zstd-256.tar.zst", hostileArchive(t, "zstd-window-256-mib.tar.zst"), both, both},
		{"old-sparse.tar", shell(t, "truncate -s 100000 tool && tar cS --format=gnu tool"), both, both},
		{"pax-sparse.tar", shell(t, "truncate -s 100000 tool && tar cS --format=posix tool"), both, both},
		{"v7.tar", shell(t, "tar c --format=v7 tool"), both, both},
		{"old.tar.gz", shell(t, "tar cz --format=oldgnu tool"), both, both},
		{"label.tar.gz", shell(t, "tar cz --label=zlabel tool"), both, both},
		{"streamed.zip", shell(t, "zip -q - tool | cat"), both, both},
		{"zip64.zip", shell(t, "zip -q -fz out.zip tool && cat out.zip"), both, both},
		{"bzip2.tbz2", shell(t, "tar cj tool"), both, both},
		{"bzip2.tar.bz2", shell(t, "tar cj tool"), both, both},
		{"xz.txz", shell(t, "tar cJ tool"), both, both},
		{"xz.tar.xz", shell(t, "tar c tool | xz -9e -C sha256"), both, both},
		{"xz-threads.tar.xz", shell(t, "tar c tool | xz -T2 --block-size=512"), both, both},
		{"xz-no-check.tar.xz", shell(t, "tar c tool | xz -C none"), both, both},
		{"xz-bcj.tar.xz", shell(t, "tar c tool | xz --x86 --lzma2"), mirrorOnly, mirrorOnly},
		{"zstd.tar.zst", shell(t, "tar c tool | zstd -q --ultra -22"), both, both},
		{"zstd.tzst", shell(t, "tar c tool | zstd -q"), both, both},
		{"git.tar.gz", shell(t, "git init -q . && git add tool && git -c user.name=n -c user.email=e commit -qm m && git archive --format=tar.gz HEAD"), both, both},
	}
	return slices.DeleteFunc(samples, func(s sample) bool { return len(s.data) == 0 && !strings.HasPrefix(s.file, "nothing") })
}

// encrypted has a zip with the tool, of which one entry is encrypted.
func encrypted(t *testing.T, name string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, entry := range []string{"tool", "z"} {
		h := &zip.FileHeader{Name: entry, CRC32: crc32.ChecksumIEEE([]byte(script)), CompressedSize64: uint64(len(script)), UncompressedSize64: uint64(len(script))}
		body := []byte(script)
		if entry == name {
			h.Flags |= 1
			body[5] ^= 1
		}
		member, err := w.CreateRaw(h)
		if err == nil {
			_, err = member.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func hostileArchive(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "hostile", "archives", name))
	return must(t, data, err)
}

func packedTar(t *testing.T, members ...member) []byte {
	t.Helper()
	data, err := packTar(members, uncompressed)
	return must(t, data, err)
}

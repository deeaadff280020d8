//go:build unix

package reliability

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// offlineFault is damage to a bundle that is read.
type offlineFault struct {
	name string
	// damage alters a bundle in a tar, or in a directory.
	tar       func(b *bundleTar) []byte
	directory func(t testing.TB, b *bundleTar, dir string)
	want      want
	// except has other outcomes, by command.
	except map[string]want
}

// offlineCommand is one that reads a bundle.
type offlineCommand struct {
	name string
	args func(m *offline, bundle string) []string
	// pipe gives it the bundle on standard input.
	pipe   bool
	output string
	old    bool
	kept   string
}

var offlineCommands = []*offlineCommand{
	{
		name: "unpack", output: "plugins", old: true, kept: "the old kept",
		args: func(m *offline, bundle string) []string { return []string{"unpack", bundle, "-o", m.output()} },
	},
	{
		name: "unpack from a pipe", output: "copy.tar", pipe: true, kept: "nothing written",
		args: func(m *offline, _ string) []string { return []string{"unpack", "-", "-o", m.output()} },
	},
	{
		name: "push", kept: "nothing published",
		args: func(m *offline, bundle string) []string {
			return []string{"push", bundle, m.registry.host() + "/mirror", "--plain-http", "--skip", "image"}
		},
	},
	{name: "verify", args: func(_ *offline, bundle string) []string { return []string{"verify", bundle} }},
	{name: "list", kept: "nothing shown", args: func(_ *offline, bundle string) []string { return []string{"list", bundle} }},
	{name: "diff", kept: "nothing shown", args: func(m *offline, bundle string) []string { return []string{"diff", bundle, m.good} }},
	{name: "values", kept: "nothing shown", args: func(_ *offline, bundle string) []string { return []string{"values", bundle, "--pvc", "plugins"} }},
}

// bundleTar is a bundle in a tar, and where things are in it.
type bundleTar struct {
	data    []byte
	members []tarMember
	// lock, manifest and archive are the names of members.
	lock, manifest, archive string
}

type tarMember struct {
	name        string
	start, size int
}

func readBundle(t testing.TB, file string) *bundleTar {
	t.Helper()
	data, err := os.ReadFile(file)
	check(t, err)
	b := &bundleTar{data: data, archive: "blobs/sha256/" + sum(releases(t)[0].archive)}
	from := bytes.NewReader(data)
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		m := tarMember{h.Name, len(data) - from.Len(), int(h.Size)}
		b.members = append(b.members, m)
		var document map[string]any
		if json.Unmarshal(data[m.start:m.start+m.size], &document) != nil {
			continue
		}
		if document["layers"] != nil {
			b.manifest = m.name
		}
		if document["artifacts"] != nil {
			b.lock = m.name
		}
	}
	return b
}

func (b *bundleTar) member(name string) tarMember {
	i := slices.IndexFunc(b.members, func(m tarMember) bool { return m.name == name })
	if i < 0 {
		panic(fmt.Sprintf("the bundle has no %q", name))
	}
	return b.members[i]
}

// flip returns the bundle with a bit changed.
func (b *bundleTar) flip(at int) []byte {
	data := bytes.Clone(b.data)
	data[at] ^= 1
	return data
}

// flipIn returns the bundle with a bit changed in the middle of a member.
func (b *bundleTar) flipIn(name string) []byte {
	m := b.member(name)
	return b.flip(m.start + m.size/2)
}

// flipAfter returns the bundle with a bit changed of the hexadecimal digit after a
// text in a member, so that it still is one.
func (b *bundleTar) flipAfter(name, text string) []byte {
	m := b.member(name)
	at := m.start + bytes.Index(b.data[m.start:m.start+m.size], []byte(text)) + len(text)
	data := b.flip(at)
	if !strings.ContainsRune("0123456789abcdef", rune(data[at])) {
		data[at] = b.data[at] ^ 2 // 'a' or 'f'
	}
	return data
}

// offline is a command that reads a damaged bundle.
type offline struct {
	command *offlineCommand
	// good is the bundle undamaged.
	good     string
	dir      string
	registry *localRegistry
}

// localRegistry is a registry in this process.
type localRegistry struct{ *httptest.Server }

func startLocalRegistry(t testing.TB) *localRegistry {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return &localRegistry{s}
}

func (r *localRegistry) host() string { return strings.TrimPrefix(r.URL, "http://") }

func (m *offline) output() string { return filepath.Join(m.dir, "out", m.command.output) }

func (m *offline) run(t testing.TB, bundle string) outcome {
	t.Helper()
	args := append(m.command.args(m, bundle), "--store", filepath.Join(m.dir, "store"))
	cmd := command(t, args...)
	if m.command.pipe {
		data, err := os.ReadFile(bundle)
		check(t, err)
		cmd.Stdin = struct{ io.Reader }{bytes.NewReader(data)} // no file: a pipe
	}
	return within(t, cmd)
}

// bundles are a bundle in both forms, and a mirror of an earlier version.
type bundles struct{ tar, directory, oldMirror string }

func makeBundles(t testing.TB) *bundles {
	t.Helper()
	dir := t.TempDir()
	index := writeReleases(t, filepath.Join(dir, "upstream"))
	b := &bundles{filepath.Join(dir, "bundle.tar"), filepath.Join(dir, "bundle"), oldMirror(t)}
	check(t, succeed(t, "pull", "--version", tag, "--repository", "a="+index, "-o", b.tar, "-o", "oci:"+b.directory))
	return b
}

// offlineCell is a damaged bundle that a command reads.
type offlineCell struct {
	bundles *bundles
	fault   *offlineFault
	command *offlineCommand
}

func (c *offlineCell) run(t *testing.T) string {
	m := &offline{c.command, c.good(), t.TempDir(), startLocalRegistry(t)}
	wanted, ok := c.fault.except[c.command.name]
	if !ok {
		wanted = c.fault.want
	}
	check(t, os.MkdirAll(filepath.Dir(m.output()), 0o755))
	if c.command.old {
		copyAll(t, filepath.Join(c.bundles.oldMirror, c.command.output), m.output())
	}
	before := contentsOf(t, m.output())
	bundle := c.damage(t, m.dir)
	got := m.run(t, bundle)
	if got.code != wanted.code {
		t.Fatalf("exit code %d, want %d:\n%s%s", got.code, wanted.code, got.stdout, got.stderr)
	}
	checkTalk(t, got)
	checkTidy(t, m.dir)
	if wanted.code != 0 {
		t.Logf("%s", got.stderr)
		checkMessage(t, got, wanted.says, m.about(bundle))
		checkKept(t, m.output(), before)
		m.checkUnpublished(t)
		if got = m.run(t, c.good()); got.code != 0 {
			t.Fatalf("with an undamaged bundle: exit code %d:\n%s", got.code, got.stderr)
		}
		checkTidy(t, m.dir)
	}
	if c.command.old {
		checkPlugins(t, &world{fault: &fault{}}, m.output())
	}
	switch {
	case t.Failed():
		return ""
	case wanted.note != "":
		return "done, " + wanted.note
	case wanted.code == 0:
		return "done"
	}
	return strings.TrimSuffix(fmt.Sprintf("exit %d, %s", wanted.code, c.command.kept), ", ")
}

// about is what a message must name.
func (m *offline) about(bundle string) string {
	if m.command.pipe {
		return "standard input"
	}
	return bundle
}

func (c *offlineCell) good() string {
	if c.fault.tar != nil {
		return c.bundles.tar
	}
	return c.bundles.directory
}

// damage returns where a damaged copy of the bundle is.
func (c *offlineCell) damage(t testing.TB, dir string) string {
	t.Helper()
	b := readBundle(t, c.bundles.tar)
	if c.fault.tar != nil {
		file := filepath.Join(dir, "damaged.tar")
		writeFile(t, file, c.fault.tar(b))
		return file
	}
	to := filepath.Join(dir, "damaged")
	copyAll(t, c.bundles.directory, to)
	c.fault.directory(t, b, to)
	return to
}

// checkUnpublished wants the registry to have no tag.
func (m *offline) checkUnpublished(t testing.TB) {
	t.Helper()
	resp, err := getManifest(m.registry.URL, "mirror/"+path.Base(bundleRepository), tag)
	check(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("the tag is answered %d", resp.StatusCode)
	}
}

// offlineTables returns the tables of bundles that were damaged.
func offlineTables() []*table {
	tars := &table{title: "In a bundle that is one file"}
	directories := &table{title: "In a bundle that is a directory"}
	for _, c := range offlineCommands {
		tars.columns = append(tars.columns, c.name)
		if !c.pipe {
			directories.columns = append(directories.columns, c.name)
		}
	}
	tars.prepare = func(t *testing.T) { tars.rows = offlineRows(t, true) }
	directories.prepare = func(t *testing.T) { directories.rows = offlineRows(t, false) }
	return []*table{tars, directories}
}

func offlineRows(t *testing.T, isTar bool) []*row {
	b := makeBundles(t)
	var rows []*row
	for _, f := range offlineFaults {
		if isTar != (f.tar != nil) {
			continue
		}
		r := &row{name: f.name}
		for _, c := range offlineCommands {
			if isTar || !c.pipe {
				r.cells = append(r.cells, &offlineCell{b, f, c})
			}
		}
		rows = append(rows, r)
	}
	return rows
}

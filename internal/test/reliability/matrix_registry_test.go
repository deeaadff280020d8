//go:build unix

package reliability

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// registryFault is something that goes wrong at a registry, or on the way to it.
type registryFault struct {
	name string
	// faults happen one after the other. Where they have no path, it is that
	// of the largest blob that the command moves. What cuts the other direction
	// than that of the blob is left out.
	faults []registrytest.Fault
	// reads and sends say whom it concerns alone.
	reads, sends bool
	// tls has the registry speak https. Flags are given in place of those that
	// make the program speak to it.
	tls   bool
	flags []string
	stall bool
	want  want
	// except has other outcomes, by command.
	except map[string]want
}

// registryCommand is one that speaks to a registry.
type registryCommand struct {
	name   string
	sends  bool
	args   func(m *exchange, host, output string) []string
	output string
	old    bool
	// kept is what there is after a failure.
	kept string
	// blob returns the largest that it moves.
	blob  func(r *registries) blobRef
	check func(t testing.TB, m *exchange, output string)
}

// blobRef is a blob of the registry.
type blobRef struct {
	digest string
	size   int
}

const tag = "v1.14.0"

// The references that the tests have in a registry.
const (
	bundleRepository = "base/botkube-plugins-bundle"
	imageRepository  = "base/botkube-plugins"
)

var registryCommands = []*registryCommand{
	{
		name: "unpack docker://", output: "plugins", old: true, kept: "the old kept",
		args: func(_ *exchange, host, output string) []string {
			return []string{"unpack", "docker://" + host + "/" + bundleRepository + ":" + tag, "-o", output}
		},
		blob:  func(r *registries) blobRef { return r.archive },
		check: func(t testing.TB, _ *exchange, output string) { checkReleases(t, output) },
	},
	{
		name: "list docker://", kept: "nothing shown",
		args: func(_ *exchange, host, _ string) []string {
			return []string{"list", "docker://" + host + "/" + bundleRepository + ":" + tag}
		},
		blob: func(r *registries) blobRef { return r.lock },
	},
	{
		name: "verify docker://",
		args: func(_ *exchange, host, _ string) []string {
			return []string{"verify", "docker://" + host + "/" + bundleRepository + ":" + tag}
		},
		blob: func(r *registries) blobRef { return r.archive },
	},
	{
		name: "pull --with-agent-image", output: "bundle.tar", kept: "nothing written",
		args: func(m *exchange, host, output string) []string {
			return []string{"pull", "--version", tag, "--repository", "a=" + m.registries.index, "-o", output,
				"--with-agent-image=" + host + "/" + imageRepository + ":" + tag}
		},
		blob:  func(r *registries) blobRef { return r.layer },
		check: func(t testing.TB, m *exchange, output string) { checkTar(t, output, m.registries.layer.digest) },
	},
	{
		name: "push", sends: true, kept: "nothing published",
		args: func(m *exchange, host, _ string) []string {
			return []string{"push", m.registries.bundle, host + "/" + m.prefix, "--skip", "image"}
		},
		blob:  func(r *registries) blobRef { return r.archive },
		check: func(t testing.TB, m *exchange, _ string) { m.checkPublished(t, http.StatusOK) },
	},
}

// registries are one that speaks http and one that speaks https, with the same
// in them, and what was put there.
type registries struct {
	plain, tls *registrytest.Registry
	// index is of the repository that the bundle was made of.
	index, bundle string
	// oldMirror has outputs of an earlier version.
	oldMirror            string
	archive, layer, lock blobRef
	// sent is how many bytes a push takes.
	sent int64
}

func startRegistries(t *testing.T) *registries {
	t.Helper()
	r := &registries{oldMirror: oldMirror(t), plain: registrytest.Start(t, registrytest.Options{}), tls: registrytest.Start(t, registrytest.Options{TLS: true})}
	dir := t.TempDir()
	r.index, r.bundle = writeReleases(t, dir), filepath.Join(dir, "bundle.tar")
	check(t, succeed(t, "pull", "--version", tag, "--repository", "a="+r.index, "-o", r.bundle))
	check(t, succeed(t, "push", r.bundle, r.plain.Host+"/base", "--plain-http", "--seeder", "none"))
	check(t, succeed(t, "push", r.bundle, r.tls.Host+"/base", "--ca-file", r.tls.CAFile, "--seeder", "none"))
	archive := releases(t)[0].archive
	r.archive = blobRef{sum(archive), len(archive)}
	r.lock = r.manifest(t, bundleRepository).config()
	r.layer = r.manifest(t, imageRepository).largest()
	p := r.plain.Proxy(t)
	check(t, succeed(t, "push", r.bundle, p.Host+"/clean", "--plain-http", "--skip", "image"))
	r.sent = p.BytesIn(http.MethodPatch)
	return r
}

// writeReleases makes the matrix's upstream in a directory, and returns where its index is.
func writeReleases(t testing.TB, dir string) string {
	t.Helper()
	w := &world{archives: &site{files: map[string][]byte{}}, tools: &site{files: map[string][]byte{}}, index: &site{files: map[string][]byte{}}}
	w.fill(t) // with URLs that are relative, for the sites have none
	for _, s := range []*site{w.archives, w.tools, w.index} {
		for name, data := range s.files {
			writeFile(t, filepath.Join(dir, name), data)
		}
	}
	return filepath.Join(dir, "plugins-index.yaml")
}

func succeed(t testing.TB, args ...string) error {
	t.Helper()
	if got := run(t, args...); got.code != 0 {
		return errors.New(got.stderr)
	}
	return nil
}

// manifest is what matters of one (image-spec, manifest.md and image-index.md).
type manifest struct {
	Config    descriptor
	Layers    []descriptor
	Manifests []descriptor
}

type descriptor struct {
	Digest string
	Size   int
}

func (d descriptor) ref() blobRef { return blobRef{strings.TrimPrefix(d.Digest, "sha256:"), d.Size} }

func (m *manifest) config() blobRef { return m.Config.ref() }

func (m *manifest) largest() blobRef {
	return slices.MaxFunc(m.Layers, func(a, b descriptor) int { return cmp.Compare(a.Size, b.Size) }).ref()
}

// manifest returns that of the only platform of an index.
func (r *registries) manifest(t testing.TB, repository string) *manifest {
	t.Helper()
	reference := tag
	for {
		resp, err := getManifest(r.plain.URL, repository, reference)
		check(t, err)
		var m manifest
		check(t, json.NewDecoder(resp.Body).Decode(&m))
		_ = resp.Body.Close()
		if len(m.Manifests) == 0 {
			return &m
		}
		reference = m.Manifests[0].Digest
	}
}

func getManifest(base, repository, reference string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, base+"/v2/"+repository+"/manifests/"+reference, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
	return http.DefaultClient.Do(req)
}

// exchange is a command that speaks to a registry in trouble.
type exchange struct {
	registries *registries
	fault      *registryFault
	command    *registryCommand
	// prefix is where a push goes.
	prefix string
	dir    string
}

// registryCell is a fault of a registry that a command meets.
type registryCell struct {
	registries *registries
	fault      *registryFault
	command    *registryCommand
}

var prefixes atomic.Int64

func (c *registryCell) run(t *testing.T) string {
	m := &exchange{c.registries, c.fault, c.command, fmt.Sprintf("cell-%d", prefixes.Add(1)), t.TempDir()}
	wanted := m.wanted()
	output := filepath.Join(m.dir, "out", c.command.output)
	check(t, os.MkdirAll(filepath.Dir(output), 0o755))
	if c.command.old {
		copyAll(t, filepath.Join(c.registries.oldMirror, c.command.output), output)
	}
	before := contentsOf(t, output)
	faulty := m.proxy(t, m.faults()...)
	got := m.run(t, faulty, output, c.fault.flags)
	proxies := []*registrytest.Proxy{faulty}
	if got.code != wanted.code {
		t.Fatalf("exit code %d, want %d:\n%s%s", got.code, wanted.code, got.stdout, got.stderr)
	}
	m.checkDisk(t)
	if wanted.code != 0 {
		t.Logf("%s", got.stderr)
		checkMessage(t, got, wanted.says, cmp.Or(wanted.about, faulty.Host))
		checkKept(t, output, before)
		if c.command.sends {
			m.checkPublished(t, http.StatusNotFound)
		}
		healed := m.proxy(t)
		proxies = append(proxies, healed)
		if got = m.run(t, healed, output, nil); got.code != 0 {
			t.Fatalf("without the fault: exit code %d:\n%s", got.code, got.stderr)
		}
		m.checkDisk(t)
	}
	checkTalk(t, got)
	checkDone(t, filepath.Join(m.dir, "store"))
	if c.command.check != nil {
		c.command.check(t, m, output)
	}
	wanted.checkAgain(t, m.again(proxies), c.command.blob(c.registries).size)
	if t.Failed() {
		return ""
	}
	return wanted.text(c.command.kept)
}

func (m *exchange) wanted() want {
	if w, ok := m.fault.except[m.command.name]; ok {
		return w
	}
	return m.fault.want
}

func (m *exchange) registry() *registrytest.Registry {
	if m.fault.tls {
		return m.registries.tls
	}
	return m.registries.plain
}

func (m *exchange) proxy(t testing.TB, faults ...registrytest.Fault) *registrytest.Proxy {
	t.Helper()
	return m.registry().Proxy(t, faults...)
}

// faults returns those of the cell with the paths of the command's blob.
func (m *exchange) faults() []registrytest.Fault {
	blob := m.command.blob(m.registries)
	var all []registrytest.Fault
	for _, f := range m.fault.faults {
		if f.Do == registrytest.CutRequest && !m.command.sends || f.Do == registrytest.CutResponse && m.command.sends {
			continue
		}
		switch {
		case f.Path == "" && m.command.sends:
			f.Method, f.Path, f.Min = http.MethodPatch, "/blobs/uploads/", int64(blob.size)
		case f.Path == "":
			f.Method, f.Path = http.MethodGet, "/blobs/sha256:"+blob.digest
		}
		if f.At < 0 {
			f.At = map[int64]int64{middleOf: int64(blob.size / 2), lastOf: int64(blob.size - 1)}[f.At]
		}
		all = append(all, f)
	}
	return all
}

// run runs the command. No flags stand for those with which it works.
func (m *exchange) run(t testing.TB, p *registrytest.Proxy, output string, flags []string) outcome {
	t.Helper()
	if flags == nil {
		flags = []string{"--plain-http"}
		if m.fault.tls {
			flags = []string{"--ca-file", m.registries.tls.CAFile}
		}
	}
	if m.fault.stall {
		flags = append(slices.Clone(flags), "--stall-timeout", stallTimeout)
	}
	args := append(m.command.args(m, p.Host, output), "--store", filepath.Join(m.dir, "store"), "--retries", "2")
	return within(t, command(t, append(args, flags...)...))
}

func (m *exchange) checkDisk(t testing.TB) {
	t.Helper()
	checkStore(t, filepath.Join(m.dir, "store"))
	checkTidy(t, m.dir)
}

// checkPublished wants the tag of a push to be there, or not.
func (m *exchange) checkPublished(t testing.TB, status int) {
	t.Helper()
	if m.fault.tls {
		return // the exit code says it, and this test is not about TLS
	}
	resp, err := getManifest(m.registries.plain.URL, m.prefix+"/botkube-plugins-bundle", tag)
	check(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("the tag is answered %d, want %d", resp.StatusCode, status)
	}
}

// again returns how many bytes of the blob came, or of all were sent, more than once.
func (m *exchange) again(proxies []*registrytest.Proxy) int64 {
	var n int64
	blob := m.command.blob(m.registries)
	for _, p := range proxies {
		if m.command.sends {
			n += p.BytesIn(http.MethodPatch)
			continue
		}
		for _, r := range p.Requests(http.MethodGet, "/blobs/sha256:"+blob.digest) {
			n += r.Out
		}
	}
	if m.command.sends {
		return max(n-m.registries.sent, 0)
	}
	return max(n-int64(blob.size), 0)
}

// checkReleases wants a directory to have all plugins and dependencies.
func checkReleases(t testing.TB, dir string) {
	t.Helper()
	checkPlugins(t, &world{fault: &fault{}}, dir)
}

// registryTable returns the table of what goes wrong with a registry.
func registryTable(t testing.TB) *table {
	tab := &table{title: "Around a registry"}
	for _, c := range registryCommands {
		tab.columns = append(tab.columns, c.name)
	}
	stall := hasStallTimeout(t)
	tab.prepare = func(t *testing.T) {
		r := startRegistries(t)
		for _, f := range registryFaults {
			if f.stall && !stall {
				continue
			}
			row := &row{name: f.name}
			for _, c := range registryCommands {
				if f.reads && c.sends || f.sends && !c.sends {
					row.cells = append(row.cells, nil)
					continue
				}
				row.cells = append(row.cells, &registryCell{r, f, c})
			}
			tab.rows = append(tab.rows, row)
		}
	}
	return tab
}

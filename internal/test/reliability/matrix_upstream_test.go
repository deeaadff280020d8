//go:build unix

package reliability

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// protocol is what a site speaks.
type protocol int

const (
	plainHTTP protocol = iota
	https
	http2
)

// place is the file around which there is trouble.
type place string

const (
	theIndex      place = "index"
	theArchive    place = "archive"    // the index has its checksum
	theDependency place = "dependency" // unverified: no publisher gives a checksum
	theChecksum   place = "checksum"   // the publisher's, of the dependency
	theChart      place = "chart"      // its repository has its digest
)

var places = []place{theIndex, theArchive, theDependency, theChecksum, theChart}

// victims are the files at the places.
var victims = map[place]string{
	theIndex: "/plugins-index.yaml", theArchive: "/p00.tar.gz", theDependency: "/tool00",
	theChecksum: "/tool00.sha256", theChart: "/botkube-v1.14.0.tgz",
}

// placeTitles are the headings of the tables.
var placeTitles = map[place]string{
	theIndex:      "Around the index",
	theArchive:    "Around a plugin whose checksum is in the index",
	theDependency: "Around an unverified dependency",
	theChecksum:   "Around a publisher's checksum file",
	theChart:      "Around the Helm chart",
}

// fault is something that goes wrong on the way to a file.
type fault struct {
	name string
	// over is what the site speaks that has the file.
	over protocol
	// answer takes the place of a right answer; nil if the trouble is elsewhere.
	answer func(*answer)
	// downloads says that only those who download the file meet the fault,
	// not those who ask for its size.
	downloads bool
	// certificate is what the site shows; host, if not empty, what it is called
	// instead of by its address; gated, that a proxy stands before it.
	certificate certificate
	host        string
	gated       bool
	// stall says that the program must be told how long to wait.
	stall bool
	// places are where it happens; nil is everywhere.
	places []place
	// delivers returns what a dependency, which is unverified, is taken to
	// be; nil stands for what it is.
	delivers func(data []byte) []byte
	// want is how it ends, except where the place, or place/command, says otherwise.
	want   want
	except map[string]want
}

func (f *fault) wanted(p place, command string) want {
	for _, key := range []string{string(p) + "/" + command, string(p)} {
		if w, ok := f.except[key]; ok {
			return w
		}
	}
	return f.want
}

// upstreamCommand is one that reads from upstream.
type upstreamCommand struct {
	// name is its column's.
	name string
	args []string
	// output is where it writes, if it does; old, whether something is there before.
	output string
	old    bool
	// downloads are the files that it downloads; of others it asks for the size.
	downloads []place
	// chart says that it is about the chart, alone.
	chart bool
	// check looks at a finished output.
	check func(t testing.TB, w *world, output string)
}

var everything = []place{theIndex, theArchive, theDependency, theChecksum, theChart}

var upstreamCommands = []*upstreamCommand{
	{name: "pull to a directory", args: []string{"pull", "-o"}, output: "plugins", old: true, downloads: everything, check: checkPlugins},
	{name: "pull to a file", args: []string{"pull", "-o"}, output: "bundle.tar", downloads: everything, check: checkBundle},
	{name: "lock", args: []string{"lock"}, output: "botkube-mirror.lock.json", old: true,
		downloads: []place{theIndex, theDependency, theChecksum}, check: checkLock},
	{name: "list", args: []string{"list"}, downloads: []place{theIndex, theChecksum}},
	{name: "pull --with-chart", args: []string{"pull", "-o"}, output: "bundle.tar", downloads: everything, check: checkBundle, chart: true},
}

// plugins is how many the matrix's upstream has. Trouble is around the first,
// which is large.
const plugins = 3

const largeSize, smallSize = 5 << 19, 64 << 10

// release is what upstream has of a plugin.
type release struct{ program, archive, tool []byte }

var (
	allReleases  [plugins]release
	makeReleases sync.Once
)

func releases(t testing.TB) [plugins]release {
	t.Helper()
	makeReleases.Do(func() {
		for i := range allReleases {
			size := smallSize
			if i == 0 {
				size = largeSize
			}
			program := randomBytes(fmt.Sprint("program", i), size)
			archive := pack(t, fmt.Sprintf("executor_p%02d_linux_amd64", i), program)
			allReleases[i] = release{program, archive, randomBytes(fmt.Sprint("tool", i), size)}
		}
	})
	return allReleases
}

// world is an upstream with a fault, and a machine that reads from it.
type world struct {
	fault *fault
	place place
	// index, archives, tools and charts are its sites, faulty is the one in trouble.
	index, archives, tools, charts, faulty *site
	// dir is where everything is written.
	dir string
	env []string
	// afterwards is set in the environment once the trouble is over.
	afterwards []string
	// damaged says that what came is damaged, unnoticed.
	damaged bool
}

func newWorld(t testing.TB, f *fault, p place) *world {
	t.Helper()
	w := &world{fault: f, place: p, dir: t.TempDir()}
	for _, s := range []struct {
		site   **site
		places []place
	}{{&w.index, []place{theIndex}}, {&w.archives, []place{theArchive}}, {&w.tools, []place{theDependency, theChecksum}}, {&w.charts, []place{theChart}}} {
		if slices.Contains(s.places, p) {
			*s.site = startSite(t, f, victims[p])
			w.faulty = *s.site
			continue
		}
		*s.site = startSite(t, nil, "")
	}
	w.fill(t)
	w.environment(t)
	return w
}

// fill puts the files onto the sites.
func (w *world) fill(t testing.TB) {
	t.Helper()
	index := bytes.NewBufferString("entries:\n")
	for i, r := range releases(t) {
		archive, tool := fmt.Sprintf("p%02d.tar.gz", i), fmt.Sprintf("tool%02d", i)
		w.archives.files["/"+archive], w.tools.files["/"+tool] = r.archive, r.tool
		fmt.Fprintf(index, "  - {name: p%02d, type: executor, version: v2.0.0, urls: [{url: '%s?token=%s', platform: {os: linux, architecture: amd64}, dependencies: {tool%02d: {url: '%s'}}, checksum: %s}]}\n",
			i, w.archives.at(archive), secrets[1], i, w.tools.at(tool), sum(r.archive))
	}
	w.index.files["/plugins-index.yaml"] = index.Bytes()
	if w.charts != nil {
		w.charts.files[victims[theChart]] = chart(t)
		w.charts.files["/index.yaml"] = fmt.Appendf(nil, "entries: {botkube: [{name: botkube, version: v1.14.0, digest: %s, urls: [botkube-v1.14.0.tgz]}]}\n", sum(chart(t)))
	}
	if w.place == theChecksum {
		w.tools.files["/tool00.sha256"] = fmt.Appendln(nil, sum(releases(t)[0].tool))
	}
}

// chart returns a chart of Botkube.
func chart(t testing.TB) []byte {
	t.Helper()
	return pack(t, "botkube/Chart.yaml", []byte("apiVersion: v2\nname: botkube\nversion: v1.14.0\n"))
}

// at returns the URL of a file, relative to the index's where the site has no own.
func (s *site) at(name string) string {
	if s.url == "" {
		return name
	}
	return s.url + "/" + name
}

// environment says what the program is told: of whom to trust, and of a proxy.
func (w *world) environment(t testing.TB) {
	if w.fault.over != plainHTTP {
		file := filepath.Join(w.dir, "authority.pem")
		writeFile(t, file, authority().PEM())
		w.env = append(w.env, "SSL_CERT_FILE="+file)
	}
	if w.fault.host == "" {
		return
	}
	g := startGate(t, w.faulty)
	proxied := []string{"HTTP_PROXY=" + g.url, "HTTPS_PROXY=" + g.url}
	if w.fault.gated {
		w.env = append(w.env, proxied...)
	}
	w.afterwards = proxied
}

// heal ends the trouble.
func (w *world) heal() {
	w.faulty.heal()
	w.env = append(w.env, w.afterwards...)
}

// run runs a command.
func (w *world) run(t testing.TB, c *upstreamCommand) outcome {
	t.Helper()
	args := slices.Clone(c.args)
	if c.output != "" {
		args = append(args, w.output(c))
	}
	u, err := url.Parse(w.index.url)
	check(t, err)
	if u.Scheme == "https" { // over http, credentials are refused
		u.User = url.UserPassword("robot", secrets[0])
	}
	args = append(args, "--repository", "a="+u.String()+"/plugins-index.yaml", "--store", w.store(), "--retries", "2")
	if c.chart {
		args = append(args, "--version", tag, "--with-chart="+w.charts.url)
	}
	if w.fault.stall {
		args = append(args, "--stall-timeout", stallTimeout)
	}
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, w.env...)
	return within(t, cmd)
}

// about is what a message must name: the file, or the host.
func (w *world) about() string {
	if w.fault.answer == nil {
		return w.faulty.url
	}
	return path.Base(w.faulty.victim)
}

func (w *world) store() string                    { return filepath.Join(w.dir, "store") }
func (w *world) output(c *upstreamCommand) string { return filepath.Join(w.dir, "out", c.output) }

// oldMirror is what an earlier version of upstream was mirrored to, with
// outputs by the names of the commands' ones.
func oldMirror(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	writeUpstream(t, filepath.Join(dir, "upstream"), 1, 100)
	from := []string{"--repository", "a=" + filepath.Join(dir, "upstream", "plugins-index.yaml"), "--store", filepath.Join(dir, "store")}
	for _, args := range [][]string{{"pull", "-o", filepath.Join(dir, "plugins")}, {"lock", filepath.Join(dir, "botkube-mirror.lock.json")}} {
		if got := run(t, append(args, from...)...); got.code != 0 {
			t.Fatal(got.stderr)
		}
	}
	return dir
}

// upstreamCell is a fault of upstream that a command meets.
type upstreamCell struct {
	fault   *fault
	place   place
	command *upstreamCommand
	// oldMirror has outputs of an earlier version.
	oldMirror string
}

func (c *upstreamCell) run(t *testing.T) string {
	w := newWorld(t, c.fault, c.place)
	before := c.prepare(t, w)
	wanted := c.fault.wanted(c.place, c.command.name)
	got := w.run(t, c.command)
	if got.code != wanted.code {
		t.Fatalf("exit code %d, want %d:\n%s%s", got.code, wanted.code, got.stdout, got.stderr)
	}
	checkStore(t, w.store())
	checkTidy(t, w.dir)
	if w.faulty.asked(w.faulty.victim) == 0 && c.fault.answer != nil {
		t.Error("the command never met the fault")
	}
	w.damaged = wanted.unnoticed
	if wanted.code != 0 {
		t.Logf("%s", got.stderr)
		checkMessage(t, got, wanted.says, cmp.Or(wanted.about, w.about()))
		checkKept(t, w.output(c.command), before)
		w.heal()
		if got = w.run(t, c.command); got.code != 0 {
			t.Fatalf("without the fault: exit code %d:\n%s", got.code, got.stderr)
		}
		checkStore(t, w.store())
		checkTidy(t, w.dir)
	}
	checkTalk(t, got)
	checkDone(t, w.store())
	if c.command.check != nil {
		c.command.check(t, w, w.output(c.command))
	}
	wanted.checkAgain(t, w.faulty.again(w.faulty.victim), len(w.faulty.files[w.faulty.victim]))
	if t.Failed() {
		return ""
	}
	return wanted.text(c.command.kept())
}

// prepare puts an old output in place, where the command is to have one, and
// returns what it holds.
func (c *upstreamCell) prepare(t testing.TB, w *world) map[string]string {
	t.Helper()
	output := w.output(c.command)
	check(t, os.MkdirAll(filepath.Dir(output), 0o755))
	if c.command.old {
		copyAll(t, filepath.Join(c.oldMirror, c.command.output), output)
	}
	return contentsOf(t, output)
}

func copyAll(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// kept is what there is of the output after a failure.
func (c *upstreamCommand) kept() string {
	switch {
	case c.output == "":
		return "nothing shown"
	case c.old:
		return "the old kept"
	}
	return "nothing written"
}

// checkPlugins wants a directory to be what the agent starts from.
func checkPlugins(t testing.TB, w *world, dir string) {
	t.Helper()
	for i, r := range releases(t) {
		program := fmt.Sprintf("%s/a/executor_v2.0.0_p%02d", dir, i)
		checkFile(t, program, r.program)
		checkFile(t, fmt.Sprintf("%s_deps/tool%02d", program, i), w.tool(t, i))
	}
	if index, err := os.ReadFile(filepath.Join(dir, "a.yaml")); err != nil || strings.Count(string(index), "v2.0.0") == 0 {
		t.Errorf("the index does not name what is there (%v): %s", err, index)
	}
}

// tool returns a dependency as it came.
func (w *world) tool(t testing.TB, i int) []byte {
	t.Helper()
	data := releases(t)[i].tool
	if i == 0 && w.place == theDependency && w.fault.delivers != nil {
		return w.fault.delivers(data)
	}
	return data
}

// checkBundle wants a bundle to hold all files.
func checkBundle(t testing.TB, w *world, file string) {
	t.Helper()
	var wanted []string
	for i, r := range releases(t) {
		wanted = append(wanted, sum(r.archive), sum(w.tool(t, i)))
	}
	if w.place == theChart {
		wanted = append(wanted, sum(chart(t)))
	}
	checkTar(t, file, wanted...)
}

// checkLock wants a lock to pin all files.
func checkLock(t testing.TB, w *world, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	check(t, err)
	if w.damaged && w.place != theDependency {
		return // a wrong checksum or size is taken over: whoever downloads finds out
	}
	for i, r := range releases(t) {
		for _, digest := range []string{sum(r.archive), sum(w.tool(t, i))} {
			if !bytes.Contains(data, []byte(digest)) {
				t.Errorf("the lock does not have %s", digest)
			}
		}
	}
}

func compressed(data []byte) []byte {
	var b bytes.Buffer
	gz := must(gzip.NewWriterLevel(&b, gzip.BestSpeed))
	_ = must(gz.Write(data))
	if err := gz.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// stallTimeout is how long the program waits where that must be told. On a busy
// machine, what does not stall may be silent for a second or two.
const stallTimeout = "4s"

// hasStallTimeout reports whether the program can be told how long to wait.
func hasStallTimeout(t testing.TB) bool {
	return strings.Contains(run(t, "pull", "--help").stdout, "--stall-timeout")
}

// upstreamTables returns the tables of what goes wrong with upstream.
func upstreamTables(t testing.TB) []*table {
	var tables []*table
	stall, old := hasStallTimeout(t), oldMirror(t)
	for _, p := range places {
		tab := &table{title: placeTitles[p]}
		commands := slices.DeleteFunc(slices.Clone(upstreamCommands), func(c *upstreamCommand) bool { return c.chart != (p == theChart) })
		for _, c := range commands {
			tab.columns = append(tab.columns, c.name)
		}
		for _, f := range upstreamFaults {
			if f.places != nil && !slices.Contains(f.places, p) || f.stall && !stall {
				continue
			}
			r := &row{name: f.name}
			for _, c := range commands {
				if f.downloads && !slices.Contains(c.downloads, p) {
					r.cells = append(r.cells, nil)
					continue
				}
				r.cells = append(r.cells, &upstreamCell{f, p, c, old})
			}
			tab.rows = append(tab.rows, r)
		}
		tables = append(tables, tab)
	}
	return tables
}

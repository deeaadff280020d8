//go:build unix

package reliability

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// hostile is the corpus of what means no good.
var hostile = filepath.Join("..", "..", "..", "testdata", "hostile")

// TestHostileIsGenerated fails when testdata/hostile is not what its generator
// writes.
func TestHostileIsGenerated(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t)
	fresh := t.TempDir()
	if out, err := exec.Command("go", "run", filepath.Join(hostile, "generate")+"/", fresh).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	total := 0
	for _, kind := range []string{"archives", "bundles", "images", "indexes", "locks"} {
		want, got := contentsOf(t, filepath.Join(fresh, kind)), contentsOf(t, filepath.Join(hostile, kind))
		total += len(want)
		for name, digest := range want {
			name = filepath.Join(hostile, kind, filepath.Base(name))
			if got[name] != digest {
				t.Errorf("%s is stale: go run ./testdata/hostile/generate", name)
			}
			delete(got, name)
		}
		for name := range got {
			t.Errorf("%s is not generated", name)
		}
	}
	if total == 0 {
		t.Error("nothing is generated")
	}
}

// specimen is a file of the corpus.
type specimen struct {
	// name is without the extension, file with it, and without .gz of documents
	// that the corpus keeps compressed.
	name, file string
	path       string
}

// read returns the content.
func (s specimen) read(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(s.path)
	check(t, err)
	if filepath.Base(s.path) == s.file {
		return data
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	check(t, err)
	data, err = io.ReadAll(r)
	check(t, err)
	return data
}

// specimens returns a part of the corpus: what is named, and one in so many of the
// rest, or all where nothing may be left out.
func specimens(t testing.TB, kind string, oneIn uint32, always ...string) []specimen {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(hostile, kind))
	check(t, err)
	var all []specimen
	for _, e := range entries {
		s := specimen{file: e.Name(), path: filepath.Join(hostile, kind, e.Name())}
		if kind != "archives" {
			s.file = strings.TrimSuffix(s.file, ".gz")
		}
		s.name, _, _ = strings.Cut(s.file, ".")
		h := fnv.New32()
		_, _ = h.Write([]byte(s.file))
		if tier.Thorough() || h.Sum32()%oneIn == 0 || slices.Contains(always, s.name) {
			all = append(all, s)
		}
	}
	if len(all) < 2 {
		t.Fatalf("the corpus has %d %s that are tried", len(all), kind)
	}
	return all
}

// cage is a directory that a run must leave as it was.
type cage struct{ root string }

func newCage(t testing.TB) cage {
	t.Helper()
	c := cage{t.TempDir()}
	for _, dir := range []string{"", "deep", "deep/er", "home", "deep/er/outputs"} {
		writeFile(t, filepath.Join(c.root, dir, "sentinel"), []byte(dir))
	}
	return c
}

// path returns where something of the run is: nothing that leads out by a few
// directories leaves the cage.
func (c cage) path(name string) string { return filepath.Join(c.root, "deep", "er", name) }

func (c cage) output(name string) string { return c.path("outputs/" + name) }

// run runs the program, and wants the cage as it was but for the store.
func (c cage) run(t testing.TB, args ...string) outcome {
	t.Helper()
	before := c.look(t)
	cmd := command(t, args...)
	cmd.Dir = filepath.Join(c.root, "home")
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + cmd.Dir, "BOTKUBE_MIRROR_STORE=" + filepath.Join(c.root, "store"), "GIT_TERMINAL_PROMPT=0"}
	got := watched(t, cmd)
	after := c.look(t)
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was %s, and is %q", name, was, after[name])
		}
	}
	for name := range after {
		if _, had := before[name]; !had && got.code != 0 && !c.unpublished(name) {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range []string{"/botkube-mirror-hostile", "botkube-mirror-hostile"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	checkTalk(t, got)
	checkTame(t, got)
	return got
}

// unpublished reports whether a path is one that a run which fails may leave: in
// a directory for an agent and in a site, files that no index names yet, and that
// the next run finds.
func (c cage) unpublished(name string) bool {
	if rel, in := strings.CutPrefix(name, c.output("site")); in {
		return rel == "" || rel == "/files" || contentAddressed.MatchString(rel) && !leftover.MatchString(rel)
	}
	rel, in := strings.CutPrefix(name, c.output("plugins"))
	switch {
	case !in || leftover.MatchString(rel) || path.Ext(rel) == ".yaml":
		return false
	case path.Dir(rel) == "/.botkube-mirror":
		return path.Base(rel) == "superseded"
	}
	return true
}

// contentAddressed is a path in a site that is called by the digest of its content,
// or a directory on the way there.
var contentAddressed = regexp.MustCompile(`^/files/[0-9a-f]{2}(/[0-9a-f]{64}(/[^/]+)?)?$`)

// look describes everything in the cage but the store.
func (c cage) look(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(c.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == filepath.Join(c.root, "store") {
			return fs.SkipDir
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		found[p] = fi.Mode().String()
		if fi.Mode().IsRegular() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			found[p] += " " + sum(data)
		}
		return nil
	}))
	return found
}

// checkTame wants nothing in what is told that a terminal would obey, or that
// makes it show something else than what there is.
func checkTame(t testing.TB, got outcome) {
	t.Helper()
	for name, told := range map[string]string{"standard output": got.stdout, "standard error": got.stderr} {
		if !utf8.ValidString(told) {
			t.Errorf("%s is not UTF-8: %.2000q", name, told)
		}
		if strings.Contains(told, "\nbotkube-mirror: all is well") {
			t.Errorf("%s has what a name says in a line of its own: %.2000q", name, told)
		}
		if i := strings.IndexFunc(told, wild); i >= 0 {
			t.Errorf("%s has a control character: %.200q", name, told[max(0, i-100):])
		}
	}
}

func wild(r rune) bool {
	return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// mostMemory bounds, in bytes, what a run may have at once. It takes some 40 MiB for
// itself, and 64 MiB for the window of an archive.
const mostMemory = 400 << 20

// watched runs a command to its end, and looks at its memory meanwhile. What the
// system tells in the end would count what this process had when it forked.
func watched(t testing.TB, c *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	check(t, c.Start())
	done, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchMemory(c.Process.Pid, done) }()
	watch := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	err := c.Wait()
	watch.Stop()
	close(done)
	if used := <-peak; used > mostMemory {
		t.Errorf("it used %d MiB", used>>20)
	}
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// watchMemory returns the highest resident size of a process in bytes, where the
// system tells it.
func watchMemory(pid int, done <-chan struct{}) (peak int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, found := strings.Cut(string(status), "VmHWM:"); err == nil && found {
			var kib int64
			_, _ = fmt.Sscan(rest, &kib) // 0 if it is no number
			peak = max(peak, kib<<10)
		}
		select {
		case <-tick.C:
		case <-done:
			return peak
		}
	}
}

// longestError bounds, in bytes, what is told of an error.
const longestError = 8 << 10

// wantRefused wants an error that a person can read.
func wantRefused(t testing.TB, got outcome) {
	t.Helper()
	if got.code != 2 && got.code != 4 && got.code != 5 {
		t.Errorf("exit code %d\n%.2000s%.2000s", got.code, got.stdout, got.stderr)
		return
	}
	_, message, _ := strings.Cut("\n"+got.stderr, "\nbotkube-mirror: ")
	first, hints, _ := strings.Cut(message, "\n")
	if first == "" || len(message) > longestError {
		t.Errorf("the error has %d bytes: %.4000s", len(message), message)
	}
	// An error may list everything that is wrong, but nothing may look like another one.
	if lines := strings.Count(message, "\n"); lines > 30 || strings.Contains(hints, "\nbotkube-mirror:") || strings.HasPrefix(hints, "botkube-mirror:") {
		t.Errorf("the error has %d lines: %.4000s", lines, message)
	}
}

// wantCalm wants a command that reads documents alone to refuse a specimen, or
// to find nothing wrong with them.
func wantCalm(t testing.TB, got outcome) {
	t.Helper()
	if got.code != 0 {
		wantRefused(t, got)
	}
}

// wantVerdict wants a specimen to be refused, unless it is one of those that are
// taken.
func wantVerdict(t testing.TB, got outcome, s specimen, taken map[string]string) {
	t.Helper()
	why, harmless := taken[s.file]
	switch {
	case !harmless:
		wantRefused(t, got)
	case got.code != 0:
		t.Errorf("exit code %d, though %s\n%.2000s", got.code, why, got.stderr)
	}
}

// hostileTool is the file that is wanted of every archive.
const hostileTool = "#!/bin/sh\necho tool\n"

// serve is a web server for some files, by path.
func serve(t testing.TB, files map[string][]byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, found := files[path.Clean(r.URL.Path)]
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// harmlessArchives are taken, and why.
var harmlessArchives = map[string]string{
	"bomb-declared.zip":               "what nobody asks for is not unpacked",
	"bomb-overlapping.zip":            "what nobody asks for is not unpacked",
	"dot.tar.gz":                      "nobody can ask for a file without a name",
	"empty-file.tar.gz":               "it is what was published",
	"gnu-long-of-nothing.tar.gz":      "nothing comes after it",
	"gzip-trailing-garbage.tar.gz":    "what follows the end is not looked at, as in go-getter",
	"hardlink-absolute.tar.gz":        "no link is followed",
	"hardlink-backslash.tar.gz":       "no link is followed",
	"hardlink-out.tar.gz":             "no link is followed",
	"name-bidi.tar.gz":                "it is another file's name",
	"name-deep.tar.gz":                "it is another file's name",
	"name-not-utf8.tar.gz":            "it is another file's name",
	"no-name.tar.gz":                  "nobody can ask for a file without a name",
	"path-drive-slash.tar.gz":         "it is another file's name",
	"path-pax-global.tar.gz":          "a name for all entries is none",
	"pax-of-nothing.tar.gz":           "nothing comes after it",
	"setuid.tar.gz":                   "the mode is ours",
	"size-of-directory.tar.gz":        "a directory has no content, whatever its size",
	"size-pax-smaller.tar.gz":         "the size in a PAX header is the one that counts",
	"sparse-gnu.tar.gz":               "it is a file of nothing",
	"symlink-absolute.tar.gz":         "no link is followed",
	"symlink-backslash.tar.gz":        "no link is followed",
	"symlink-long.tar.gz":             "no link is followed",
	"symlink-out.tar.gz":              "no link is followed",
	"symlink-then-over.tar.gz":        "the last counts, as in go-getter",
	"symlink-then-through.tar.gz":     "no link is followed",
	"tar-second-after-end.tar.gz":     "what follows the end is not looked at, as in go-getter",
	"tar-trailing-garbage.tar.gz":     "what follows the end is not looked at, as in go-getter",
	"thousands.tar.gz":                "what nobody asks for is passed over",
	"truncated-tar-between.tar.gz":    "the file is whole",
	"truncated-tar-in-padding.tar.gz": "the file is whole",
	"twice.tar.gz":                    "the last counts, as in go-getter",
	"unknown-kind.tar.gz":             "POSIX takes an unknown kind for a file",
	"xz-dictionary-96-mib.tar.xz":     "go-getter reads it, and it fits into the memory that an archive may have",
	"zip-hundreds-of-one-name.zip":    "they are few enough",
	"zip-leading-garbage.zip":         "a zip is read from its directory",
	"zip-setuid.zip":                  "the mode is ours",
	"zip-symlink-absolute.zip":        "no link is followed",
	"zip-symlink-long.zip":            "no link is followed",
	"zip-symlink-out.zip":             "no link is followed",
	"zip-symlink-through.zip":         "no link is followed",
	"zip-trailing-garbage.zip":        "a zip is read from its directory",
	"zip-twice.zip":                   "the last counts, as in go-getter",
	"zstd-window-256-mib.tar.zst":     "go-getter reads it, and it fits into the memory that an archive may have",
	"zip-two-names.zip":               "the directory's name counts, as in go-getter",
}

// harmlessDependencies are taken where a dependency is asked for by its name. The
// agent would take the odd entry for the plugin, for its name is the first one.
var harmlessDependencies = map[string]string{
	"block-device.tar.gz":            "the device is not made",
	"character-device.tar.gz":        "the device is not made",
	"fifo.tar.gz":                    "the FIFO is not made",
	"name-c1.tar.gz":                 "it is another file's name",
	"name-escape.tar.gz":             "it is another file's name",
	"name-gnu-long.tar.gz":           "it is another file's name",
	"name-long.tar.gz":               "it is another file's name",
	"name-newline.tar.gz":            "it is another file's name",
	"name-return.tar.gz":             "it is another file's name",
	"path-absolute-double.tar.gz":    "it is another file's name",
	"path-absolute.tar.gz":           "it is another file's name",
	"path-backslash-absolute.tar.gz": "it is another file's name",
	"path-drive.tar.gz":              "it is another file's name",
	"path-share.tar.gz":              "it is another file's name",
	"symlink-chain.tar.gz":           "no link is followed",
	"zip-absolute.zip":               "it is another file's name",
	"zip-device.zip":                 "the device is not made",
	"zip-drive.zip":                  "it is another file's name",
	"zip-escape.zip":                 "it is another file's name",
	"zip-long-name.zip":              "it is another file's name",
}

// harmlessAs has what is taken in a role, and why.
func harmlessAs(role string) map[string]string {
	taken := maps.Clone(harmlessArchives)
	if role == "dependency" {
		maps.Copy(taken, harmlessDependencies)
	}
	return taken
}

// unfitArchives have something else than a program where the agent would take its
// plugin from.
var unfitArchives = []string{
	"empty-file.tar.gz", "name-bidi.tar.gz", "name-not-utf8.tar.gz", "path-pax-global.tar.gz", "sparse-gnu.tar.gz",
	"thousands.tar.gz", "zip-hundreds-of-one-name.zip",
}

// unlikeArchives are refused as what a server should not send in the place of an
// archive: exit code 3.
var unlikeArchives = []string{"empty.tar.gz", "empty.zip", "not-gzip.tar.gz", "not-zip.zip"}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for _, s := range specimens(t, "archives", 150, "path-dotdot", "symlink-then-through", "fifo", "xz-dictionary-96-mib") {
		for _, role := range []string{"plugin", "dependency"} {
			t.Run(s.file+" as a "+role, func(t *testing.T) {
				t.Parallel()
				c, taken := newCage(t), harmlessAs(role)
				url := s.asUpstream(t, role == "plugin")
				out := c.output("plugins")
				got := c.run(t, "pull", "--repository", "x="+url+"/index.yaml", "--platform", "linux/amd64", "-o", out)
				if slices.Contains(unlikeArchives, s.file) {
					if got.code != 3 {
						t.Errorf("exit code %d", got.code)
					}
					return
				}
				wantVerdict(t, got, s, taken)
				if got.code == 0 {
					wantPlain(t, out)
				}
				if !tier.Thorough() {
					return
				}
				// A bundle carries archives as they are, once they were unpacked in vain.
				bundle := c.output("bundle.tar")
				got = c.run(t, "pull", "--repository", "x="+url+"/index.yaml", "--platform", "linux/amd64", "-o", bundle)
				wantVerdict(t, got, s, taken)
				if got.code != 0 {
					return
				}
				wantVerdict(t, c.run(t, "unpack", bundle, "-o", "image:"+c.output("image.tar"), "--seeder", "none"), s, taken)
				got = c.run(t, "verify", "--unpack", bundle)
				if role == "plugin" && slices.Contains(unfitArchives, s.file) {
					if got.code != 5 || !strings.Contains(got.stdout, "unfit ") {
						t.Errorf("exit code %d\n%.2000s", got.code, got.stdout)
					}
					return
				}
				wantVerdict(t, got, s, taken)
			})
		}
	}
}

// asUpstream serves a repository with one plugin that is the archive, or that
// depends on it.
func (s specimen) asUpstream(t testing.TB, plugin bool) string {
	t.Helper()
	const entry = "entries:\n- {name: p, type: executor, version: v1.0.0, urls: [{url: %s, platform: {os: linux, architecture: amd64}%s}]}\n"
	index := fmt.Sprintf(entry, s.file, "")
	if !plugin {
		index = fmt.Sprintf(entry, "raw", ", dependencies: {tool: {url: "+s.file+"}}")
	}
	return serve(t, map[string][]byte{"/index.yaml": []byte(index), "/raw": []byte("raw"), "/" + s.file: s.read(t)})
}

// wantPlain wants the files of a directory to be files, with the modes that we
// give them, whatever an archive says.
func wantPlain(t testing.TB, dir string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if mode := fi.Mode(); mode != 0o755 && mode != 0o644 {
			t.Errorf("%s has mode %v", p, mode)
		}
		return nil
	}))
}

// harmlessIndexes are taken, and why.
var harmlessIndexes = map[string]string{
	"dependency-url-archive-unknown.yaml": "go-getter unpacks nothing then",
	"huge-number.yaml":                    "a version is text",
	"merge-bomb.yaml":                     "each map has a few keys once it is merged",
	"several-documents.yaml":              "the first counts, as for the agent",
	"url-archive-unknown.yaml":            "go-getter unpacks nothing then",
}

func TestHostileIndexes(t *testing.T) {
	t.Parallel()
	for _, s := range specimens(t, "indexes", 100, "url-file-getter", "keys-of-one-name", "values-many", "aliases") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			url := serve(t, map[string][]byte{"/index.yaml": s.read(t), "/tool": []byte(hostileTool)})
			from := []string{"--repository", "x=" + url + "/index.yaml", "--platform", "linux/amd64", "--retries", "1"}
			if got := c.run(t, append([]string{"list"}, from...)...); got.code != 3 {
				wantCalm(t, got)
			}
			got := c.run(t, append([]string{"pull", "-o", c.output("plugins")}, from...)...)
			if slices.Contains(unreachable, s.name) {
				if got.code != 3 {
					t.Errorf("exit code %d", got.code)
				}
				return
			}
			wantVerdict(t, got, s, harmlessIndexes)
		})
	}
}

// unreachable are indexes that lead to where nothing is, are not there themselves, or have no entries:
// exit code 3.
var unreachable = []string{"url-s3", "dependency-url-s3", "nothing", "a-web-page", "utf16", "deep-block"}

// harmlessLocks are taken, and why.
var harmlessLocks = map[string]string{
	"checksum-upper.json":    "hexadecimal digits have no case",
	"good.json":              "it is good",
	"index-size-null.json":   "only its digest counts",
	"index-size-zero.json":   "only its digest counts",
	"key-in-other-case.json": "encoding/json takes it",
	"keys-twice.json":        "the last counts, as for encoding/json",
}

func TestHostileLocks(t *testing.T) {
	t.Parallel()
	for _, s := range specimens(t, "locks", 100, "many-artifacts", "sizes-overflow", "plugin-escape") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			lock, good := c.path("lock.json"), c.path("good.json")
			writeFile(t, lock, s.read(t))
			writeFile(t, good, specimen{file: "good.json", path: filepath.Join(hostile, "locks", "good.json")}.read(t))
			wantVerdict(t, c.run(t, "list", lock), s, harmlessLocks)
			if tier.Thorough() {
				wantVerdict(t, c.run(t, "diff", good, lock), s, harmlessLocks)
			}
			if _, harmless := harmlessLocks[s.file]; !harmless {
				wantRefused(t, c.run(t, "pull", "--lock", lock, "-o", c.output("plugins")))
			}
		})
	}
}

// harmlessBundles are taken, and why.
var harmlessBundles = map[string]string{
	"config-data.tar":           "it is not read",
	"config-urls.tar":           "they are not followed",
	"good.tar":                  "it is good",
	"index-data.tar":            "it is not read",
	"index-unknown-key.tar":     "in index.json, OCI has readers pass over it",
	"index-urls.tar":            "they are not followed",
	"layer-data.tar":            "it is not read",
	"layer-urls.tar":            "they are not followed",
	"layout-missing.tar":        "hauler writes no oci-layout",
	"manifest-data.tar":         "it is not read",
	"manifest-subject.tar":      "nothing follows it",
	"manifest-title-escape.tar": "titles are for other tools",
	"manifest-title-path.tar":   "titles are for other tools",
	"manifest-urls.tar":         "they are not followed",
	"surplus-escape.tar":        "what is no part of it is passed over",
	"tar-thousands.tar":         "what is no part of it is passed over",
}

func TestHostileBundles(t *testing.T) {
	t.Parallel()
	for _, s := range specimens(t, "bundles", 100, "good") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			bundle := c.path("bundle.tar")
			writeFile(t, bundle, s.read(t))
			wantCalm(t, c.run(t, "list", bundle))
			wantVerdict(t, c.run(t, "verify", bundle), s, harmlessBundles)
			wantVerdict(t, c.run(t, append([]string{"unpack", bundle}, c.everyForm()...)...), s, harmlessBundles)
			// What is wrong with a tar file alone is not wrong with a directory.
			if dir := c.path("layout"); !strings.HasPrefix(s.name, "tar-") && expand(t, s.read(t), dir) {
				wantVerdict(t, c.run(t, "verify", dir), s, harmlessBundles)
				wantVerdict(t, c.run(t, "unpack", dir, "-o", c.output("from-layout.tar")), s, harmlessBundles)
			}
		})
	}
}

// expand makes a layout directory of a tar file whose entries are nothing but
// files, each once, as they would lie in a directory.
func expand(t testing.TB, data []byte, dir string) bool {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || files[path.Clean(h.Name)] != nil {
			return false
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return false
		}
		files[path.Clean(h.Name)] = append([]byte{}, content...)
	}
	for name, content := range files {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return true
}

// TestHostileBundlesAreNotPushed wants nothing of a specimen to be published.
func TestHostileBundlesAreNotPushed(t *testing.T) {
	t.Parallel()
	registry := registrytest.Start(t, registrytest.Options{Memory: true})
	for _, s := range specimens(t, "bundles", 100, "good") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			bundle := c.path("bundle.tar")
			writeFile(t, bundle, s.read(t))
			got := c.run(t, "push", bundle, registry.Host+"/"+strings.ToLower(s.name), "--plain-http", "--seeder", "none")
			wantVerdict(t, got, s, harmlessBundles)
			tags, err := http.Get(registry.URL + "/v2/" + strings.ToLower(s.name) + "/botkube-plugins-bundle/tags/list")
			check(t, err)
			check(t, tags.Body.Close())
			if want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[got.code == 0]; tags.StatusCode != want {
				t.Errorf("exit code %d, and of its tags: %s", got.code, tags.Status)
			}
		})
	}
}

// TestNamesInDirectories plants files with names that a terminal would obey where
// verify looks.
func TestNamesInDirectories(t *testing.T) {
	t.Parallel()
	c := newCage(t)
	bundle := c.path("bundle.tar")
	writeFile(t, bundle, specimen{file: "good.tar", path: filepath.Join(hostile, "bundles", "good.tar.gz")}.read(t))
	wantSuccess(t, c.run(t, append([]string{"unpack", bundle}, c.everyForm()...)...))
	for _, dir := range []string{"plugins/x", "plugins", "site/files", "site", "oci/blobs/sha256", "oci"} {
		for i, name := range []string{"\x1b[31mred\x1b]0;title\x07", "a\nbotkube-mirror: all is well", "not UTF-8 \xff\x9b"} {
			name += []string{"", ".yaml"}[i%2]
			if err := os.WriteFile(filepath.Join(c.output(dir), name), nil, 0o755); err != nil {
				t.Skip(err) // some file systems take no such names
			}
		}
	}
	found := 0
	for _, target := range []string{"plugins", "site", "oci"} {
		for _, args := range [][]string{{"verify"}, {"verify", "--verbose"}, {"list"}} {
			if got := c.run(t, append(args, c.output(target))...); strings.Contains(got.stdout, `\x1b[31mred`) {
				found++
			}
		}
		c.run(t, "diff", c.output(target), bundle)
	}
	if found == 0 {
		t.Error("nothing tells of the files")
	}
}

// everyForm are outputs of every form, and what they need.
func (c cage) everyForm() []string {
	return []string{
		"-o", c.output("plugins"), "-o", "image:" + c.output("image.tar"), "-o", c.output("copy.tar"), "-o", "oci:" + c.output("oci"),
		"-o", "site:" + c.output("site"), "--base-url", "https://mirror.example.com", "--seeder", "none",
	}
}

func TestHostileImages(t *testing.T) {
	t.Parallel()
	for _, s := range specimens(t, "images", 150, "setuid", "good", "tag-escape", "files-unasked-escape", "documents-outside-escape", "mount-newline") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			image := c.path("image.tar")
			writeFile(t, image, s.read(t))
			wantCalm(t, c.run(t, "list", image))
			wantVerdict(t, c.run(t, "verify", image), s, harmlessImages)
		})
	}
}

// harmlessImages are taken, and why.
var harmlessImages = map[string]string{
	"config-data.tar":          "it is not read",
	"config-unknown-key.tar":   "engines may add some",
	"config-urls.tar":          "they are not followed",
	"good.tar":                 "it is good",
	"layer-data.tar":           "it is not read",
	"layer-unknown-key.tar":    "engines may add some",
	"layer-urls.tar":           "they are not followed",
	"manifest-data.tar":        "it is not read",
	"manifest-unknown-key.tar": "engines may add some",
	"manifest-urls.tar":        "they are not followed",
	"tag-other.tar":            "a copy may have any tag",
	"mount-etc-throughout.tar": "where it is mounted is for a person to say",
}

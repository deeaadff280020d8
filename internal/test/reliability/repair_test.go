//go:build unix

package reliability

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// damage is what can become of a file or a directory after it was written.
type damage struct {
	name string
	// do damages what is at a path. It returns a path outside of it that must
	// not change, or "".
	do func(t *testing.T, path string) (outside string)
	// displaced says that what is there now is moved aside, not replaced.
	displaced bool
	// refused says that in place of an output that is a file, it is refused.
	refused bool
}

// fileDamages are those of files.
var fileDamages = []damage{
	{name: "flipped", do: flip},
	{name: "flipped in the beginning", do: func(t *testing.T, path string) string { return flipAt(t, path, 0) }},
	{name: "flipped in the end", do: func(t *testing.T, path string) string { return flipAt(t, path, -1) }},
	{name: "flipped at the same time", do: func(t *testing.T, path string) string {
		fi, err := os.Stat(path)
		check(t, err)
		flip(t, path)
		check(t, os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		return ""
	}},
	{name: "shorter", do: func(t *testing.T, path string) string { return resize(t, path, -1) }},
	{name: "longer", do: func(t *testing.T, path string) string { return resize(t, path, +1) }},
	{name: "empty", do: func(t *testing.T, path string) string { check(t, os.Truncate(path, 0)); return "" }},
	{name: "mode 000", do: func(t *testing.T, path string) string { check(t, os.Chmod(path, 0)); return "" }},
	{name: "mode 644", do: func(t *testing.T, path string) string { check(t, os.Chmod(path, 0o644)); return "" }},
	{name: "deleted", do: remove},
	{name: "link to something else", do: func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		writeFile(t, outside, []byte("outside"))
		link(t, outside, path)
		return outside
	}, refused: true},
	{name: "link to the right content", do: func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		check(t, os.Rename(path, outside))
		link(t, outside, path)
		return outside
	}},
	{name: "link to nowhere", do: linkToNowhere, refused: true},
	{name: "link to a directory", do: linkToDir, displaced: true, refused: true},
	{name: "empty directory", do: func(t *testing.T, path string) string {
		remove(t, path)
		check(t, os.Mkdir(path, 0o755))
		return ""
	}, refused: true},
	{name: "directory", do: func(t *testing.T, path string) string {
		remove(t, path)
		writeFile(t, filepath.Join(path, "precious"), []byte("x"))
		return ""
	}, displaced: true, refused: true},
	{name: "pipe", do: pipe, refused: true},
}

// unsafeModes are those that only directories mend: of a file that a user
// names, further bits are his.
var unsafeModes = []damage{
	{name: "mode 600", do: func(t *testing.T, path string) string { check(t, os.Chmod(path, 0o600)); return "" }},
	{name: "setuid", do: func(t *testing.T, path string) string {
		fi, err := os.Stat(path)
		check(t, err)
		check(t, os.Chmod(path, fi.Mode()|fs.ModeSetuid|fs.ModeSetgid))
		return ""
	}},
	{name: "writable for all", do: func(t *testing.T, path string) string {
		fi, err := os.Stat(path)
		check(t, err)
		check(t, os.Chmod(path, fi.Mode()|0o002))
		return ""
	}},
}

const besideIt = "link to something beside it"

// dirDamages are those of directories.
var dirDamages = []damage{
	{name: "mode 700", do: func(t *testing.T, path string) string { check(t, os.Chmod(path, 0o700)); return "" }},
	{name: "deleted", do: remove},
	{name: "link to the right content", do: func(t *testing.T, path string) string {
		outside := filepath.Join(t.TempDir(), "outside")
		check(t, os.Rename(path, outside))
		check(t, os.Symlink(outside, path))
		return outside
	}, displaced: true},
	{name: besideIt, do: func(t *testing.T, path string) string {
		// To something in the same tree, which it is no help to be confined to.
		check(t, os.Rename(path, path+".moved"))
		check(t, os.Symlink(filepath.Base(path)+".moved", path))
		return path + ".moved"
	}, displaced: true},
	{name: "link to a directory", do: linkToDir, displaced: true},
	{name: "link to nowhere", do: linkToNowhere, displaced: true},
	{name: "file", do: func(t *testing.T, path string) string {
		remove(t, path)
		writeFile(t, path, []byte("precious"))
		return ""
	}, displaced: true},
	{name: "pipe", do: pipe, displaced: true},
}

func flip(t *testing.T, path string) string {
	fi, err := os.Stat(path)
	check(t, err)
	return flipAt(t, path, int(fi.Size()/2))
}

// flipAt flips a bit of a file; -1 is its last byte.
func flipAt(t *testing.T, path string, at int) string {
	data, err := os.ReadFile(path)
	check(t, err)
	data[(at+len(data))%len(data)] ^= 1
	check(t, os.WriteFile(path, data, 0o644))
	return ""
}

func resize(t *testing.T, path string, by int64) string {
	fi, err := os.Stat(path)
	check(t, err)
	check(t, os.Truncate(path, fi.Size()+by))
	return ""
}

func remove(t *testing.T, path string) string {
	check(t, os.RemoveAll(path))
	return ""
}

func link(t *testing.T, to, path string) {
	remove(t, path)
	check(t, os.Symlink(to, path))
}

func linkToNowhere(t *testing.T, path string) string {
	link(t, filepath.Join(t.TempDir(), "nowhere"), path)
	return ""
}

func linkToDir(t *testing.T, path string) string {
	outside := t.TempDir()
	writeFile(t, filepath.Join(outside, "precious"), []byte("x"))
	link(t, outside, path)
	return outside
}

func pipe(t *testing.T, path string) string {
	remove(t, path)
	check(t, syscall.Mkfifo(path, 0o644))
	return ""
}

// reference is an upstream, a store that has all of it, and outputs as they should be.
type reference struct {
	url   string
	store string
	// good has an output of each form.
	good string
	// downloads counts the requests for files that the store has.
	downloads atomic.Int64
}

func newReference(t *testing.T) *reference {
	t.Helper()
	w := &reference{store: filepath.Join(t.TempDir(), "store"), good: t.TempDir()}
	upstream := t.TempDir()
	writeUpstream(t, upstream, 2, 20_000)
	offerElsewhere(t, upstream)
	files := http.FileServer(http.Dir(upstream))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// Checksum files are looked for in vain.
		if base := filepath.Base(r.URL.Path); r.Method == http.MethodGet && (strings.HasSuffix(base, ".tar.gz") || strings.HasPrefix(base, "tool") && !strings.Contains(base, ".")) {
			w.downloads.Add(1)
		}
		files.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	for _, f := range append(slices.Clone(forms), platforms) {
		w.wantPulled(t, f.prefix+filepath.Join(w.good, f.name))
	}
	return w
}

// offerElsewhere has an upstream offer for linux/arm64 what it has for linux/amd64.
func offerElsewhere(t *testing.T, upstream string) {
	t.Helper()
	path := filepath.Join(upstream, "plugins-index.yaml")
	data, err := os.ReadFile(path)
	check(t, err)
	var index strings.Builder
	for line := range strings.Lines(string(data)) {
		head, builds, found := strings.Cut(line, "urls: [")
		if found {
			build := strings.TrimSuffix(builds, "]}\n")
			line = head + "urls: [" + build + ", " + strings.ReplaceAll(build, "architecture: amd64", "architecture: arm64") + "]}\n"
		}
		index.WriteString(line)
	}
	writeFile(t, path, []byte(index.String()))
}

// pull returns the arguments that write outputs.
func (w *reference) pull(targets ...string) []string {
	args := []string{"pull", "--store", w.store, "--repository", "demo=" + w.url + "/plugins-index.yaml", "--version", "v1.0.0"}
	for _, target := range targets {
		args = append(args, "-o", target)
		if strings.HasPrefix(target, "site:") {
			args = append(args, "--base-url", "https://mirror.example.com")
		}
		if strings.HasPrefix(target, "image:") {
			args = append(args, "--seeder", "none")
		}
		if strings.HasSuffix(target, "/"+platforms.name) {
			args = append(args, "--platform", "linux/amd64", "--platform", "linux/arm64")
		}
	}
	return args
}

func (w *reference) wantPulled(t *testing.T, targets ...string) outcome {
	t.Helper()
	return wantSuccess(t, run(t, w.pull(targets...)...))
}

func wantSuccess(t *testing.T, o outcome) outcome {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	return o
}

// form is a form of output.
type form struct {
	name   string
	prefix string
	// file says that the output is a single file.
	file bool
	// refuses are the places where anything but what was written there is
	// refused, not displaced.
	refuses []string
}

var forms = []form{
	{name: "plugins", prefix: "dir:", refuses: []string{".botkube-mirror"}},
	{name: "site", prefix: "site:"},
	{name: "bundle.tar", prefix: "oci-archive:", file: true},
	{name: "layout", prefix: "oci:"},
	{name: "image.tar", prefix: "image:", file: true},
}

// someForms are all in the thorough tier, and otherwise a directory and a file.
func someForms() []form {
	if thorough {
		return forms
	}
	return []form{forms[0], forms[2]}
}

// platforms is a directory for several: what is in each of them is that of one.
var platforms = form{name: "platforms", prefix: "dir:", refuses: []string{".botkube-mirror"}}

// pathsOf returns the paths in an output, of each kind of thing one.
func pathsOf(t *testing.T, root string) (list []string) {
	t.Helper()
	seen := map[string]bool{}
	several := filepath.Base(root) == platforms.name
	for p, e := range snapshot(t, root) {
		if several && strings.HasPrefix(p, "linux-") && strings.Contains(p, "/") {
			continue
		}
		kind := strings.ReplaceAll(fmt.Sprint(p, e.mode), "1", "0") // the second plugin is as the first
		if strings.HasSuffix(p, "blobs/sha256/"+filepath.Base(p)) {
			kind = fmt.Sprint("a blob of ", len(e.content) > 10_000)
		}
		if strings.Contains(p, "files/") {
			kind = fmt.Sprint(strings.Count(p, "/"))
		}
		if !seen[kind] {
			list = append(list, p)
		}
		seen[kind] = true
	}
	slices.Sort(list)
	return list
}

// entry is something in an output.
type entry struct {
	mode    fs.FileMode
	content string
}

// snapshot returns what lies at a path, and below it, by path. The path itself is ".".
func snapshot(t *testing.T, root string) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{mode: fi.Mode()}
		switch {
		case fi.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrPermission) { // its mode tells
				return err
			}
			e.content = string(data)
		case fi.Mode()&fs.ModeSymlink != 0:
			if e.content, err = os.Readlink(path); err != nil {
				return err
			}
		}
		rel, err := filepath.Rel(root, path)
		all[rel] = e
		return err
	}))
	return all
}

// sameTree compares two snapshots.
func sameTree(t *testing.T, got, want map[string]entry) {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[p]
		switch w := want[p]; {
		case !ok:
			t.Errorf("%s is missing", p)
		case g.mode != w.mode:
			t.Errorf("%s has mode %v, not %v", p, g.mode, w.mode)
		case g.content != w.content:
			t.Errorf("%s has other content: %d bytes, not %d", p, len(g.content), len(w.content))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			t.Errorf("%s is left over", p)
		}
	}
}

// takeDisplaced takes out of a snapshot what was moved aside.
func takeDisplaced(all map[string]entry) (displaced []string) {
	const dir = ".botkube-mirror/displaced"
	for p := range all {
		if strings.Count(strings.TrimPrefix(p, dir), "/") == 2 && strings.HasPrefix(p, dir) {
			displaced = append(displaced, p)
		}
	}
	if _, ok := all[dir]; ok && !slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(p string) bool {
		return strings.HasPrefix(p, ".botkube-mirror/") && !strings.HasPrefix(p, dir)
	}) {
		delete(all, ".botkube-mirror") // it is there for nothing else
	}
	maps.DeleteFunc(all, func(p string, _ entry) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
	return displaced
}

// TestRepair damages every kind of thing in every form of output in every way,
// and wants the next run to mend it, without a download.
func TestRepair(t *testing.T) {
	t.Parallel()
	w := newReference(t)
	bundle := filepath.Join(w.good, "bundle.tar")
	for _, f := range append(slices.Clone(forms), platforms) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			good := filepath.Join(w.good, f.name)
			want := snapshot(t, good)
			n := 0
			for _, place := range pathsOf(t, good) {
				damages := fileDamages
				switch {
				case want[place].mode.IsDir() && place == ".":
					continue // a directory that is not there is a new one; another is the user's
				case want[place].mode.IsDir():
					damages = dirDamages
				case !f.file:
					damages = append(slices.Clone(fileDamages), unsafeModes...)
				}
				for i, d := range damages {
					if n++; left(n, 150) {
						continue
					}
					t.Run(place+"/"+d.name, func(t *testing.T) {
						out := filepath.Join(t.TempDir(), f.name)
						copyTree(t, good, out)
						c := repairCase{form: f, damage: d, place: place, out: out, want: want, args: w.pull(f.prefix + out)}
						if i%4 == 3 && f.name != platforms.name { // both write with the same code
							c.args = slices.Concat([]string{"unpack", bundle}, w.pull(f.prefix + out)[7:])
						}
						c.test(t)
					})
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := w.downloads.Load(); n != 4 {
			t.Errorf("%d downloads of 4 files", n)
		}
	})
}

// repairCase is one damage in one place of one output.
type repairCase struct {
	form   form
	damage damage
	place  string
	out    string
	want   map[string]entry
	args   []string
}

func (c repairCase) test(t *testing.T) {
	path := filepath.Join(c.out, filepath.FromSlash(c.place))
	outside := c.damage.do(t, path)
	var outsideWas map[string]entry
	if outside != "" {
		outsideWas = snapshot(t, outside)
	}
	damaged := snapshotDamaged(t, c.out)
	unreadable := false // what may be in it?
	if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
		_, err := os.ReadFile(path)
		unreadable = c.form.file && errors.Is(err, fs.ErrPermission)
	}
	o := run(t, c.args...)
	switch {
	case c.refused() || unreadable:
		if o.code != 2 || !strings.Contains(o.stderr, "\nhint: ") {
			t.Errorf("exit code %d, want a refusal with a hint\n%s", o.code, o.stderr)
		}
		sameTree(t, snapshotDamaged(t, c.out), damaged)
	case o.code != 0:
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	case c.left():
		if !strings.Contains(o.stderr, c.place+" was not written by botkube-mirror, and stays as it is") {
			t.Errorf("it was not told of\n%s", o.stderr)
		}
		sameTree(t, snapshotDamaged(t, c.out), damaged)
	default:
		c.wantMended(t, o)
	}
	if outside != "" && !strings.HasPrefix(outside, c.out) {
		sameTree(t, snapshot(t, outside), outsideWas)
	}
}

// refused reports whether it is right to leave the damage to the user.
func (c repairCase) refused() bool {
	return c.form.file && c.damage.refused || c.damage.displaced && slices.Contains(c.form.refuses, c.place) ||
		c.form.name == "layout" && c.damage.name == besideIt // which has nothing but blobs
}

// left reports whether it is right to leave what is there: a link may lead to a page of others.
func (c repairCase) left() bool {
	return c.form.name == "site" && c.place == "index.html" && strings.HasPrefix(c.damage.name, "link to ")
}

func (c repairCase) wantMended(t *testing.T, o outcome) {
	t.Helper()
	got := snapshot(t, c.out)
	displaced := takeDisplaced(got)
	if c.damage.name == besideIt {
		maps.DeleteFunc(got, func(p string, _ entry) bool {
			return p == c.place+".moved" || strings.HasPrefix(p, c.place+".moved/")
		})
	}
	if c.form.file && got["."].mode&fs.ModeSymlink != 0 {
		// A file that the user named as a link stays one.
		real, err := filepath.EvalSymlinks(c.out)
		check(t, err)
		got = snapshot(t, real)
	}
	sameTree(t, got, c.want)
	told := strings.Contains(o.stderr, "moved "+filepath.Join(c.out, c.place)+" out of the way: now at "+c.out)
	if want := c.damage.displaced; (len(displaced) == 1) != want || told != want {
		t.Errorf("displaced is %q, and it was told of: %t; want both: %t\n%s", displaced, told, want, o.stderr)
	}
}

// snapshotDamaged is snapshot where the output may be anything.
func snapshotDamaged(t *testing.T, path string) map[string]entry {
	t.Helper()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return snapshot(t, path)
}

// copyTree copies what lies at a path, with everything that can be said of it.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestRepairStore damages every kind of thing in a store in every way, and
// wants the next run to make a right output of it, and a right store.
func TestRepairStore(t *testing.T) {
	w := newReference(t)
	good := filepath.Join(w.good, "plugins")
	wantOut := snapshot(t, good)
	// Whatever is remembered of other outputs would differ.
	check(t, os.RemoveAll(filepath.Join(w.store, "roots")))
	w.wantPulled(t, good)
	want := snapshot(t, w.store)
	pristine := w.store
	seen := map[string]int{}
	n := 0
	for _, place := range slices.Sorted(maps.Keys(want)) {
		damages := fileDamages
		if want[place].mode.IsDir() {
			damages = dirDamages
		}
		kind := filepath.Dir(place)
		// Of the blobs, each: what is a plugin, a dependency, an index is not the same.
		if seen[kind]++; place == "." || seen[kind] > 1 && (kind == "urls" || kind == "derived" || kind == "indexes") {
			continue
		}
		for _, d := range damages {
			if n++; left(n, 150) {
				continue
			}
			t.Run(place+"/"+d.name, func(t *testing.T) {
				t.Parallel()
				store := filepath.Join(t.TempDir(), "store")
				copyTree(t, pristine, store)
				outside := d.do(t, filepath.Join(store, filepath.FromSlash(place)))
				var outsideWas map[string]entry
				if outside != "" {
					outsideWas = snapshot(t, outside)
				}
				fresh := filepath.Join(t.TempDir(), "plugins")
				args := w.pull(fresh)
				args[2] = store
				wantSuccess(t, run(t, args...))
				sameTree(t, snapshot(t, fresh), wantOut)
				if outside != "" && !strings.HasPrefix(outside, store) {
					sameTree(t, snapshot(t, outside), outsideWas)
				}
				wantGoodStore(t, store)
				if !strings.HasPrefix(place, "roots/") {
					wantSuccess(t, run(t, "prune", "--store", store))
					return
				}
				// What is noted of another output is not known any more, if it
				// is there at all: the run says what to do, and that helps.
				o := run(t, "prune", "--store", store)
				if o.code != 0 {
					if o.code != 4 || !strings.Contains(o.stderr, filepath.Join(store, place)) || !strings.Contains(o.stderr, "\nhint: remove these files") {
						t.Errorf("exit code %d\n%s", o.code, o.stderr)
					}
					remove(t, filepath.Join(store, place))
					wantSuccess(t, run(t, "prune", "--store", store))
				}
			})
		}
	}
}

// wantGoodStore wants every blob to be what its name says, and nothing left of
// the run.
func wantGoodStore(t *testing.T, store string) {
	t.Helper()
	for p, e := range snapshot(t, store) {
		switch dir, name := filepath.Split(p); dir {
		case "blobs/sha256/":
			if e.mode != 0o644 || lock.Sum([]byte(e.content)).String() != name {
				t.Errorf("%s has mode %v, and the sha256 %s", p, e.mode, lock.Sum([]byte(e.content)))
			}
		case "ingest/":
			t.Errorf("%s is left over", p)
		}
	}
}

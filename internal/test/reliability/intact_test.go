//go:build linux

package reliability

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/reliability/powercut"
)

// scene is a directory that has everything that runs of the program write:
//
//	out/       outputs: dir, bundle.tar, oci, image.tar, site
//	store/     the store
//	home/      HOME, which stays as it is
//	tmp/       TMPDIR, which stays empty
type scene struct{ root string }

func newScene(t testing.TB) scene {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	w := scene{root}
	w.clear(t)
	return w
}

// clear makes it a place where nothing was written yet.
func (w scene) clear(t testing.TB) {
	t.Helper()
	w.restore(t, bare())
}

func bare() powercut.Image {
	return powercut.Image{"home": {Mode: os.ModeDir | 0o755}, "tmp": {Mode: os.ModeDir | 0o755}}
}

// withBundle returns an image with the bundle of another one in home, to be read.
func withBundle(image, from powercut.Image) powercut.Image {
	with := bare()
	maps.Copy(with, image)
	with["home/bundle.tar"] = from["out/bundle.tar"]
	return with
}

func (w scene) restore(t testing.TB, image powercut.Image) {
	t.Helper()
	check(t, image.Write(w.root))
}

func (w scene) read(t testing.TB) powercut.Image {
	t.Helper()
	image, err := powercut.Read(w.root)
	check(t, err)
	return image
}

func (w scene) path(p string) string { return filepath.Join(w.root, filepath.FromSlash(p)) }

// command returns the program with arguments, and the store of the place.
func (w scene) command(args ...string) *exec.Cmd {
	c := exec.Command(product, append(args, "--store", w.path("store"), "--quiet")...)
	c.Dir = w.path("home")
	c.Env = []string{"HOME=" + c.Dir, "TMPDIR=" + w.path("tmp"), "PATH=" + os.Getenv("PATH")}
	return c
}

// outputs are arguments for one output of every form.
func (w scene) outputs() []string {
	return []string{
		"-o", w.path("out/dir"), "-o", w.path("out/bundle.tar"), "-o", "oci:" + w.path("out/oci"),
		"-o", "image:" + w.path("out/image.tar"), "-o", "site:" + w.path("out/site"),
		"--base-url", "https://mirror.example.com/botkube", "--seeder", "none",
	}
}

// runAgain runs the program to a good end, and returns what there is then.
func (w scene) runAgain(t testing.TB, when string, args []string) powercut.Image {
	t.Helper()
	if o := finish(t, w.command(args...)); o.code != 0 {
		t.Errorf("%s: the next run ends with %d:\n%s", when, o.code, o.stderr)
	}
	return w.read(t)
}

// dropDownloads takes out of an image the beginnings of downloads that a run has
// left in the store, and complains if prune would not.
func (w scene) dropDownloads(t testing.TB, when string, image powercut.Image) {
	t.Helper()
	left := false
	for p := range image {
		if strings.HasPrefix(p, "store/ingest/") {
			delete(image, p)
			left = true
		}
	}
	if !left {
		return
	}
	o := finish(t, w.command("prune"))
	if entries, err := os.ReadDir(w.path("store/ingest")); err != nil || len(entries) > 0 || o.code != 0 {
		t.Errorf("%s: prune leaves %v in the store, %v:\n%s", when, entries, err, o.stderr)
	}
}

// change is what a run makes of a place.
type change struct{ before, after powercut.Image }

// reading is how one form of output is to be read.
type reading struct {
	// index matches the files that say what is there, payload what they name.
	index, payload *pattern
}

// pattern is matched with the same few paths thousands of times.
type pattern struct {
	*regexp.Regexp
	known sync.Map
}

func newPattern(text string) *pattern { return &pattern{Regexp: regexp.MustCompile(text)} }

// MatchString is that of a regular expression, which remembers.
func (p *pattern) MatchString(s string) bool {
	if found, ok := p.known.Load(s); ok {
		return found.(bool)
	}
	found := p.Regexp.MatchString(s)
	p.known.Store(s, found)
	return found
}

var readings = []reading{
	{newPattern(`^out/dir/[^/]+\.yaml$`), newPattern(`^out/dir/[^./][^/]*/.`)},
	{newPattern(`^out/oci/index\.json$`), newPattern(`^out/oci/(oci-layout$|blobs/)`)},
	{newPattern(`^out/site/[^/]+/[^/]+/plugins-index\.yaml$`), newPattern(`^out/site/files/`)},
	{newPattern(`^out/[^./][^/]*\.tar$`), newPattern(`^$`)},
}

var (
	// onTheWay matches what a run needs for itself, and the next one sweeps.
	onTheWay = newPattern(`^out/(dir|site)/\.botkube-mirror/staging/|^out/(oci/)?\.botkube-mirror-tmp-[^/]*$|^out/\.[^/]+\.tar\.(lock|tmp-[^/]*)$|^store/ingest/|^tmp/botkube-mirror-[^/]*$`)
	// forgettable matches what may be damaged by a power cut.
	forgettable = newPattern(`^store/(urls|derived|indexes)/`)
	aBlob       = regexp.MustCompile(`^store/blobs/sha256/([0-9a-f]{64})$`)
	// superseded is written more than once by a run.
	superseded = newPattern(`/\.botkube-mirror/superseded$`)
)

// broken says what is wrong with what an interrupted run left: every output
// must be the old one or the new one for who reads it, and every file that has
// its final name must be whole.
func (c change) broken(left powercut.Image) []string {
	var wrong []string
	for _, f := range readings {
		for _, p := range c.paths(f.index) {
			if why := c.brokenIndex(left, f, p); why != "" {
				wrong = append(wrong, why)
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(left)) {
		if !left[p].Mode.IsDir() && !c.isWhole(p, left[p]) {
			wrong = append(wrong, fmt.Sprintf("%s has %d bytes that are neither of before nor of after", p, len(left[p].Data)))
		}
	}
	return wrong
}

// paths returns those of before and after that match.
func (c change) paths(re *pattern) []string {
	var found []string
	for _, image := range []powercut.Image{c.before, c.after} {
		for p := range image {
			if re.MatchString(p) {
				found = append(found, p)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (c change) brokenIndex(left powercut.Image, f reading, index string) string {
	isOld, isNew := same(left, c.before, index), same(left, c.after, index)
	if !isOld && !isNew {
		return index + " is neither the old one nor the new one"
	}
	if _, ok := left[index]; !ok {
		return ""
	}
	if isNew {
		missing := lacking(left, c.after, f.payload)
		if missing == "" {
			return ""
		}
		if !isOld {
			return fmt.Sprintf("%s is the new one, but not all that it names is there and right: %s", index, missing)
		}
	}
	if missing := lacking(left, c.before, f.payload); missing != "" {
		return fmt.Sprintf("%s is the old one, but not all that it names is there and right: %s", index, missing)
	}
	return ""
}

// same reports whether two images agree about a path, where neither may have
// anything.
func same(a, b powercut.Image, p string) bool {
	fa, inA := a[p]
	fb, inB := b[p]
	return inA == inB && fa.Mode == fb.Mode && bytes.Equal(fa.Data, fb.Data)
}

// lacking returns the first matching path of wanted at which something else is left.
func lacking(left, wanted powercut.Image, payload *pattern) string {
	for _, p := range slices.Sorted(maps.Keys(wanted)) {
		if payload.MatchString(p) && !same(left, wanted, p) {
			return p
		}
	}
	return ""
}

func (c change) isWhole(p string, f powercut.File) bool {
	if onTheWay.MatchString(p) || forgettable.MatchString(p) {
		return true
	}
	if superseded.MatchString(p) {
		return bytes.HasSuffix(f.Data, []byte("\n"))
	}
	left := powercut.Image{p: f}
	if same(left, c.before, p) || same(left, c.after, p) {
		return true
	}
	// A blob that was there only in between is one all the same.
	sum := sha256.Sum256(f.Data)
	m := aBlob.FindStringSubmatch(p)
	return m != nil && m[1] == hex.EncodeToString(sum[:])
}

// lost says what of the outcome is not there. A run that ended well has made
// everything durable but what may be forgotten.
func (c change) lost(left powercut.Image) []string {
	var wrong []string
	for _, p := range slices.Sorted(maps.Keys(c.after)) {
		if !same(left, c.after, p) && !forgettable.MatchString(p) {
			wrong = append(wrong, p+" is not durable although the run ended well")
		}
	}
	return wrong
}

// differences lists the paths at which an image is not what is wanted. What was
// seen when does not count. After a power cut, before is what was there in the
// beginning: then a record that may be forgotten may be missing, damaged or an
// earlier one.
func differences(got, want, before powercut.Image) []string {
	got, want, before = timeless(got), timeless(want), timeless(before)
	var wrong []string
	for _, p := range slices.Sorted(maps.Keys(got)) {
		switch w, ok := want[p]; {
		case before != nil && forgettable.MatchString(p) && (same(got, before, p) || !json.Valid(got[p].Data)):
		case !ok:
			wrong = append(wrong, p+" was left over")
		case w.Mode != got[p].Mode:
			wrong = append(wrong, fmt.Sprintf("%s has the mode %v, not %v", p, got[p].Mode, w.Mode))
		case !same(got, want, p):
			wrong = append(wrong, fmt.Sprintf("%s has other content: %d bytes, %d are wanted", p, len(got[p].Data), len(w.Data)))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[p]; !ok && (before == nil || !forgettable.MatchString(p)) {
			wrong = append(wrong, p+" is missing")
		}
	}
	return wrong
}

// timeless returns an image without the times in the store's records of URLs and indexes.
func timeless(image powercut.Image) powercut.Image {
	image = maps.Clone(image)
	for p, f := range image {
		var record struct {
			Key, Blob string
			Value     map[string]any
		}
		if dir := path.Dir(p); dir != "store/urls" && dir != "store/indexes" || json.Unmarshal(f.Data, &record) != nil {
			continue
		}
		delete(record.Value, "seen")
		f.Data, _ = json.Marshal(record) // what was JSON can be written as such
		image[p] = f
	}
	return image
}

// complain fails a test for what is wrong, of which it tells the first few.
func complain(t testing.TB, when string, wrong []string) {
	t.Helper()
	if len(wrong) == 0 {
		return
	}
	if n := len(wrong); n > 8 {
		wrong = append(wrong[:8:8], fmt.Sprintf("and %d more", n-8))
	}
	t.Errorf("%s:\n\t%s", when, strings.Join(wrong, "\n\t"))
}

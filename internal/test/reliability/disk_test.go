//go:build linux

package reliability

import (
	"bytes"
	"crypto/sha256"
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
	"sync"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// chunk is the size of each file of an upstream here: the disks of these tests
// are so many chunks large.
const chunk = 256 << 10

// requireRoot skips a test that mounts, unless it must not be skipped.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		tier.Missing(t, "only root can mount a small disk")
	}
}

// smallDisk mounts a file system of a size.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	requireRoot(t)
	dir := filepath.Join(t.TempDir(), "disk")
	check(t, os.Mkdir(dir, 0o755))
	check(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size)))
	// Detached at once, however many processes were just born with a file of it open.
	t.Cleanup(func() { check(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// resizeDisk gives a file system another size.
func resizeDisk(t *testing.T, dir string, size int) {
	t.Helper()
	check(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)))
}

// lockDisk makes a file system read-only.
func lockDisk(t *testing.T, dir string) {
	t.Helper()
	check(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
}

// diskUpstream serves three plugins with a dependency each. If it is blind, it
// does not tell how large they are, so that no run can know that a disk is too small.
type diskUpstream struct {
	// repository is the flag's value.
	repository string
	mu         sync.Mutex
	gets       int // of artifacts
}

func serveDiskUpstream(t *testing.T, blind bool) *diskUpstream {
	t.Helper()
	dir := t.TempDir()
	writeUpstream(t, dir, 3, chunk)
	u := new(diskUpstream)
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && isDownload(r.URL.Path) {
			u.mu.Lock()
			u.gets++
			u.mu.Unlock()
		}
		if blind {
			r.Header.Del("Range")
			w = blindWriter{w}
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	u.repository = "demo=" + server.URL + "/plugins-index.yaml"
	return u
}

// isDownload tells artifacts from the index and from checksum files, which are not there.
func isDownload(path string) bool {
	return !strings.HasSuffix(path, ".yaml") && !strings.Contains(path, "sha256") && !strings.Contains(path, "checksums")
}

func (u *diskUpstream) downloads() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.gets
}

// blindWriter sends no length.
type blindWriter struct{ http.ResponseWriter }

func (w blindWriter) WriteHeader(code int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(code)
}

// diskForm is a form of output, in a directory.
type diskForm struct{ name, target string }

var diskForms = []diskForm{
	{"dir", "dir:%s/plugins"},
	{"tar", "oci-archive:%s/bundle.tar"},
	{"layout", "oci:%s/bundle"},
	{"image", "image:%s/image.tar"},
	{"site", "site:%s/site"},
}

// args are the flags that write the form to a directory.
func (f diskForm) args(dir string) []string {
	args := []string{"--output", fmt.Sprintf(f.target, dir)}
	if f.name == "site" {
		args = append(args, "--base-url", "http://mirror.example.com")
	}
	if f.name == "image" {
		args = append(args, "--seeder", "none")
	}
	return args
}

// filesBelow returns the mode and the digest of every file below a directory.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = fmt.Sprintf("%s %x", fi.Mode(), sha256.Sum256(data))
		return err
	}))
	return files
}

// checkContains reports a file that is not there any longer, or is another.
func checkContains(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, digest := range want {
		if got[name] != digest {
			t.Errorf("%s was %s, and is %q", name, digest, got[name])
		}
	}
}

// checkNoLeftovers reports files that have no business to be there after a run.
func checkNoLeftovers(t *testing.T, dir string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(filesBelow(t, dir))) {
		base := filepath.Base(name)
		if strings.Contains(name, "staging/") || strings.Contains(base, "tmp-") || strings.HasSuffix(base, ".lock") || strings.HasPrefix(base, "botkube-mirror-") {
			t.Errorf("the run left %s", name)
		}
	}
}

func checkCode(t *testing.T, got outcome, code int) {
	t.Helper()
	if got.code != code {
		t.Fatalf("exit code %d, not %d\n%s%s", got.code, code, got.stdout, got.stderr)
	}
}

// checkExplained reports a message that lacks something.
func checkExplained(t *testing.T, got outcome, parts ...string) {
	t.Helper()
	for _, part := range append(parts, "hint: ") {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("the message lacks %q:\n%s", part, got.stderr)
		}
	}
}

// with returns arguments and more.
func with(args []string, more ...string) []string { return slices.Concat(args, more) }

// TestDiskFullUnderStore has the disk of the store become full while files come
// whose sizes nobody knew. What came as a whole is kept for the next run; the rest
// of what may have no end is not.
func TestDiskFullUnderStore(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	disk := smallDisk(t, 4*chunk)
	u := serveDiskUpstream(t, true)
	out := t.TempDir()
	first := filepath.Join(disk, "first")
	checkCode(t, run(t, with(diskForms[0].args(out), "pull", "--repository", u.repository, "--store", first, "--parallel", "1")...), 1)
	for name := range filesBelow(t, filepath.Join(first, "ingest")) {
		if strings.HasSuffix(name, ".part") {
			t.Errorf("the store keeps ingest/%s", name)
		}
	}
	check(t, os.RemoveAll(first))
	for _, form := range diskForms {
		pull := with(form.args(out), "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"))
		for range 2 {
			got := run(t, pull...)
			checkCode(t, got, 1)
			checkExplained(t, got, disk, "no space left on device", "free some space, or name a store on another disk with --store")
		}
		for name := range filesBelow(t, out) {
			if base := filepath.Base(name); strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".tar") || base == "index.json" {
				t.Errorf("%s: a run that did not come to its end wrote %s", form.name, name)
			}
		}
		checkNoLeftovers(t, out)
	}
	// To go on makes no sense here: no other file fits either.
	got := run(t, with(diskForms[0].args(out), "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"), "--keep-going")...)
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "no space left on device", "--store")
	resizeDisk(t, disk, 20*chunk)
	checkCode(t, run(t, with(diskForms[0].args(out), "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"))...), 0)
	checkNoLeftovers(t, disk)
	for name := range filesBelow(t, filepath.Join(disk, "store", "ingest")) {
		t.Errorf("the store keeps ingest/%s", name)
	}
}

// TestDiskFullUnderOutput has the disk of an output become full while it is
// written. What was there before stays as it is.
func TestDiskFullUnderOutput(t *testing.T) {
	t.Parallel()
	u := serveDiskUpstream(t, true)
	for _, form := range diskForms {
		t.Run(form.name, func(t *testing.T) {
			// Two chunks lie there already, and all takes six of them.
			disk, store := smallDisk(t, 5*chunk), t.TempDir()
			pull := with(form.args(disk), "pull", "--repository", u.repository, "--store", store)
			checkCode(t, run(t, with(pull, "--plugin", "demo/p00")...), 0)
			before := filesBelow(t, disk)

			got := run(t, pull...)
			checkCode(t, got, 1)
			checkExplained(t, got, disk, "no space left on device", "free some space")
			checkContains(t, filesBelow(t, disk), before)
			checkNoLeftovers(t, disk)

			resizeDisk(t, disk, 20*chunk)
			checkCode(t, run(t, pull...), 0)
			want := freshOutput(t, form, "--repository", u.repository, "--store", store)
			if form.name == "site" {
				maps.Copy(want, before) // its versions lie side by side, and the page lists both
				want["site/index.html"] = filesBelow(t, disk)["site/index.html"]
			}
			checkFiles(t, disk, want)
		})
	}
}

// freshOutput returns the files that a pull writes to an empty place.
func freshOutput(t *testing.T, form diskForm, pull ...string) map[string]string {
	t.Helper()
	fresh := t.TempDir()
	checkCode(t, run(t, with(form.args(fresh), with([]string{"pull"}, pull...)...)...), 0)
	return filesBelow(t, fresh)
}

// checkFiles compares all files below a directory with what they should be.
func checkFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := filesBelow(t, dir)
	checkContains(t, got, want)
	for name := range got {
		if want[name] == "" {
			t.Errorf("%s holds %s", dir, name)
		}
	}
}

// TestDiskFullUnderUnpack has the disk become full while archives are unpacked
// that were never unpacked before: only they know how much is in them.
func TestDiskFullUnderUnpack(t *testing.T) {
	tier.SkipUnlessThorough(t)
	upstream, dir := t.TempDir(), t.TempDir()
	name := "executor_zeros_linux_amd64"
	writeFile(t, filepath.Join(upstream, "zeros.tar.gz"), pack(t, name, make([]byte, 8*chunk)))
	writeFile(t, filepath.Join(upstream, "plugins-index.yaml"), []byte("entries:\n  - {name: zeros, type: executor, version: v1, urls: [{url: zeros.tar.gz, platform: {os: linux, architecture: amd64}}]}\n"))
	bundle := filepath.Join(dir, "bundle.tar")
	checkCode(t, run(t, "pull", "--repository", "demo="+filepath.Join(upstream, "plugins-index.yaml"), "--store", filepath.Join(dir, "store"), "-o", bundle), 0)
	disk := smallDisk(t, 4*chunk)
	unpack := []string{"unpack", bundle, "-o", filepath.Join(disk, "plugins")}
	got := run(t, unpack...)
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "no space left on device", "free some space")
	checkNoLeftovers(t, disk)
	if _, err := os.Stat(filepath.Join(disk, "plugins", "demo.yaml")); err == nil {
		t.Error("there is an index, which would make the directory a complete one")
	}
	resizeDisk(t, disk, 20*chunk)
	checkCode(t, run(t, unpack...), 0)
	fresh := t.TempDir()
	checkCode(t, run(t, "unpack", bundle, "-o", filepath.Join(fresh, "plugins")), 0)
	checkFiles(t, disk, filesBelow(t, fresh))
}

// TestDiskFullUnderTemporaryFiles has the directory for temporary files become
// full, where layers of an image wait, and what comes from a pipe.
func TestDiskFullUnderTemporaryFiles(t *testing.T) {
	u := serveDiskUpstream(t, true)
	disk, dir := smallDisk(t, chunk/2), t.TempDir()
	image := filepath.Join(dir, "image.tar")
	pull := []string{"pull", "--repository", u.repository, "--store", filepath.Join(dir, "store"), "--seeder", "none", "-o", "image:" + image}
	writeFile(t, image, nil)

	c := command(t, pull...)
	c.Env = append(c.Env, "TMPDIR="+disk)
	got := finish(t, c)
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "no space left on device", "TMPDIR")
	if fi, err := os.Stat(image); err != nil || fi.Size() != 0 {
		t.Errorf("what was there was touched: %v, %v", fi, err)
	}
	checkEmpty(t, disk)
	checkNoLeftovers(t, dir)
	checkCode(t, run(t, pull...), 0)

	bundle := filepath.Join(dir, "bundle.tar")
	checkCode(t, run(t, "pull", "--repository", u.repository, "--store", filepath.Join(dir, "store"), "-o", bundle), 0)
	c = command(t, "unpack", "-", "-o", filepath.Join(dir, "plugins"))
	c.Env = append(c.Env, "TMPDIR="+disk)
	c.Stdin = pipeOf(t, bundle)
	got = finish(t, c)
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "no space left on device", "TMPDIR", "< bundle.tar")
	checkEmpty(t, disk)
	if _, err := os.Stat(filepath.Join(dir, "plugins")); err == nil {
		t.Error("a directory was made for nothing")
	}
}

// pipeOf gives a file's content to a program that cannot seek in it.
func pipeOf(t *testing.T, file string) *bytes.Reader {
	t.Helper()
	data, err := os.ReadFile(file)
	check(t, err)
	return bytes.NewReader(data)
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		t.Errorf("%s is left in %s", e.Name(), dir)
	}
}

// TestTooLittleRoom has runs know beforehand that a disk is too small: they ask for a few
// files at most, and write nothing.
func TestTooLittleRoom(t *testing.T) {
	t.Parallel()
	u := serveDiskUpstream(t, false)
	for _, form := range diskForms {
		t.Run(form.name, func(t *testing.T) {
			disk, dir := smallDisk(t, 3*chunk), t.TempDir()
			store := filepath.Join(dir, "store")
			checkNoFiles := func(store string) {
				t.Helper()
				// The index, which is small, is in the store.
				for _, pattern := range []string{"blobs/sha256/*", "ingest/*.part"} {
					files, err := filepath.Glob(filepath.Join(store, pattern))
					check(t, err)
					for _, file := range files {
						if fi, err := os.Stat(file); err != nil || fi.Size() >= chunk/2 {
							t.Errorf("%s was downloaded (%v)", file, err)
						}
					}
				}
			}
			pull := with(form.args(disk), "pull", "--repository", u.repository, "--store", store)
			got := run(t, pull...)
			checkCode(t, got, 1)
			checkExplained(t, got, "not enough space on the disk: the output "+disk, "MiB needed, 768 KiB free", "free some space, or use an output on another disk")
			checkNoFiles(store)
			checkEmpty(t, disk)

			// The store has too little, too.
			got = run(t, with(form.args(filepath.Join(dir, "out")), "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"))...)
			checkCode(t, got, 1)
			checkExplained(t, got, "not enough space on the disk: the store "+disk, "1.5 MiB needed, 7", "--store")
			checkNoFiles(filepath.Join(disk, "store"))

			// A bundle tells how large it is, too.
			bundle := filepath.Join(dir, "bundle.tar")
			checkCode(t, run(t, "pull", "--repository", u.repository, "--store", store, "-o", bundle), 0)
			check(t, os.RemoveAll(filepath.Join(disk, "store")))
			got = run(t, with([]string{"unpack", bundle}, form.args(disk)...)...)
			checkCode(t, got, 1)
			checkExplained(t, got, "not enough space on the disk: the output "+disk, "MiB needed, 768 KiB free")
			checkEmpty(t, disk)
		})
	}
}

// TestTooLittleRoomForTemporaryFiles knows about how much of an image waits.
func TestTooLittleRoomForTemporaryFiles(t *testing.T) {
	u := serveDiskUpstream(t, false)
	disk, dir := smallDisk(t, chunk/8), t.TempDir()
	bundle := filepath.Join(dir, "bundle.tar")
	store := []string{"--repository", u.repository, "--store", filepath.Join(dir, "store")}
	checkCode(t, run(t, with(store, "pull", "-o", bundle)...), 0)
	for _, args := range [][]string{
		with(store, with(diskForms[3].args(dir), "pull")...),
		with(diskForms[3].args(dir), "unpack", bundle),
		{"push", bundle, "127.0.0.1:1/nobody/is/asked"},
	} {
		c := command(t, args...)
		c.Env = append(c.Env, "TMPDIR="+disk)
		got := finish(t, c)
		checkCode(t, got, 1)
		checkExplained(t, got, "not enough space on the disk: temporary files in "+disk+": at least ", " needed, 32 KiB free", "TMPDIR")
	}
	if _, err := os.Stat(filepath.Join(dir, "image.tar")); err == nil {
		t.Error("there is an image")
	}
}

// TestTooLittleRoomForRegistry reads a bundle in a registry, which comes
// through the store.
func TestTooLittleRoomForRegistry(t *testing.T) {
	tier.SkipUnlessThorough(t)
	disk, dir := smallDisk(t, 2*chunk), t.TempDir()
	registry := registrytest.Start(t, registrytest.Options{})
	u := serveDiskUpstream(t, false)
	bundle := filepath.Join(dir, "bundle.tar")
	checkCode(t, run(t, "pull", "--repository", u.repository, "--store", filepath.Join(dir, "store"), "-o", bundle), 0)
	got := run(t, "push", bundle, registry.Host+"/mirror", "--plain-http", "--skip", "image")
	checkCode(t, got, 0)
	reference, _, _ := strings.Cut(got.stdout, "@")
	reference = reference[strings.LastIndex(reference, registry.Host):]
	for _, args := range [][]string{
		{"unpack", "docker://" + reference, "--plain-http", "-o", filepath.Join(dir, "plugins")},
		{"push", "docker://" + reference, "127.0.0.1:1/nobody/is/asked", "--source-plain-http"},
	} {
		got := run(t, with(args, "--store", filepath.Join(disk, "store"))...)
		checkCode(t, got, 1)
		checkExplained(t, got, "not enough space on the disk: the store "+disk, "1.5 MiB needed, ", "--store")
	}
	if _, err := os.Stat(filepath.Join(dir, "plugins")); err == nil {
		t.Error("there is an output")
	}
}

// TestRoomAddsUp has two places share a disk that has room for either.
func TestRoomAddsUp(t *testing.T) {
	u := serveDiskUpstream(t, false)
	disk, store := smallDisk(t, 8*chunk), t.TempDir()
	one := with(diskForms[0].args(disk), "pull", "--repository", u.repository, "--store", store)
	both := with(diskForms[4].args(disk), one...)
	got := run(t, both...)
	checkCode(t, got, 1)
	checkExplained(t, got, fmt.Sprintf("the output %s/site, the output %s/plugins: ", disk, disk), "3.0 MiB needed, 2.0 MiB free")
	checkCode(t, run(t, one...), 0)
}

// TestRoomForBoth replaces a bundle, which takes room for the old and the new
// one. The same bundle is not written again, and takes none.
func TestRoomForBoth(t *testing.T) {
	u := serveDiskUpstream(t, false)
	disk, store := smallDisk(t, 3*chunk), t.TempDir()
	pull := with(diskForms[1].args(disk), "pull", "--repository", u.repository, "--store", store, "--plugin")
	checkCode(t, run(t, with(pull, "demo/p00")...), 0)
	before := filesBelow(t, disk)
	checkCode(t, run(t, with(pull, "demo/p00")...), 0)
	got := run(t, with(pull, "demo/p01")...)
	checkCode(t, got, 1)
	checkExplained(t, got, "not enough space on the disk: the output "+disk)
	checkFiles(t, disk, before)
}

// TestNoInodes writes to a disk that has room, but for no further file.
func TestNoInodes(t *testing.T) {
	u := serveDiskUpstream(t, false)
	disk, store := smallDisk(t, 40*chunk), t.TempDir()
	check(t, syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "nr_inodes=1"))
	for _, form := range diskForms {
		got := run(t, with(form.args(disk), "pull", "--repository", u.repository, "--store", store)...)
		checkCode(t, got, 1)
		checkExplained(t, got, disk, "no space left on device", "free some space")
	}
	got := run(t, with(diskForms[0].args(t.TempDir()), "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"))...)
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "no space left on device", "--store")
}

// TestHugeUpstream needs no small disk: no disk is large enough.
func TestHugeUpstream(t *testing.T) {
	var mu sync.Mutex
	var gets []string
	index := "entries:\n  - {name: huge, type: executor, version: v1, urls: [{url: huge, platform: {os: linux, architecture: amd64}}]}\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/plugins-index.yaml":
			fmt.Fprint(w, index)
		case r.URL.Path != "/huge":
			http.NotFound(w, r)
		case r.Method == http.MethodHead:
			w.Header().Set("Content-Length", fmt.Sprint(1<<60))
		default:
			mu.Lock()
			defer mu.Unlock()
			gets = append(gets, r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	pull := []string{"pull", "--repository", "demo=" + server.URL + "/plugins-index.yaml", "--store", filepath.Join(dir, "store"), "-o", filepath.Join(dir, "plugins")}
	for _, more := range [][]string{nil, {"--dry-run"}} {
		got := run(t, with(pull, more...)...)
		checkCode(t, got, 3)
		checkExplained(t, got, "the file has 1152921504606846976 bytes, more than the limit of 1073741824", "--max-size 1073741824GiB")
	}
	const bound = "--max-size=1073741824GiB"
	pull = append(pull, bound)
	got := run(t, pull...)
	checkCode(t, got, 1)
	checkExplained(t, got, "not enough space on the disk: ", "the store "+dir, "the output "+dir, "EiB needed", "--store")
	got = run(t, "lock", bound, "--repository", "demo="+server.URL+"/plugins-index.yaml", "--store", filepath.Join(dir, "store"), filepath.Join(dir, "lock.json"))
	checkCode(t, got, 1)
	checkExplained(t, got, "not enough space on the disk: the store "+dir, "1.0 EiB needed", "--store")
	got = run(t, with(pull, "--dry-run")...)
	checkCode(t, got, 0)
	if !strings.Contains(got.stdout, "iB, too little\n") {
		t.Errorf("a dry run says nothing of it:\n%s", got.stdout)
	}
	if len(gets) > 0 {
		t.Errorf("downloaded: %v", gets)
	}
}

// TestReadOnlySources reads a bundle, a layout and a cache directory from media
// that cannot be written.
func TestReadOnlySources(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	u := serveDiskUpstream(t, false)
	disk, dir := smallDisk(t, 40*chunk), t.TempDir()
	for _, form := range diskForms {
		checkCode(t, run(t, with(form.args(disk), "pull", "--repository", u.repository, "--store", filepath.Join(dir, "store"))...), 0)
	}
	lockDisk(t, disk)
	want := filesBelow(t, filepath.Join(disk, "plugins"))
	for _, source := range []string{"bundle.tar", "bundle", "plugins"} {
		out := filepath.Join(dir, "of-"+source)
		checkCode(t, run(t, "unpack", filepath.Join(disk, source), "-o", "dir:"+out), 0)
		checkFiles(t, out, want)
	}
	for _, target := range []string{"bundle.tar", "bundle", "plugins", "image.tar", "site"} {
		checkCode(t, run(t, "list", filepath.Join(disk, target)), 0)
	}
}

// TestReadOnlyTargets writes to media that cannot be written. If that is the medium of the store,
// nothing is downloaded. Outputs are opened while downloads begin, so a few files may come.
func TestReadOnlyTargets(t *testing.T) {
	u := serveDiskUpstream(t, false)
	disk, dir := smallDisk(t, 40*chunk), t.TempDir()
	lockDisk(t, disk)
	for _, form := range diskForms {
		got := run(t, with(form.args(disk), "pull", "--repository", u.repository, "--store", filepath.Join(dir, "store"))...)
		checkCode(t, got, 2)
		checkExplained(t, got, disk, "read-only file system")
	}
	before := u.downloads()
	got := run(t, "pull", "--repository", u.repository, "--store", filepath.Join(disk, "store"), "-o", filepath.Join(dir, "plugins"))
	checkCode(t, got, 1)
	checkExplained(t, got, disk, "read-only file system", "--store")
	if n := u.downloads() - before; n > 0 {
		t.Errorf("%d files were downloaded", n)
	}
}

// asNobody has a command run as a user without any rights, where root would get
// around them.
func asNobody(t *testing.T, c *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() == 0 {
		check(t, os.Chmod(filepath.Dir(product), 0o755))
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return c
}

// publicDir returns a directory that everybody can get at.
func publicDir(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "reliability-disk-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	check(t, os.Chmod(dir, mode))
	if mode&0o200 != 0 && os.Geteuid() == 0 {
		check(t, os.Chown(dir, 65534, 65534))
	}
	return dir
}

// TestReadOnlyDirectories is about directories that a user may read only.
func TestReadOnlyDirectories(t *testing.T) {
	u := serveDiskUpstream(t, false)
	closed, open := publicDir(t, 0o555), publicDir(t, 0o755)
	for _, form := range diskForms {
		c := command(t, with(form.args(closed), "pull", "--repository", u.repository, "--store", filepath.Join(open, "store"))...)
		c.Dir, c.Env = open, append(c.Env, "HOME="+closed)
		got := finish(t, asNobody(t, c))
		checkCode(t, got, 2)
		checkExplained(t, got, closed, "permission denied", "that you can write to")
	}
	before := u.downloads() // the runs above may have begun some
	c := command(t, "pull", "--repository", u.repository, "--store", filepath.Join(closed, "store"), "-o", filepath.Join(open, "plugins"))
	c.Dir, c.Env = open, append(c.Env, "HOME="+closed)
	got := finish(t, asNobody(t, c))
	checkCode(t, got, 1)
	checkExplained(t, got, closed, "permission denied", "--store")
	checkEmpty(t, closed)
	if n := u.downloads() - before; n > 0 {
		t.Errorf("%d files were downloaded", n)
	}
}

// TestNothingElsewhere runs everything with nothing but the store, the output
// and TMPDIR to write to: the home and the working directory are read-only.
func TestNothingElsewhere(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	u := serveDiskUpstream(t, false)
	closed, store, out, temp := publicDir(t, 0o555), publicDir(t, 0o755), publicDir(t, 0o755), publicDir(t, 0o755)
	nobody := func(temp string, args ...string) outcome {
		c := command(t, args...)
		c.Dir, c.Env = closed, append(c.Env, "HOME="+closed, "TMPDIR="+temp)
		return finish(t, asNobody(t, c))
	}
	for _, form := range diskForms {
		use := temp
		if form.name != "image" {
			use = filepath.Join(closed, "absent") // it needs no temporary files
		}
		checkCode(t, nobody(use, with(form.args(out), "pull", "--repository", u.repository, "--store", filepath.Join(store, "s"))...), 0)
		checkCode(t, nobody(use, with(form.args(filepath.Join(out, "unpacked")), "unpack", tarOf(out, form))...), 0)
	}
	got := nobody(filepath.Join(closed, "absent"), with(diskForms[3].args(filepath.Join(out, "none")), "pull", "--repository", u.repository, "--store", filepath.Join(store, "s"))...)
	checkCode(t, got, 1)
	checkExplained(t, got, filepath.Join(closed, "absent"), "TMPDIR")
	checkEmpty(t, closed)
	checkEmpty(t, temp)
}

// tarOf returns what to unpack: a bundle once there is one, else the directory.
func tarOf(dir string, form diskForm) string {
	if form.name == "dir" {
		return filepath.Join(dir, "plugins")
	}
	return filepath.Join(dir, "bundle.tar")
}

// TestSeveralDisks has the store, each output and temporary files on disks of
// their own: a file can only be renamed within one.
func TestSeveralDisks(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	u := serveDiskUpstream(t, false)
	store, temp := smallDisk(t, 20*chunk), smallDisk(t, 20*chunk)
	for _, form := range diskForms {
		out := smallDisk(t, 20*chunk)
		c := command(t, with(form.args(out), "pull", "--repository", u.repository, "--store", filepath.Join(store, "s"))...)
		c.Env = append(c.Env, "TMPDIR="+temp)
		checkCode(t, finish(t, c), 0)
		checkNoLeftovers(t, out)
		checkFiles(t, out, freshOutput(t, form, "--repository", u.repository, "--store", filepath.Join(store, "s")))
	}
	checkEmpty(t, temp)
}

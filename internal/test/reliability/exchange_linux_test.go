package reliability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
	"golang.org/x/sys/unix"
)

// exchanged is a directory that is written or read while those in it are exchanged
// for links.
type exchanged struct {
	form
	// dirs are exchanged, each for a link to a directory that looks like it.
	dirs []string
	// commands are tried one after another, each on a directory as a run left it of
	// which files are damaged. Of them, {} is the directory.
	commands [][]string
}

// exchangedOf returns every form that is a directory, and the store.
func exchangedOf(w *reference) []exchanged {
	bundle := filepath.Join(w.good, "bundle.tar")
	both := func(f form, more ...[]string) [][]string {
		unpack := []string{"unpack", bundle, "-o", f.prefix + "{}"}
		if f.name == "site" {
			unpack = append(unpack, "--base-url", "https://mirror.example.com")
		}
		return append([][]string{w.pull(f.prefix + "{}"), unpack}, more...)
	}
	several := append(w.pull("dir:{}"), "--platform", "linux/amd64", "--platform", "linux/arm64")
	part := append(w.pull("dir:{}"), "--platform", "linux/amd64", "--plugin", "demo/p00")
	dir, site, layout := forms[0], forms[1], forms[3]
	return []exchanged{
		{dir, []string{"demo", "demo/executor_v1.0.0_p00_deps", ".botkube-mirror"}, both(dir, part, []string{"prune", "{}"})},
		{platforms, []string{"linux-amd64", "linux-arm64", "linux-amd64/demo", "linux-arm64/.botkube-mirror", ".botkube-mirror"},
			[][]string{several, part, {"prune", "{}"}, {"verify", "{}"}}},
		{site, []string{"files", "files/*", "v1.0.0", "v1.0.0/demo", ".botkube-mirror"}, both(site, []string{"prune", "{}"})},
		{layout, []string{"blobs", "blobs/sha256"}, both(layout)},
		{form{name: "store"}, []string{"blobs", "blobs/sha256", "ingest", "roots", "derived", "urls", "indexes"},
			[][]string{{"prune", "--store", "{}"}, inStore(w.pull("dir:{}.out")), inStore(append(w.pull("oci-archive:{}.tar"), "--parallel", "1"))}},
	}
}

// inStore has a pull use a store that is attacked.
func inStore(args []string) []string {
	args = slices.Clone(args)
	args[slices.Index(args, "--store")+1] = "{}"
	return args
}

// TestExchangedDirectories exchanges directories of outputs and of the store for
// links, again and again while commands run, and wants nothing to be written, deleted
// or given another mode where the links lead. Nor may a command hang.
func TestExchangedDirectories(t *testing.T) {
	t.Parallel()
	w := newReference(t)
	copyTree(t, w.store, filepath.Join(w.good, "store"))
	for _, x := range exchangedOf(w) {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for range tier.Pick(1, 8) {
				for _, args := range x.commands {
					for _, dir := range x.dirs {
						if n++; !left(n, 24) {
							tryExchanged(t, filepath.Join(w.good, x.name), dir, args, uint64(n))
						}
					}
				}
			}
		})
	}
}

// tryExchanged runs one command on a copy of what is good, the files of which are
// damaged, while one of its directories is exchanged. Others than that would end
// the run before it gets there.
func tryExchanged(t *testing.T, good, dir string, args []string, seed uint64) {
	t.Helper()
	place := t.TempDir()
	attacked := filepath.Join(place, filepath.Base(good))
	copyTree(t, good, attacked)
	spoil(t, attacked, false)
	swaps := plant(t, place, attacked, dir)
	want := snapshot(t, filepath.Join(place, "outside"))
	args = slices.Clone(args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{}", attacked)
	}
	o := runExchanging(t, swaps, seed, args)
	if o.code < 0 || o.code > 5 || strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("%q ended with %d\n%s", args, o.code, o.stderr)
	}
	if sameTree(t, snapshot(t, filepath.Join(place, "outside")), want); t.Failed() {
		t.Fatalf("%q changed what links lead to\n%s%s", args, o.stdout, o.stderr)
	}
}

// spoil damages files, so that there is something to write; of what is outside, all
// of them, so that it would be noticed.
func spoil(t *testing.T, root string, outside bool) {
	t.Helper()
	check(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		document := slices.Contains([]string{"lock.json", "SHA256SUMS", "oci-layout", "index.json"}, d.Name()) || strings.HasSuffix(path, ".yaml")
		if document {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		if data[0] ^= 1; !outside {
			return os.WriteFile(path, data, 0o644)
		}
		return errors.Join(os.WriteFile(path, append(data, "precious"...), 0o600), os.Chmod(path, 0o600))
	}))
}

// swap is a directory, and a link to exchange it for.
type swap struct {
	// dir is the open directory that the attacked one is in, so that links above it
	// do not matter; links has the links.
	dir, links *os.File
	name, link string
	// to is where the link leads.
	to string
}

// plant makes links to copies of a directory, or of all that match, which lie outside.
func plant(t *testing.T, place, attacked, dir string) (swaps []swap) {
	t.Helper()
	check(t, os.Mkdir(filepath.Join(place, "links"), 0o755))
	check(t, os.Mkdir(filepath.Join(place, "outside"), 0o755))
	paths, err := filepath.Glob(filepath.Join(attacked, dir))
	check(t, err)
	if len(paths) == 0 {
		paths = []string{filepath.Join(attacked, dir)} // perhaps it will be there
	}
	for i, path := range paths {
		link := fmt.Sprint(i)
		outside := filepath.Join(place, "outside", link)
		if _, err := os.Stat(path); err == nil {
			copyTree(t, path, outside)
		} else {
			check(t, os.Mkdir(outside, 0o755))
		}
		spoil(t, outside, true)
		writeFile(t, filepath.Join(outside, "staging/1"), []byte("precious"))
		writeFile(t, filepath.Join(outside, ".botkube-mirror-tmp-1"), []byte("precious"))
		check(t, os.Chmod(outside, 0o700))
		check(t, os.Symlink(outside, filepath.Join(place, "links", link)))
		swaps = append(swaps, swap{openDir(t, filepath.Dir(path)), openDir(t, filepath.Join(place, "links")), filepath.Base(path), link, outside})
	}
	return swaps
}

func openDir(t *testing.T, path string) *os.File {
	t.Helper()
	d, err := os.Open(path)
	check(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// runExchanging runs a command, and exchanges as long as it runs.
func runExchanging(t *testing.T, swaps []swap, seed uint64, args []string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := command(t, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	check(t, c.Start())
	over := make(chan error, 1)
	go func() { over <- c.Wait() }()
	var exchanging sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range swaps {
		exchanging.Go(func() { s.exchange(stop, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	var err error
	select {
	case err = <-over:
	case <-ctx.Done():
		_ = c.Process.Kill()
		err = errors.Join(<-over, errors.New("it hung"))
		t.Errorf("%q: %v", args, err)
	}
	close(stop)
	exchanging.Wait()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// exchange exchanges the directory for the link and back until it is to stop. What
// is not there at the time stays.
func (s swap) exchange(stop chan struct{}, random *rand.Rand) {
	for n := 0; ; n++ {
		_ = unix.Renameat2(int(s.dir.Fd()), s.name, int(s.links.Fd()), s.link, unix.RENAME_EXCHANGE)
		if n%2 == 0 {
			s.plantAgain(n)
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(200)) * time.Microsecond):
		}
	}
}

// plantAgain makes another link where the command has moved the first one away or
// replaced it.
func (s swap) plantAgain(n int) {
	isLink := func(dir *os.File, name string) bool {
		var st unix.Stat_t
		return unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK
	}
	if isLink(s.dir, s.name) || isLink(s.links, s.link) {
		return
	}
	links := int(s.links.Fd())
	_ = unix.Renameat(links, s.link, links, fmt.Sprint(s.link, ".", n))
	_ = unix.Symlinkat(s.to, links, s.link)
}

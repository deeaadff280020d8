//go:build unix

package reliability

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// TestOrphans wants a run to sweep what killed ones left in its store and at its
// outputs, and nothing else.
func TestOrphans(t *testing.T) {
	t.Parallel()
	w := newReference(t)
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			good := filepath.Join(w.good, f.name)
			dir := t.TempDir()
			out := filepath.Join(dir, f.name)
			copyTree(t, good, out)
			name := "." + f.name
			var orphans []string
			switch {
			case f.file:
				orphans = []string{name + ".lock", name + ".tmp-ABCDEF"}
			case f.name == "layout":
				orphans = []string{f.name + "/.botkube-mirror-tmp-7", f.name + "/.botkube-mirror-tmp-d/x"}
			default:
				orphans = []string{f.name + "/.botkube-mirror/staging/7", f.name + "/.botkube-mirror/staging/d/x"}
			}
			for _, p := range orphans {
				writeFile(t, filepath.Join(dir, p), []byte("half"))
			}
			// Of another output, whose run may live.
			kept := filepath.Join(dir, ".other.tmp-ABCDEF")
			writeFile(t, kept, []byte("half"))
			o := w.wantPulled(t, f.prefix+out)
			if !strings.Contains(o.stdout, ": already complete, ") {
				t.Errorf("something was written\n%s", o.stdout)
			}
			sameTree(t, snapshot(t, out), snapshot(t, good))
			for _, p := range orphans {
				if _, err := os.Lstat(filepath.Join(dir, p)); err == nil {
					t.Errorf("%s is left", p)
				}
			}
			if _, err := os.Lstat(kept); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("store", func(t *testing.T) {
		ingest := filepath.Join(w.store, "ingest")
		hash := strings.Repeat("ab", 32)
		for _, p := range []string{"tmp-1234-5678", "tmp-5678", "run-1234.lock", hash + ".lock", hash + ".sums", hash + ".json"} {
			writeFile(t, filepath.Join(ingest, p), []byte("half"))
		}
		writeFile(t, filepath.Join(ingest, hash+".part"), nil)
		w.wantPulled(t, filepath.Join(t.TempDir(), "plugins"))
		wantGoodStore(t, w.store)
	})
}

// TestKillLeavesNothingElsewhere wants a kill to leave nothing in the directory for
// temporary files, nor in the user's home.
func TestKillLeavesNothingElsewhere(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	w := newReference(t)
	data, err := os.ReadFile(filepath.Join(w.good, "bundle.tar"))
	check(t, err)
	r, write, err := os.Pipe()
	check(t, err)
	defer write.Close()
	c := command(t, "unpack", "-", "-o", filepath.Join(t.TempDir(), "plugins"))
	c.Stdin = r
	check(t, c.Start())
	check(t, r.Close())
	_, err = write.Write(data[:len(data)/2])
	check(t, err)
	// What was written is there once it is read, which nothing tells from outside.
	for deadline := time.Now().Add(patience); !spooled(t, c.Process.Pid, c.Dir); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it keeps nothing of its standard input")
		}
	}
	wantEmpty(t, c.Dir)
	check(t, c.Process.Kill())
	_ = c.Wait() // its state says how it ended
	if code := c.ProcessState.ExitCode(); code != -1 {
		t.Errorf("exit code %d", code)
	}
	wantEmpty(t, c.Dir)

	g := newSluice(t)
	pull := start(t, (&reference{url: g.url, store: filepath.Join(t.TempDir(), "store")}).pull("image:"+filepath.Join(t.TempDir(), "image.tar"))...)
	g.wantStarted(t)
	check(t, pull.Process.Kill())
	<-pull.done
	wantEmpty(t, pull.Dir)
}

// spooled reports whether a process has a file without a name open that was
// made in a directory. Where /proc is not there to tell, it has to be believed.
func spooled(t *testing.T, pid int, dir string) bool {
	t.Helper()
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(fds)
	if err != nil {
		return true
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(fds, e.Name()))
		if err == nil && strings.HasPrefix(to, dir) && strings.HasSuffix(to, " (deleted)") {
			return true
		}
	}
	return false
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	check(t, err)
	defer d.Close()
	if names, err := d.Readdirnames(-1); err != nil && err != io.EOF || len(names) > 0 {
		t.Errorf("%s has %q, %v", dir, names, err)
	}
}

// TestUmask wants outputs to be what they are whatever the umask.
func TestUmask(t *testing.T) {
	t.Parallel()
	w := newReference(t)
	for _, mask := range []string{"0077", "0000", "0777"} {
		for _, f := range someForms() {
			if mask == "0777" && (f.file || os.Getuid() != 0) {
				continue // not even the user himself may read what he makes
			}
			t.Run(mask+" "+f.name, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), f.name)
				store := filepath.Join(t.TempDir(), "store")
				args := w.pull(f.prefix + out)
				args[2] = store
				c := command(t, args...)
				c.Args = append([]string{"sh", "-c", "umask " + mask + ` && exec "$0" "$@"`, c.Path}, args...)
				c.Path = "/bin/sh"
				wantSuccess(t, finish(t, c))
				want := snapshot(t, filepath.Join(w.good, f.name))
				if f.file {
					// Who may read a file that a user names, the umask says.
					e := want["."]
					bits, err := strconv.ParseUint(mask, 8, 32)
					check(t, err)
					e.mode &^= fs.FileMode(bits)
					want["."] = e
				}
				sameTree(t, snapshot(t, out), want)
				wantGoodStore(t, store)
			})
		}
	}
}

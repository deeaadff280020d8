package serve

import (
	"cmp"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// TestDamaged has a file that is served be damaged, replaced and lost.
func TestDamaged(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	at := w.serve(t, nil) + "/" + w.binary.Path
	steps := []struct {
		what    string
		do      func()
		status  int
		problem string
	}{
		{"damaged", func() { w.write(t, w.binary.Path, "bin4ry") }, 500, "the file is damaged: it has sha256 "},
		{"still damaged", func() {}, 500, "the file is damaged"},
		{"replaced by the right one", func() { w.write(t, w.binary.Path, "binary") }, 200, ""},
		{"still right", func() {}, 200, ""},
		{"replaced by one of the same size and time", func() { w.write(t, w.binary.Path, "bin4ry") }, 500, "the file is damaged"},
		{"changed in place", func() {
			w.write(t, w.binary.Path, "binary")
			if got := ask(t, "GET", at); got.status != 200 {
				t.Errorf("%d before it is changed", got.status)
			}
			if err := os.WriteFile(filepath.Join(w.dir, w.binary.Path), []byte("bin4ry"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, 500, "the file is damaged"},
		{"longer", func() { w.write(t, w.binary.Path, "binary and more") }, 500, "it has 15 bytes, but the lock has 6"},
		{"lost", func() { os.Remove(filepath.Join(w.dir, w.binary.Path)) }, 500, "no such file"},
		{"back again", func() { w.write(t, w.binary.Path, "binary") }, 200, ""},
	}
	for _, step := range steps {
		t.Run(step.what, func(t *testing.T) {
			step.do()
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				before := w.told()
				got := ask(t, method, at, "Range", "bytes=0-3")
				if step.status == 200 {
					if got.status != http.StatusPartialContent || method == "GET" && got.body != "bina" {
						t.Errorf("%s: %d %q", method, got.status, got.body)
					}
					continue
				}
				told := strings.TrimPrefix(w.told(), before)
				if got.status != step.status || got.header.Get("ETag") != "" || strings.Contains(got.body, "bin4") || !strings.Contains(told, step.problem) {
					t.Errorf("%s: %d %q, problem %q", method, got.status, got.body, told)
				}
			}
		})
	}
	if got := ask(t, "GET", strings.Replace(at, w.binary.Path, w.dependency.Path, 1)); got.status != 200 || got.body != "tool" {
		t.Errorf("another file: %d %q", got.status, got.body)
	}
}

// TestReadOnce wants a file to be compared with its digest once, and one that may still change every time.
func TestReadOnce(t *testing.T) {
	w := newWorld(t, strings.Repeat("binary", cachedFileSize), "tool")
	now := time.Now()
	h := w.handler(t, nil)
	h.verifier.now = func() time.Time { return now }
	server := httptest.NewServer(h)
	defer server.Close()
	opened := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.opened
	}
	at := filepath.Join(w.dir, filepath.FromSlash(w.binary.Path))
	// Each request opens the file, and each comparison does.
	steps := []struct {
		what   string
		do     func()
		passes time.Duration
		opened int
	}{
		{"it was changed just now", func() {}, 0, 2},
		{"and may change again without a trace", func() {}, time.Second, 2},
		{"once no change can be without a trace, it is compared again", func() {}, 2 * time.Second, 2},
		{"and then never", func() {}, time.Second, 1},
		{"however often it is asked for", func() {}, 0, 1},
		{"a time in the future, by a clock that is ahead of ours, is no reason", func() {
			future := now.Add(24 * time.Hour)
			if err := os.Chtimes(at, future, future); err != nil {
				t.Fatal(err)
			}
			now = now.Add(-time.Hour)
		}, 0, 2},
		{"to compare it for ever", func() {}, 3 * time.Second, 2},
		{"after it was compared once more", func() {}, 0, 1},
	}
	for _, step := range steps {
		step.do()
		now = now.Add(step.passes)
		before := opened()
		if got := ask(t, "GET", server.URL+"/"+w.binary.Path); got.status != 200 || opened()-before != step.opened {
			t.Errorf("%s: %d, opened %d times, not %d", step.what, got.status, opened()-before, step.opened)
		}
	}
}

// TestHeld wants a small file to be answered from memory, and the disk to be looked at again soon.
func TestHeld(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	now := time.Now()
	h := w.handler(t, nil)
	h.verifier.now = func() time.Time { return now }
	server := httptest.NewServer(h)
	defer server.Close()
	at := server.URL + "/" + w.binary.Path
	ask(t, "GET", at)
	now = now.Add(time.Minute)
	ask(t, "GET", at)
	before := w.opened
	if got := ask(t, "GET", at, "Range", "bytes=1-3"); got.body != "ina" || w.opened != before {
		t.Errorf("%q, opened %d times", got.body, w.opened-before)
	}
	w.write(t, w.binary.Path, "bin4ry")
	now = now.Add(cacheTime)
	if got := ask(t, "GET", at); got.status != 500 {
		t.Errorf("%d after it was damaged", got.status)
	}
	w.write(t, w.binary.Path, "binary")
	if got := ask(t, "GET", at); got.status != 200 || h.verifier.cached > len("binary") {
		t.Errorf("%d after it was mended, %d bytes cached", got.status, h.verifier.cached)
	}
}

// TestChangedBack has a file be changed in place, and its size and time of modification be as before.
func TestChangedBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it does not tell of changes of a description")
	}
	w := newWorld(t, strings.Repeat("binary", cachedFileSize), "tool")
	h := w.handler(t, nil)
	server := httptest.NewServer(h)
	defer server.Close()
	file := filepath.Join(w.dir, filepath.FromSlash(w.binary.Path))
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "GET", server.URL+"/"+w.binary.Path); got.status != 200 {
		t.Fatal(got.status)
	}
	time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("4"), 3)
	}
	if err == nil {
		err = errors.Join(f.Close(), os.Chtimes(file, before.ModTime(), before.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "GET", server.URL+"/"+w.binary.Path); got.status != 500 {
		t.Errorf("%d", got.status)
	}
}

// TestChangedWhileSent changes a file in the middle of a download, which must not come to what looks like its end.
func TestChangedWhileSent(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 4<<20)
	w := newWorld(t, content, "tool")
	resp, err := http.Get(w.serve(t, nil) + "/" + w.binary.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(w.dir, w.binary.Path), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("changed"), int64(len(content)-100))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(resp.Body)
	if err == nil || strings.Contains(string(rest), "changed") {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if told := w.told(); !strings.Contains(told, "the file changed while it was sent") {
		t.Errorf("problems: %s", told)
	}
}

// TestRenamedWhileSent renames and removes a file in the middle of a download, which comes to its
// end.
func TestRenamedWhileSent(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file can neither be renamed nor removed there")
	}
	content := strings.Repeat("0123456789abcdef", 1<<20)
	for name, do := range map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return cmp.Or(os.WriteFile(path+".new", nil, 0o644), os.Rename(path+".new", path))
		},
		"linked": func(path string) error { return os.Link(path, path+".link") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, content, "tool")
			resp, err := http.Get(w.run(t, nil).url + "/" + w.binary.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
			if err == nil {
				err = do(filepath.Join(w.dir, w.binary.Path))
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(content)-1<<20) {
				t.Errorf("%d bytes, %v, problems: %s", n, err, w.told())
			}
		})
	}
}

// TestRenamedWhileRead has a file get another name while it is compared with its digest.
func TestRenamedWhileRead(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	var renamed bool
	w.version.Open = func(path string, _ lock.Blob) (form.File, error) {
		file, err := os.Open(filepath.Join(w.dir, filepath.FromSlash(path)))
		return &renaming{file, func() {
			if renamed {
				return
			}
			renamed = true
			time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
			if err := os.Link(file.Name(), file.Name()+".link"); err != nil {
				t.Error(err)
			}
		}}, err
	}
	if got := ask(t, "GET", w.serve(t, nil)+"/"+w.binary.Path); got.status != 200 || got.body != "binary" || !renamed {
		t.Errorf("%d %q, problems: %s", got.status, got.body, w.told())
	}
}

// renaming is a file that is renamed when it is read.
type renaming struct {
	*os.File
	rename func()
}

func (r *renaming) Read(p []byte) (int, error) {
	r.rename()
	return r.File.Read(p)
}

// TestBlame wants a file that cannot be read to be told of, but not a client that left.
func TestBlame(t *testing.T) {
	w := newWorld(t, "binary", "tool")
	file, err := w.open(w.binary.Path, w.binary.Blob)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for cause, blamed := range map[error]bool{
		os.NewSyscallError("sendfile", syscall.EIO):   true,
		io.ErrUnexpectedEOF:                           true,
		os.NewSyscallError("sendfile", syscall.EPIPE): false,
		os.ErrDeadlineExceeded:                        false,
	} {
		c := &content{File: file, info: info, size: info.Size()}
		if c.keepError(cause); (c.err != nil) != blamed {
			t.Errorf("%v: the file is at fault: %v", cause, c.err)
		}
	}
}

// TestUnreadable has a file fail in the middle, as a disk does.
func TestUnreadable(t *testing.T) {
	content := strings.Repeat("x", 1<<20)
	w := newWorld(t, content, "tool")
	failing := false
	w.version.Open = func(path string, b lock.Blob) (form.File, error) {
		file, err := w.open(path, b)
		if failing {
			file = &broken{File: file, after: 100 << 10}
		}
		return file, err
	}
	at := w.serve(t, nil) + "/" + w.binary.Path
	if got := ask(t, "GET", at); got.status != 200 || got.err != nil {
		t.Fatal(got.status, got.err)
	}
	failing = true
	if got := ask(t, "GET", at); got.status != 200 || got.err == nil || len(got.body) >= len(content) {
		t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
	}
	if told := w.told(); !strings.Contains(told, "input/output error") {
		t.Errorf("problems: %s", told)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.accesses[len(w.accesses)-1]; last.Status != 200 || last.Bytes >= int64(len(content)) {
		t.Errorf("logged as %+v", last)
	}
}

// broken fails after so many bytes.
type broken struct {
	form.File
	after int
}

func (b *broken) ReadAt(p []byte, at int64) (int, error) {
	if b.after <= 0 {
		return 0, errors.New("input/output error")
	}
	n, err := b.File.ReadAt(p[:min(len(p), b.after)], at)
	b.after -= n
	return n, err
}

// TestLargeFilesLeaveATurn has large files take all the turns that they can have.
func TestLargeFilesLeaveATurn(t *testing.T) {
	k := newVerifier(t.Context())
	for range cap(k.readingLarge) {
		k.readingLarge <- struct{}{}
		k.reading <- struct{}{}
	}
	select {
	case k.reading <- struct{}{}:
	default:
		t.Error("no turn is left for other files")
	}
}

// TestChangedBeforeTheEnd changes a file when all but its last bytes were handed to the system.
func TestChangedBeforeTheEnd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only there are files sent without being read")
	}
	data := strings.Repeat("0123456789abcdef", 64<<10)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var got int64
	read := make(chan struct{})
	go func() { defer close(read); got, _ = io.Copy(io.Discard, client) }()
	c := &content{File: &changing{f, name}, info: info, size: info.Size()}
	_, err = (&stallTimeoutConn{Conn: conn, timeout: time.Minute}).ReadFrom(&io.LimitedReader{R: c, N: c.size})
	conn.Close()
	<-read
	if err == nil || c.err == nil || got >= c.size {
		t.Errorf("%v, %d of %d bytes", err, got, c.size)
	}
}

// changing is a file that is changed once its last bytes are read.
type changing struct {
	*os.File
	name string
}

func (c *changing) Region() (*os.File, int64) { return c.File, 0 }

func (c *changing) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.File.ReadAt(p, at)
	time.Sleep(20 * time.Millisecond) // a tick of the file system's clock
	f, err2 := os.OpenFile(c.name, os.O_WRONLY, 0)
	if err2 == nil {
		_, err2 = f.WriteString("changed")
		err2 = errors.Join(err2, f.Close())
	}
	return n, errors.Join(err, err2)
}

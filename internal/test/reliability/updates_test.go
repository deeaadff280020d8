//go:build linux

package reliability

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/reliability/powercut"
)

// seedEnv sets what the tests draw at random. Each prints what it draws from.
const seedEnv = "MIRROR_TEST_SEED"

func randomFrom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedEnv); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		check(t, err)
	}
	t.Logf("%s=%d", seedEnv, seed)
	return rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // it is to be repeatable
}

// updates is a plugin repository on loopback that is updated while it runs.
type updates struct {
	*httptest.Server
	old, updated map[string][]byte
	isUpdated    atomic.Bool
	// slow has every file come in pieces, with a pause after each.
	slow atomic.Bool
	// open counts connections, and sent the bytes of files.
	open atomic.Int64
	sent atomic.Int64
}

// downloaded returns how many bytes of files were sent since it was last asked. The
// program must have ended; but the server may not have noticed yet, or not even
// accepted its last connections, which come before one that is made now.
func (u *updates) downloaded(t testing.TB) int64 {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(u.URL + "/last")
	check(t, err)
	check(t, resp.Body.Close())
	for deadline := time.Now().Add(patience); u.open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("connections stay open")
		}
	}
	return u.sent.Swap(0)
}

// count is for http.Server.
func (u *updates) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		u.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		u.open.Add(-1)
	}
}

// startUpdates serves two plugins and what they depend on, one of which is large
// and vouched for by nobody. With the update, one of the plugins has a new
// version, one stays, and one is new.
func startUpdates(t testing.TB, size, large int) *updates {
	t.Helper()
	old, updated := t.TempDir(), t.TempDir()
	writeUpstream(t, old, 2, size)
	writeFile(t, filepath.Join(old, "tool01"), randomBytes("large", large))
	writeUpstream(t, updated, 3, size+1)
	u := &updates{old: readFiles(t, old), updated: readFiles(t, updated)}
	for _, name := range []string{"executor_p01_linux_amd64.tar.gz", "tool01"} {
		u.updated[name] = u.old[name]
	}
	newline := []byte("\n")
	was, is := bytes.SplitAfter(u.old[indexFile], newline), bytes.SplitAfter(u.updated[indexFile], newline)
	is[1] = bytes.Replace(is[1], []byte("v1.0.0"), []byte("v1.1.0"), 1)
	is[2] = was[2]
	u.updated[indexFile] = bytes.Join(is, nil)
	u.Server = httptest.NewUnstartedServer(u)
	u.Config.ConnState = u.count
	u.Start()
	t.Cleanup(u.Close)
	return u
}

const indexFile = "plugins-index.yaml"

func readFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	image, err := powercut.Read(dir)
	check(t, err)
	files := map[string][]byte{}
	for name, f := range image {
		files[name] = f.Data
	}
	return files
}

func (u *updates) index() string { return u.URL + "/" + indexFile }

func (u *updates) update() { u.isUpdated.Store(true) }

func (u *updates) files() map[string][]byte {
	if u.isUpdated.Load() {
		return u.updated
	}
	return u.old
}

func (u *updates) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	data, ok := u.files()[filepath.Base(req.URL.Path)]
	if !ok {
		http.NotFound(rw, req)
		return
	}
	rw.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(data)))
	http.ServeContent(&sender{rw, u}, req, "", time.Time{}, bytes.NewReader(data))
}

// sender sends what is served, and counts it.
type sender struct {
	http.ResponseWriter
	from *updates
}

func (s *sender) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		piece := p[n:]
		if s.from.slow.Load() {
			piece = piece[:min(len(piece), 16<<10)]
			time.Sleep(time.Millisecond)
		}
		var written int
		written, err = s.ResponseWriter.Write(piece)
		n += written
	}
	s.from.sent.Add(int64(n))
	return n, err
}

// mayRepeat is how much of a file that was under way may be downloaded a second time.
const mayRepeat = 1 << 20

// needed returns how many bytes a run may download at most that finds an image:
// what the store does not have yet. What was sent but had not reached the disk when
// the program was killed counts as not sent, for nobody has it.
func (u *updates) needed(left powercut.Image) int64 {
	var n int64
	for name, data := range u.files() {
		part := len(left[fmt.Sprintf("store/ingest/%x.part", sha256.Sum256([]byte(u.URL+"/"+name)))].Data)
		_, there := left[fmt.Sprintf("store/blobs/sha256/%x", sha256.Sum256(data))]
		switch {
		case name == indexFile:
			n += int64(len(data)) // it is asked for every time
		case !there:
			n += int64(len(data) - max(part-mayRepeat, 0))
		}
	}
	return n
}

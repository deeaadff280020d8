//go:build unix

package reliability

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// patience is how long what must happen may take on a busy machine.
const patience = 5 * time.Minute

// sluice is an upstream that stops in the middle of files until it is opened.
type sluice struct {
	url string
	// started receives once for each file that is asked for.
	started chan struct{}
	open    chan struct{}
}

func newSluice(t *testing.T) *sluice {
	t.Helper()
	dir := t.TempDir()
	writeUpstream(t, dir, 2, 20_000)
	g := &sluice{started: make(chan struct{}, 1000), open: make(chan struct{})}
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if base := filepath.Base(r.URL.Path); r.Method == http.MethodGet && (strings.HasSuffix(base, ".tar.gz") || base == "tool00" || base == "tool01") {
			w = &halting{w, g, r}
			g.started <- struct{}{}
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(g.release)
	g.url = server.URL
	return g
}

// release lets everything through. It may be called again.
func (g *sluice) release() {
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *sluice) wantStarted(t *testing.T) {
	t.Helper()
	select {
	case <-g.started:
	case <-time.After(patience):
		t.Fatal("nothing is downloaded")
	}
}

// halting sends the first half of a piece, and the rest when the sluice is open.
type halting struct {
	http.ResponseWriter
	sluice *sluice
	req    *http.Request
}

func (h *halting) Write(p []byte) (int, error) {
	half := len(p) / 2
	n, err := h.ResponseWriter.Write(p[:half])
	if err != nil {
		return n, err
	}
	if f, ok := h.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	select {
	case <-h.sluice.open:
	case <-h.req.Context().Done():
		return n, h.req.Context().Err()
	}
	m, err := h.ResponseWriter.Write(p[half:])
	return n + m, err
}

// process is the program, running.
type process struct {
	*exec.Cmd
	mu     sync.Mutex
	stderr bytes.Buffer
	stdout bytes.Buffer
	done   chan struct{}
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: command(t, args...), done: make(chan struct{})}
	p.Stdout = &p.stdout
	p.Stderr = writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.stderr.Write(b)
	})
	check(t, p.Start())
	go func() {
		_ = p.Wait() // its state says how it ended
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	return p
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// said returns standard error so far.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// wantSaid waits until the process says something.
func (p *process) wantSaid(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.said(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not say %q, but\n%s", text, p.said())
		}
	}
}

// startWaiting starts the program again and again until it has to wait: a pull may
// take a while until it is at its output.
func startWaiting(t *testing.T, args ...string) *process {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for p, ended := start(t, args...), false; !ended; {
			if strings.Contains(p.said(), "waiting for ") {
				return p
			}
			select {
			case <-p.done:
				ended = true
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	t.Fatal("it never waits")
	return nil
}

func (p *process) wantEnd(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("it does not end\n%s", p.said())
	}
	if got := p.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, not %d\n%s%s", got, code, p.stdout.String(), p.said())
	}
}

// places of one run.
type workplace struct {
	store, dir, out string
}

func newPlace(t *testing.T, f form) workplace {
	dir := t.TempDir()
	return workplace{filepath.Join(dir, "store"), filepath.Join(dir, "outputs"), filepath.Join(dir, "outputs", f.name)}
}

// wantClean wants the output to be as another one, and nothing beside it or in
// the store that was for a run only.
func (p workplace) wantClean(t *testing.T, good string) {
	t.Helper()
	sameTree(t, snapshot(t, p.out), snapshot(t, good))
	for name := range snapshot(t, p.dir) {
		if name != "." && name != filepath.Base(p.out) && !strings.HasPrefix(name, filepath.Base(p.out)+"/") {
			t.Errorf("%s is left beside the output", name)
		}
	}
	wantGoodStore(t, p.store)
}

// TestTwoAtOnce wants two runs that do the very same to get along.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	for _, f := range someForms() {
		t.Run(f.name, func(t *testing.T) {
			p := newPlace(t, f)
			g := newSluice(t)
			w := &reference{url: g.url, store: p.store}
			first := start(t, w.pull(f.prefix+p.out)...)
			g.wantStarted(t)
			second := start(t, w.pull(f.prefix+p.out)...)
			second.wantSaid(t, "waiting for ")
			g.release()
			first.wantEnd(t, 0)
			second.wantEnd(t, 0)
			if n := len(g.started); n != 3 { // wantStarted has taken the first of 4
				t.Errorf("%d downloads of 4 files\n%s", 1+n, second.stdout.String())
			}
			p.wantClean(t, undisturbed(t, f, g))
		})
	}
}

// TestManyAtOnce wants runs to get along that nobody makes meet, or keeps from it.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, f := range someForms() {
		t.Run(f.name, func(t *testing.T) {
			g := newSluice(t)
			good := undisturbed(t, f, g)
			for range tier.Pick(1, 3) {
				p := newPlace(t, f)
				w := &reference{url: g.url, store: p.store}
				var all []*process
				for range 4 {
					all = append(all, start(t, w.pull(f.prefix+p.out)...))
				}
				for _, run := range all {
					run.wantEnd(t, 0)
				}
				p.wantClean(t, good)
			}
		})
	}
}

// TestKilledWhileAnotherWaits wants who waited to go on where the killed run was.
func TestKilledWhileAnotherWaits(t *testing.T) {
	t.Parallel()
	for _, f := range someForms() {
		t.Run(f.name, func(t *testing.T) {
			p := newPlace(t, f)
			g := newSluice(t)
			w := &reference{url: g.url, store: p.store}
			first := start(t, w.pull(f.prefix+p.out)...)
			g.wantStarted(t)
			second := start(t, w.pull(f.prefix+p.out)...)
			second.wantSaid(t, "waiting for ")
			check(t, first.Process.Kill())
			g.release()
			second.wantEnd(t, 0)
			<-first.done
			p.wantClean(t, undisturbed(t, f, g))
		})
	}
}

// TestPruneMeanwhile wants a prune of the store to take nothing away from a run
// that is under way, and one of an output to wait.
func TestPruneMeanwhile(t *testing.T) {
	t.Parallel()
	f := forms[0]
	p := newPlace(t, f)
	g := newSluice(t)
	w := &reference{url: g.url, store: p.store}
	// There is something to prune: what a first run has pulled for an output that is gone.
	g.release()
	wantSuccess(t, run(t, w.pull(p.out)...))
	check(t, os.RemoveAll(p.out))
	pruned := wantSuccess(t, run(t, "prune", "--store", p.store))
	if !strings.Contains(pruned.stdout, "Removed:\n  sha256:") {
		t.Fatalf("nothing was pruned\n%s", pruned.stdout)
	}
	halted := newSluice(t)
	w.url = halted.url
	pull := start(t, w.pull(p.out)...)
	halted.wantStarted(t)
	if o := wantSuccess(t, run(t, "prune", "--store", p.store)); strings.Contains(o.stdout, "Removed:\n  sha256:") {
		t.Errorf("a blob of a run that is under way was removed\n%s", o.stdout)
	}
	halted.release()
	pull.wantEnd(t, 0)
	p.wantClean(t, undisturbed(t, f, halted))
	// An output that a run is at.
	second := newSluice(t)
	w.url, w.store = second.url, filepath.Join(t.TempDir(), "store")
	pull = start(t, w.pull(p.out)...)
	second.wantStarted(t)
	prune := startWaiting(t, "prune", p.out)
	second.release()
	pull.wantEnd(t, 0)
	prune.wantEnd(t, 0)
	sameTree(t, snapshot(t, p.out), snapshot(t, undisturbed(t, f, second)))
}

// TestOverlappingOutputs wants two runs that share some of their outputs, named
// in another order, to wait for each other at most.
func TestOverlappingOutputs(t *testing.T) {
	t.Parallel()
	g := newSluice(t)
	dir := t.TempDir()
	w := &reference{url: g.url, store: filepath.Join(dir, "store")}
	var targets, backwards []string
	for _, f := range forms {
		targets = append(targets, f.prefix+filepath.Join(dir, "outputs", f.name))
		backwards = append([]string{targets[len(targets)-1]}, backwards...)
	}
	first := start(t, w.pull(targets[:4]...)...)
	g.wantStarted(t)
	second := start(t, w.pull(backwards[:4]...)...)
	second.wantSaid(t, "waiting for ")
	g.release()
	first.wantEnd(t, 0)
	second.wantEnd(t, 0)
	for _, f := range forms {
		sameTree(t, snapshot(t, filepath.Join(dir, "outputs", f.name)), snapshot(t, undisturbed(t, f, g)))
	}
	wantGoodStore(t, w.store)
}

// undisturbed returns the output that an undisturbed run makes of an upstream.
func undisturbed(t *testing.T, f form, g *sluice) string {
	t.Helper()
	g.release()
	p := newPlace(t, f)
	w := &reference{url: g.url, store: p.store}
	wantSuccess(t, run(t, w.pull(f.prefix+p.out)...))
	return p.out
}

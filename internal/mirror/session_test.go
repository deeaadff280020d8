package mirror

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	memory "github.com/google/go-containerregistry/pkg/registry"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

// world is an upstream, and a session that mirrors it.
type world struct {
	*Session
	t *testing.T
	// url is where upstream is; gone are the files, by the ends of their paths, that it
	// does not have.
	url  string
	gone []string
	// answer, if not nil, answers requests in the place of upstream where it returns true.
	answer func(http.ResponseWriter, *http.Request) bool
	// events are those that were seen.
	mu     sync.Mutex
	events []Event
}

func newWorld(t *testing.T, gone ...string) *world {
	t.Helper()
	w := &world{t: t, gone: gone}
	files := http.FileServer(http.Dir("../../testdata/upstream"))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if slices.ContainsFunc(w.gone, func(end string) bool { return strings.HasSuffix(req.URL.Path, end) }) {
			http.NotFound(rw, req)
			return
		}
		if w.answer == nil || !w.answer(rw, req) {
			files.ServeHTTP(rw, req)
		}
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.Session = &Session{Parallel: 2, Observe: func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}}
	w.use(t.TempDir())
	return w
}

// use has the session keep what it downloads in a directory.
func (w *world) use(dir string) {
	w.t.Helper()
	var err error
	if w.Store, err = store.Open(dir); err != nil {
		w.t.Fatal(err)
	}
	w.Fetch = fetch.New(fetch.Config{Store: w.Store, Options: transfer.Options{Retry: transfer.Retry{Limit: -1, Backoff: time.Millisecond}}})
	client, opened := w.Fetch, w.Store
	w.t.Cleanup(func() { client.Close(); _ = opened.Close() })
}

// selection has plugins of upstream, by their names.
func (w *world) selection(names ...string) resolve.Selection {
	sel := resolve.Selection{Repositories: []agent.Repository{{Name: "demo", URL: w.url + "/plugins-index.yaml"}}}
	for _, name := range names {
		sel.Plugins = append(sel.Plugins, agent.PluginKey{Repository: "demo", Name: name})
	}
	return sel
}

// outputs are those of targets below a directory.
func (w *world) outputs(targets ...string) WriteOptions {
	o := WriteOptions{WriteOptions: form.WriteOptions{Mount: "/plugins"}}
	for _, target := range targets {
		parsed, err := forms.All.ParseTarget(target)
		if err != nil {
			w.t.Fatal(err)
		}
		o.Outputs = append(o.Outputs, parsed)
	}
	return o
}

// count returns how many events of a kind there were whose subject or detail ends so.
func (w *world) count(kind EventKind, end string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Kind == kind && (strings.HasSuffix(e.Subject, end) || strings.HasSuffix(e.Detail, end)) {
			n++
		}
	}
	return n
}

func (w *world) wantEvents(want map[EventKind]int) {
	w.t.Helper()
	for kind, n := range want {
		if got := w.count(kind, ""); got != n {
			w.t.Errorf("%d events of kind %s, not %d", got, kind, n)
		}
	}
}

// pulled pulls a plugin into a bundle, and returns its path.
func (w *world) pulled() string {
	w.t.Helper()
	bundle := filepath.Join(w.t.TempDir(), "b.tar")
	if _, err := w.Pull(w.t.Context(), PullOptions{Selection: w.selection("raw"), WriteOptions: w.outputs(bundle)}); err != nil {
		w.t.Fatal(err)
	}
	w.events = nil
	return bundle
}

const (
	rawFile     = "/archives/executor_raw_linux_amd64"
	whisperFile = "/dependencies/whisper-linux_amd64"
)

func TestPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir, bundle := filepath.Join(t.TempDir(), "plugins"), filepath.Join(t.TempDir(), "b.tar")
	o := PullOptions{Selection: w.selection("raw"), WriteOptions: w.outputs(dir, bundle)}
	result, err := w.Pull(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w.wantEvents(map[EventKind]int{EventPlanned: 1, EventStarted: 2, EventFetched: 2, EventReused: 0, EventFailed: 0, EventCompleted: 2})
	if len(result.Artifacts) != 2 || result.FetchedBytes == 0 || result.ReusedBytes != 0 || len(result.Outputs) != 2 || !result.Outputs[0].Changed {
		t.Errorf("%+v", result)
	}
	if _, err := os.Stat(filepath.Join(dir, "demo.yaml")); err != nil {
		t.Error(err)
	}
	w.events = nil
	if result, err = w.Pull(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.wantEvents(map[EventKind]int{EventFetched: 0, EventReused: 2})
	if result.FetchedBytes != 0 || result.Outputs[0].Changed || result.Outputs[1].Changed || result.Artifacts[0].Status != StatusReused {
		t.Errorf("again: %+v", result)
	}
}

func TestPullDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	result, err := w.Pull(t.Context(), PullOptions{Selection: w.selection("raw"), DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	w.wantEvents(map[EventKind]int{EventPlanned: 1, EventStarted: 0, EventFetched: 0})
	for _, a := range result.Artifacts {
		if a.Status != StatusMissing || a.Size <= 0 {
			t.Errorf("%+v", a)
		}
	}
}

// TestPullWithoutAFile ends at the first file that is not there; with KeepGoing, it
// downloads the rest, and names who needs what is missing. Nothing is written either way.
func TestPullWithoutAFile(t *testing.T) {
	t.Parallel()
	for _, keepGoing := range []bool{false, true} {
		w := newWorld(t, whisperFile)
		dir := filepath.Join(t.TempDir(), "plugins")
		result, err := w.Pull(t.Context(), PullOptions{Selection: w.selection("raw"), WriteOptions: w.outputs(dir), KeepGoing: keepGoing})
		if _, statErr := os.Stat(dir); statErr == nil {
			t.Error("a directory was written")
		}
		incomplete, ok := errors.AsType[*Incomplete](err)
		if !keepGoing {
			if fault.KindOf(err) != fault.Upstream || ok || result != nil {
				t.Errorf("%v, %+v", err, result)
			}
			continue
		}
		if fault.KindOf(err) != fault.Incomplete || !ok || !strings.Contains(fault.HintOf(err), "--exclude demo/raw") {
			t.Fatalf("%v, hint %q", err, fault.HintOf(err))
		}
		failed := incomplete.Failures
		if len(failed) != 1 || failed[0].URL != w.url+whisperFile || !failed[0].Missing || failed[0].ExitCode != 3 || !slices.Equal(failed[0].Plugins, []string{"demo/raw"}) {
			t.Errorf("%+v", failed)
		}
		if len(result.Failed) != 1 || w.count(EventFetched, rawFile) != 1 {
			t.Errorf("what can be had was not: %+v", result)
		}
	}
}

// TestPullMends has a file of the store damaged before it is used.
func TestPullMends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pulled()
	ahead := w.newPrefetcher(t.Context(), false)
	defer ahead.stop()
	plan, _, err := ahead.resolve(t.Context(), w.selection("raw"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(plan.Lock.Artifacts, func(a lock.Artifact) bool { return strings.HasSuffix(a.URL, rawFile) })
	sum, err := lock.ParseSHA256(plan.Downloads[i].Checksums[0].Hex)
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(w.Store.Dir(), "blobs", "sha256", sum.String())
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[0] ^= 1
	if err := errors.Join(os.Chmod(blob, 0o600), os.WriteFile(blob, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.use(w.Store.Dir()) // of this run, the store knows the file already
	if _, err := w.Pull(t.Context(), PullOptions{Selection: w.selection("raw"), WriteOptions: w.outputs(filepath.Join(t.TempDir(), "plugins"))}); err != nil {
		t.Fatal(err)
	}
	if w.count(EventRestarted, "damaged") != 1 {
		t.Errorf("%+v", w.events)
	}
}

func TestPullRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, test := range map[string]struct {
		o    PullOptions
		kind fault.Kind
		says string
	}{
		"no output":   {PullOptions{}, fault.Usage, "the output is missing"},
		"no room":     {PullOptions{WriteOptions: w.outputs(t.TempDir()), Selection: resolve.Selection{Members: resolve.Members{Chart: resolve.Default}}}, fault.Usage, "only be written to a bundle"},
		"no upstream": {PullOptions{WriteOptions: w.outputs(filepath.Join(t.TempDir(), "x"))}, fault.Usage, "neither --version nor --repository"},
		"no plugin":   {PullOptions{WriteOptions: w.outputs(filepath.Join(t.TempDir(), "x")), Selection: w.selection("nope")}, fault.Usage, `repository demo has no plugin "nope"`},
		"no lock":     {PullOptions{WriteOptions: w.outputs(filepath.Join(t.TempDir(), "x")), Selection: resolve.Selection{Lock: t.TempDir()}}, fault.Usage, "reading the lock"},
	} {
		if _, err := w.Pull(t.Context(), test.o); fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.wantEvents(map[EventKind]int{EventStarted: 0})
}

// TestLock pins what upstream says, and downloads the rest. A checksum that is gone is told.
func TestLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, agentConfigured, err := w.Lock(t.Context(), LockOptions{Selection: w.selection("raw")})
	if err != nil || agentConfigured != nil || l.Check() != nil || len(l.Artifacts) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	i := slices.IndexFunc(l.Artifacts, func(a lock.Artifact) bool { return strings.HasSuffix(a.URL, whisperFile) })
	if w.count(EventFetched, rawFile) != 0 || w.count(EventFetched, whisperFile) != 1 {
		t.Errorf("%+v", w.events)
	}
	l.Artifacts[i].VerifiedBy, l.Artifacts[i].VerifiedWith = lock.ByPublisher, []string{w.url + whisperFile + ".sha256"}
	file := filepath.Join(t.TempDir(), "lock.json")
	data, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err = w.Lock(t.Context(), LockOptions{Selection: w.selection("raw"), Replaces: file}); err != nil {
		t.Fatal(err)
	}
	if w.count(EventWarning, fmt.Sprintf("in %s, the checksum came from %s", file, w.url+whisperFile+".sha256")) != 1 {
		t.Errorf("%+v", w.events)
	}
	w.gone = []string{whisperFile}
	sel := w.selection("raw")
	sel.Lock = file
	w.use(t.TempDir())
	if _, err := w.Pull(t.Context(), PullOptions{Selection: sel, WriteOptions: w.outputs(filepath.Join(t.TempDir(), "p"))}); fault.KindOf(err) != fault.Upstream {
		t.Errorf("a lock's file that is gone: %v", err)
	}
}

// registryAt starts a registry in memory, and has the session talk to it. Refuse, if not nil,
// answers requests in its place where it returns true.
func (w *world) registryAt(refuse func(http.ResponseWriter, *http.Request) bool) string {
	w.t.Helper()
	reg := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if refuse == nil || !refuse(rw, req) {
			reg.ServeHTTP(rw, req)
		}
	}))
	w.t.Cleanup(server.Close)
	w.Registry = registry.New(registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: -1, Backoff: time.Millisecond}}})
	w.t.Cleanup(func() { w.Registry.Close() })
	return strings.TrimPrefix(server.URL, "http://")
}

func TestPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bundle := w.pulled()
	o := PushOptions{Source: bundle, Image: form.WriteOptions{Mount: "/plugins"}, Options: push.Options{Prefix: w.registryAt(nil) + "/mirror", Skip: []push.Part{push.Image}}}
	result, err := w.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Parts) != 1 || !result.Parts[0].Changed || result.UploadedBytes == 0 || result.Source != bundle || !slices.Equal(result.Absent, []push.Part{push.AgentImage, push.Chart}) {
		t.Errorf("%+v", result)
	}
	w.wantEvents(map[EventKind]int{EventPlanned: 1, EventUploading: w.count(EventUploaded, ""), EventReused: 0, EventCompleted: 1})
	if w.count(EventCompleted, result.Parts[0].Reference) != 1 {
		t.Errorf("%+v", w.events)
	}
	w.events = nil
	if result, err = w.Push(t.Context(), o); err != nil || result.Parts[0].Changed || result.UploadedBytes != 0 {
		t.Errorf("again: %+v, %v", result, err)
	}
	w.wantEvents(map[EventKind]int{EventUploaded: 0, EventCompleted: 0})
	// The registry is a source as well.
	in := filepath.Join(t.TempDir(), "plugins")
	unpacked := UnpackOptions{Source: form.RegistryPrefix + result.Parts[0].Reference, WriteOptions: w.outputs(in)}
	if _, err := w.Unpack(t.Context(), unpacked); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Push(t.Context(), PushOptions{Source: in, Image: form.WriteOptions{Mount: "/plugins"}, Options: o.Options}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "only a bundle can be pushed") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := w.Push(t.Context(), PushOptions{Source: bundle, Image: form.WriteOptions{Mount: "plugins"}}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a mount that is none: %v", err)
	}
}

// TestValues has values made for a mirror be those that verify finds nothing wrong with.
func TestValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bundle := w.pulled()
	if _, err := w.Values(t.Context(), bundle, values.Options{Claim: "a", Image: "b"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("two ways: %v", err)
	}
	if _, err := w.Values(t.Context(), bundle, values.Options{Claim: "a", Assumed: "/plugins", Version: "x"}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), `"x" is not a Botkube version`) {
		t.Errorf("no version: %v", err)
	}
	made, err := w.Values(t.Context(), bundle, values.Options{Claim: "botkube-plugins", Assumed: "/plugins", Version: "1.14.0"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.YAML()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mirror.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o := VerifyOptions{Target: bundle, Values: []string{file}}
	o.Version, o.Mount = "v1.14.0", "/plugins"
	found, err := w.Verify(t.Context(), o)
	if err != nil || found.Failure() != nil || !found.Values.Alone {
		t.Errorf("%+v, %v", found, err)
	}
	if o.Values[0] = bundle + ".none"; err == nil {
		_, err = w.Verify(t.Context(), o)
	}
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "reading values") {
		t.Errorf("values that are not there: %v", err)
	}
}

package push

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

const program = "#!/bin/sh\n"

// sourceOf is a bundle with one plugin, whose program is as given.
func sourceOf(t *testing.T, program string) Source {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	put := func(text string) lock.Blob {
		sum, err := s.Put([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return lock.Blob{Size: int64(len(text)), SHA256: sum}
	}
	const url = "https://example.com/hello"
	platform := agent.Platform{OS: "linux", Arch: "amd64"}
	l := &lock.Lock{
		SchemaVersion: lock.SchemaVersion, BotkubeVersion: "v1.14.0", Platforms: []agent.Platform{platform},
		Repositories: []lock.Repository{{Name: "demo", URL: "https://example.com/i.yaml", Index: put("entries: [{name: hello, type: executor, version: v1.0.0, description: x, urls: [{url: '" + url + "', platform: {os: linux, architecture: amd64}}]}]\n")}},
		Plugins:      []lock.Plugin{{Repository: "demo", Type: agent.Executor, Name: "hello", Version: "v1.0.0", Builds: []lock.Build{{Platform: platform, URL: url}}}},
		Artifacts:    []lock.Artifact{{URL: url, Blob: put(program), VerifiedBy: lock.ByNone}},
	}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	return Source{
		Name: "b.tar", Lock: l, Content: form.Content{Plugins: pluginsdir.Upstream{Blobs: s}, Blobs: s},
		Image: form.WriteOptions{Mount: "/plugins", Seeders: form.Seeders{None: true}, Wrote: func(string) {}},
	}
}

// told is what a push tells, and what it asks of a registry.
type told struct {
	mu                        sync.Mutex
	planned, uploaded, reused int
	tagged, requests, uploads []string
}

func (s *told) add(to *[]string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, text)
}

// pusherTo returns a pusher for a registry in memory, and its host. Answer may answer
// requests in its place.
func pusherTo(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) (Pusher, *told, string) {
	t.Helper()
	seen := &told{}
	reg := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen.add(&seen.requests, req.Method+" "+req.URL.Path)
		if answer == nil || !answer(w, req) {
			reg.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(server.Close)
	client := registry.New(registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: -1, Backoff: time.Millisecond}}})
	t.Cleanup(client.Close)
	return Pusher{Registry: client, Parallel: 2, Observer: Observer{
		Planned:   func(blobs int, _ int64) { seen.mu.Lock(); seen.planned += blobs; seen.mu.Unlock() },
		Uploading: func(blob string, _ int64) { seen.add(&seen.uploads, blob) },
		Progress:  func(string, int64) func(int64) { return func(int64) {} },
		Uploaded: func(_ string, _ int64, reused bool) {
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if reused {
				seen.reused++
			} else {
				seen.uploaded++
			}
		},
		Tagged: func(reference string) { seen.add(&seen.tagged, reference) },
	}}, seen, strings.TrimPrefix(server.URL, "http://")
}

// TestPush publishes a bundle and its image. All tags come after all that they name.
func TestPush(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, nil)
	src := sourceOf(t, program)
	result, err := p.Push(t.Context(), src, Options{Prefix: host + "/mirror"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{host + "/mirror/botkube-plugins:v1.14.0", host + "/mirror/botkube-plugins-bundle:v1.14.0"}
	if !slices.Equal(seen.tagged, want) || len(result.Parts) != 2 || !slices.Equal(result.Absent, []Part{AgentImage, Chart}) {
		t.Errorf("%+v, tagged %q", result, seen.tagged)
	}
	last := seen.requests[len(seen.requests)-2:]
	for i, path := range []string{"/v2/mirror/botkube-plugins/manifests/v1.14.0", "/v2/mirror/botkube-plugins-bundle/manifests/v1.14.0"} {
		if last[i] != "PUT "+path {
			t.Errorf("%q is not the tag's: %q", last[i], path)
		}
	}
	if seen.planned == 0 || seen.uploaded == 0 || seen.uploaded+seen.reused != len(seen.uploads) || !slices.Equal(result.Parts[0].MountOnly, []agent.Platform{{OS: "linux", Arch: "amd64"}}) {
		t.Errorf("%+v, %+v", seen, result.Parts[0])
	}
	seen.tagged, seen.uploaded = nil, 0
	if result, err = p.Push(t.Context(), src, Options{Prefix: host + "/mirror"}); err != nil || result.Parts[0].Changed || result.Parts[1].Changed || result.UploadedBytes != 0 || len(seen.tagged) != 0 || seen.uploaded != 0 {
		t.Errorf("again: %+v, %v, %+v", result, err, seen)
	}
	if _, err := p.Push(t.Context(), src, Options{Prefix: host, Skip: Parts}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "nothing of b.tar is left") {
		t.Errorf("nothing: %v", err)
	}
}

// TestLost has a registry lose manifests that an index names, as one does that removes
// what has no tag: a push that is forced brings them again.
func TestLost(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, nil)
	src, o := sourceOf(t, program), Options{Prefix: host + "/mirror"}
	if _, err := p.Push(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string) (status int, mediaType string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Content-Type")
	}
	var lost []string
	for _, r := range slices.Clone(seen.requests) {
		path, put := strings.CutPrefix(r, "PUT ")
		if !put || !strings.Contains(path, "/manifests/sha256:") {
			continue
		}
		if _, mediaType := ask(http.MethodGet, path); strings.Contains(mediaType, "manifest") {
			ask(http.MethodDelete, path)
			lost = append(lost, path)
		}
	}
	seen.tagged, o.Force = nil, true
	if _, err := p.Push(t.Context(), src, o); err != nil || len(seen.tagged) != 0 {
		t.Errorf("%v, tagged %q", err, seen.tagged)
	}
	for _, path := range lost {
		if status, _ := ask(http.MethodGet, path); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	if len(lost) < 2 {
		t.Errorf("only %q were lost", lost)
	}
}

// TestOtherContent refuses to move a tag, of the image or the bundle, before anything is sent.
func TestOtherContent(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, nil)
	o := Options{Prefix: host}
	if _, err := p.Push(t.Context(), sourceOf(t, program), o); err != nil {
		t.Fatal(err)
	}
	other := sourceOf(t, program+"exit 1\n")
	for part, hint := range map[Part]string{Bundle: "botkube-mirror diff docker://" + host + "/botkube-plugins-bundle:v1.14.0 b.tar", Image: "keep it with --skip image"} {
		seen.requests = nil
		o.Skip = []Part{Bundle, Image}
		o.Skip = slices.DeleteFunc(o.Skip, func(p Part) bool { return p == part })
		_, err := p.Push(t.Context(), other, o)
		if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), "exists with other content") || !strings.Contains(fault.HintOf(err), hint) {
			t.Errorf("%s: %v, hint %q", part, err, fault.HintOf(err))
		}
		if slices.ContainsFunc(seen.requests, func(r string) bool { return !strings.HasPrefix(r, "GET ") && !strings.HasPrefix(r, "HEAD ") }) {
			t.Errorf("%s: something was sent: %q", part, seen.requests)
		}
		seen.tagged, o.Force = nil, true
		if result, err := p.Push(t.Context(), other, o); err != nil || !result.Parts[0].Changed || len(seen.tagged) != 1 {
			t.Errorf("%s, forced: %+v, %v", part, result, err)
		}
		o.Force = false
	}
}

// TestTags gives the image and the bundle several tags. One that has other content is refused
// before anything is sent; those that are missing are added without an upload.
func TestTags(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, nil)
	src := sourceOf(t, program)
	o := Options{Prefix: host, Tags: []string{"team-a", "team-a", "v1"}}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	push := func(src Source) (*Result, error) {
		seen.tagged, seen.uploaded, seen.requests = nil, 0, nil
		return p.Push(t.Context(), src, o)
	}
	result, err := push(src)
	if err != nil {
		t.Fatal(err)
	}
	image, bundle := host+"/botkube-plugins:", host+"/botkube-plugins-bundle:"
	if want := []string{image + "team-a", image + "v1", bundle + "team-a", bundle + "v1"}; !slices.Equal(seen.tagged, want) ||
		result.Parts[1].Reference != bundle+"team-a" || !slices.Equal(result.Parts[1].Tags, []TagResult{{Tag: "team-a", Changed: true}, {Tag: "v1", Changed: true}}) {
		t.Errorf("tagged %q: %+v", seen.tagged, result.Parts)
	}
	o.Tags = []string{"v2", "team-a"}
	if result, err = push(src); err != nil || seen.uploaded != 0 || !result.Parts[0].Changed || !slices.Equal(seen.tagged, []string{image + "v2", bundle + "v2"}) {
		t.Errorf("one more: %+v, %v, %+v", result, err, seen)
	}
	o.Tags = []string{"v3", "v1"}
	_, err = push(sourceOf(t, program+"exit 1\n"))
	if fault.KindOf(err) != fault.Integrity || !strings.Contains(err.Error(), bundle+"v1 exists with other content") ||
		slices.ContainsFunc(seen.requests, func(r string) bool { return strings.HasPrefix(r, "PUT ") }) {
		t.Errorf("other content: %v, %q", err, seen.requests)
	}
	skipping := Options{Prefix: host, Tags: []string{"v1"}, Skip: []Part{Image, Bundle}}
	if err := skipping.Check(); fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
		t.Errorf("tags of nothing: %v", err)
	}
	for _, tag := range []string{"", ".a", "a/b", "a b", "a:b", strings.Repeat("a", 129)} {
		o.Tags = []string{tag}
		if err := o.Check(); fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", tag, err)
		}
	}
}

func TestChartTags(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"1.14.0": {"1.14.0", "v1.14.0"}, "v1.14.0": {"v1.14.0", "1.14.0"}, "v1.14.0+a.1": {"v1.14.0_a.1", "1.14.0_a.1"},
		"version": {"version"}, "v": {"v"}, strings.Repeat("1", 128): {strings.Repeat("1", 128)},
	} {
		if got := chartTags(version); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

// TestDryRun sends nothing, and ends as a push would.
func TestDryRun(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, nil)
	o := Options{Prefix: host, DryRun: true}
	dry := func(src Source) (*Result, error) {
		seen.requests = nil
		result, err := p.Push(t.Context(), src, o)
		for _, r := range seen.requests {
			if strings.HasPrefix(r, "PUT ") || strings.HasPrefix(r, "PATCH ") {
				t.Errorf("a dry run sends %q", r)
			}
		}
		if len(seen.tagged) > 0 || seen.planned > 0 || len(seen.uploads) > 0 {
			t.Errorf("a dry run tells of %+v", seen)
		}
		return result, err
	}
	src := sourceOf(t, program)
	result, err := dry(src)
	if err != nil || len(result.Parts) != 2 {
		t.Fatal(result, err)
	}
	planned := result
	for _, part := range result.Parts {
		if part.ToSend.Blobs < 3 || part.ToSend.Bytes == 0 || part.There.Blobs != 0 || !part.Tags[0].Changed || part.Digest == "" {
			t.Errorf("%+v %+v", part, part.ToSend)
		}
	}
	o.DryRun = false
	if result, err = p.Push(t.Context(), src, o); err != nil {
		t.Fatal(err)
	}
	for i, part := range result.Parts {
		if part.Digest != planned.Parts[i].Digest || part.UploadedBytes != planned.Parts[i].ToSend.Bytes {
			t.Errorf("planned %+v, done %+v", planned.Parts[i], part)
		}
	}
	seen.tagged, seen.planned, seen.uploads, o.DryRun = nil, 0, nil, true
	if result, err = dry(src); err != nil || result.Parts[0].ToSend.Blobs+result.Parts[1].ToSend.Blobs != 0 || result.Parts[0].Changed || result.Parts[1].There.Bytes != result.Parts[1].Size {
		t.Errorf("again: %+v, %v", result, err)
	}
	other := sourceOf(t, program+"exit 1\n")
	result, err = dry(other)
	if fault.KindOf(err) != fault.Integrity || result == nil || result.Parts[0].Problem == "" || result.Parts[1].Problem == "" || result.Parts[1].ToSend.Blobs == 0 {
		t.Errorf("other content: %+v, %v", result, err)
	}
	o.Force = true
	if result, err = dry(other); err != nil || result.Parts[0].Problem != "" || !result.Parts[0].Tags[0].Changed || result.Parts[0].Tags[0].There == "" {
		t.Errorf("forced: %+v, %v", result, err)
	}
}

// TestDryRunRefused tells of the parts that a registry takes, too.
func TestDryRunRefused(t *testing.T) {
	t.Parallel()
	p, _, host := pusherTo(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost || !strings.Contains(req.URL.Path, "plugins-bundle") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`)
		return true
	})
	result, err := p.Push(t.Context(), sourceOf(t, program), Options{Prefix: host, DryRun: true})
	if fault.KindOf(err) != fault.Upstream || result == nil || result.Parts[0].ToSend.Blobs == 0 || result.Parts[1].ToSend != nil || !strings.Contains(result.Parts[1].Problem, "denied") {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestRefused asks all repositories before anything is sent, and names those that are
// refused.
func TestRefused(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`)
		return true
	})
	_, err := p.Push(t.Context(), sourceOf(t, program), Options{Prefix: host + "/a"})
	if fault.KindOf(err) != fault.Upstream || !strings.Contains(err.Error(), "refuses 2 of the 2 repositories, and nothing was sent:") ||
		!strings.Contains(err.Error(), host+"/a/botkube-plugins:") || !strings.Contains(err.Error(), host+"/a/botkube-plugins-bundle:") || fault.HintOf(err) == "" {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
	if len(seen.uploads) != 0 {
		t.Errorf("uploaded %q", seen.uploads)
	}
}

// TestRefusedDocument has a registry take images only: there is no tag of anything then.
func TestRefusedDocument(t *testing.T) {
	t.Parallel()
	p, seen, host := pusherTo(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "bundle/manifests/") {
			return false
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}`)
		return true
	})
	_, err := p.Push(t.Context(), sourceOf(t, program), Options{Prefix: host})
	if !strings.Contains(err.Error(), "publishing "+host+"/botkube-plugins-bundle:v1.14.0: ") || !strings.Contains(err.Error(), "no tag was set") || !strings.Contains(fault.HintOf(err), "--skip bundle") || len(seen.tagged) != 0 {
		t.Errorf("%v, hint %q, tagged %q", err, fault.HintOf(err), seen.tagged)
	}
}

// TestFetch has the upstream files come from elsewhere before they are sent.
func TestFetch(t *testing.T) {
	t.Parallel()
	p, _, host := pusherTo(t, nil)
	src := sourceOf(t, program)
	var mu sync.Mutex
	fetched := map[lock.SHA256]int{}
	src.Obtain = func(_ context.Context, b lock.Blob) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		fetched[b.SHA256]++
		return 0, nil
	}
	if _, err := p.Push(t.Context(), src, Options{Prefix: host}); err != nil {
		t.Fatal(err)
	}
	if fetched[lock.Sum([]byte(program))] == 0 || len(fetched) != len(src.Lock.Blobs()) && len(fetched) != 1 {
		t.Errorf("fetched %v", fetched)
	}
	p, _, host = pusherTo(t, nil) // which has nothing yet
	src.Obtain = func(context.Context, lock.Blob) (int64, error) { return 0, fault.New(fault.Upstream, "it is gone") }
	if _, err := p.Push(t.Context(), src, Options{Prefix: host, Skip: []Part{Image}}); fault.KindOf(err) != fault.Upstream || !strings.Contains(err.Error(), "it is gone") {
		t.Errorf("a file that is gone: %v", err)
	}
}

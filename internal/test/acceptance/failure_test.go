//go:build linux

package acceptance

import (
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestFailedPullLeavesNothingToStartFrom breaks one thing upstream. The exit code says of what kind it was, and the
// agent finds no index, which is what it would start by.
func TestFailedPullLeavesNothingToStartFrom(t *testing.T) {
	archive := releaseURL("botkube") + "executor_echo_" + here.OS + "_" + here.Arch + ".tar.gz"
	raw := fileURL(kubectl.url(here))
	tests := map[string]struct {
		at      string
		content []byte
		code    int
	}{
		"an archive that is not what the index says":    {at: archive, content: []byte("tampered with"), code: 4},
		"a dependency that is not what its sum says":    {at: raw, content: []byte("tampered with"), code: 4},
		"a sum that is not its dependency's":            {at: raw + ".sha256", content: []byte(strings.Repeat("0", 64)), code: 4},
		"an archive that is gone":                       {at: archive, code: 3},
		"a dependency that is gone":                     {at: raw, code: 3},
		"an index that is gone":                         {at: IndexURLs["botkube"], code: 3},
		"an index that the agent would refuse":          {at: IndexURLs["botkube"], content: []byte("entries: [{name: echo}]"), code: 4},
		"a schema that is gone, for it must be inlined": {at: refSchemaURL, code: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			out := filepath.Join(dir, "plugins")
			got := runProduct(t, startProxy(t, release(t).But(test.at, test.content)),
				"pull", "--version", Version, "-o", out, "--store", filepath.Join(dir, "store"), "--platform", here.String(),
				"--plugin", "botkube/echo", "--plugin", "botkube/kubectl", "--plugin", "botkubeExtra/prometheus")
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			for _, mark := range []string{"*.yaml", ".botkube-mirror/lock.json"} {
				if found, err := filepath.Glob(filepath.Join(out, mark)); err != nil || len(found) > 0 {
					t.Errorf("left behind: %v %v", found, err)
				}
			}
		})
	}
}

// TestFailureOfOneFileKeepsTheRestOfOthers wants a second pull to go on with what was half downloaded when the first
// one failed over another file.
func TestFailureOfOneFileKeepsTheRestOfOthers(t *testing.T) {
	large, wrong := fileURL(flux.url(here)), fileURL(kubectl.url(here))
	content := make([]byte, 24<<20)
	rand.NewChaCha8([32]byte{}).Read(content)
	archive, err := pack(large, program("flux", content))
	if err != nil {
		t.Fatal(err)
	}
	upstream := release(t).But(large, archive)
	sums := large[:strings.LastIndex(large, "/")] + "/flux_2.0.1_checksums.txt"
	upstream = upstream.But(sums, []byte(sumLine(large, upstream.files[large].sum)))
	args := []string{
		"pull", "--version", Version, "--platform", here.String(), "--plugin", "botkube/kubectl", "--plugin", "botkubeExtra/flux",
		"-o", filepath.Join(tempDir(t), "plugins"), "--store", filepath.Join(tempDir(t), "store"),
	}

	first := startProxyTo(t, &stalling{Upstream: upstream.But(wrong, []byte("tampered with")), large: large, wrong: wrong, sent: make(chan struct{})})
	if got := runProduct(t, first, args...); got.code != 4 {
		t.Fatalf("exit code %d, want 4", got.code)
	}
	var mu sync.Mutex
	var ranges []string
	second := startProxyTo(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == storagePath(large) {
			mu.Lock()
			ranges = append(ranges, r.Header.Get("Range"))
			mu.Unlock()
		}
		upstream.ServeHTTP(w, r)
	}))
	if got := runProduct(t, second, args...); got.code != 0 {
		t.Fatalf("exit code %d, want 0", got.code)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ranges) != 1 || !strings.HasPrefix(ranges[0], "bytes=") || ranges[0] == "bytes=0-" {
		t.Errorf("the second pull asked for the ranges %q of %s, want it to go on where the first one stopped", ranges, large)
	}
}

// stalling is an upstream that sends the first part of one file and then nothing, and another file after that.
type stalling struct {
	*Upstream
	large, wrong string
	once         sync.Once
	sent         chan struct{}
}

func (s *stalling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == storagePath(s.large):
		f := s.files[s.large]
		w.Header().Set("ETag", f.etag())
		w.Header().Set("Accept-Ranges", "bytes")
		w.Header().Set("Content-Length", strconv.Itoa(len(f.content)))
		// More than the buffers on the way hold, so that the client has read some of it when this returns.
		w.Write(f.content[:16<<20])
		s.once.Do(func() { close(s.sent) })
		<-r.Context().Done()
	case r.Method == http.MethodGet && "https://"+r.Host+r.URL.Path == s.wrong:
		<-s.sent
		fallthrough
	default:
		s.Upstream.ServeHTTP(w, r)
	}
}

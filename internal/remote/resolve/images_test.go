package resolve

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

var (
	amd64 = agent.Platform{OS: "linux", Arch: "amd64"}
	arm64 = agent.Platform{OS: "linux", Arch: "arm64"}
)

func nobody(context.Context, string, string) (registry.Credentials, error) {
	return registry.Credentials{}, nil
}

// hub serves manifests and blobs of whatever repository, by the last part of
// the path: a real registry would not take what a hostile one serves.
type hub struct {
	host  string
	files map[string]string
	asked []string
}

func newHub(t *testing.T, r *Resolver) *hub {
	t.Helper()
	h := &hub{files: map[string]string{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/" {
			return
		}
		h.asked = append(h.asked, req.URL.Path)
		data, ok := h.files[req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]]
		if !ok {
			http.NotFound(w, req)
			return
		}
		w.Write([]byte(data))
	}))
	t.Cleanup(srv.Close)
	h.host = strings.TrimPrefix(srv.URL, "http://")
	var err error
	r.Registry = registry.New(registry.Config{PlainHTTP: true, Credentials: nobody, Options: transfer.Options{IdleTimeout: 10 * time.Second, Retry: transfer.Retry{Limit: -1}}})
	check(t, err)
	t.Cleanup(r.Registry.Close)
	return h
}

// put serves a document under its digest.
func (h *hub) put(t *testing.T, document any) descriptor {
	t.Helper()
	data, err := json.Marshal(document)
	check(t, err)
	d := descriptor{Digest: lock.Sum(data).OCI(), Size: int64(len(data))}
	h.files[d.Digest] = string(data)
	return d
}

// typed is what documents say of themselves.
type typed struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`
}

// image serves an image for a platform.
func (h *hub) image(t *testing.T, p agent.Platform, change func(*imageManifest)) descriptor {
	t.Helper()
	m := imageManifest{Config: h.put(t, imagePlatform{OS: p.OS, Architecture: p.Arch})}
	if change != nil {
		change(&m)
	}
	d := h.put(t, struct {
		typed
		imageManifest
	}{typed{2, "application/vnd.oci.image.manifest.v1+json"}, m})
	d.Platform = &imagePlatform{OS: p.OS, Architecture: p.Arch}
	return d
}

// tag serves an image index under the tag v1.
func (h *hub) tag(t *testing.T, manifests ...descriptor) {
	t.Helper()
	d := h.put(t, struct {
		typed
		imageIndex
	}{typed{2, "application/vnd.oci.image.index.v1+json"}, imageIndex{manifests}})
	h.files["v1"] = h.files[d.Digest]
}

func (h *hub) resolve(t *testing.T, r *Resolver, pinned *lock.Lock, platforms ...agent.Platform) (*lock.Image, error) {
	t.Helper()
	plan := &Plan{Lock: &lock.Lock{Platforms: platforms}}
	err := r.images(t.Context(), Selection{Members: Members{AgentImage: h.host + "/a/b:v1"}, pinned: pinned}, plan)
	return plan.Lock.AgentImage, err
}

// TestImageIndexNames has an image index that names anything but a sha256.
func TestImageIndexNames(t *testing.T) {
	r, _ := newResolver(t)
	h := newHub(t, r)
	d := h.image(t, amd64, nil)
	h.tag(t, d)
	_, err := h.resolve(t, r, nil, amd64)
	check(t, err)
	good := d.Digest
	for _, bad := range []string{"sha512:" + strings.Repeat("a", 128), strings.ToUpper(good), "sha256:" + strings.ToUpper(good[7:]), "../../x", "latest", "", "\x1b[31m", strings.Repeat("x", 1<<20)} {
		h.files[bad] = h.files[good]
		d.Digest = bad
		h.tag(t, d)
		h.asked = nil
		_, err := h.resolve(t, r, nil, amd64)
		wantFault(t, err, fault.Integrity, "the image index has the digest", "linux/amd64", "malformed")
		if len(h.asked) != 1 {
			t.Errorf("%.40q: asked for %q", bad, h.asked)
		}
	}
}

func TestManifestNames(t *testing.T) {
	for what, tt := range map[string]struct {
		change func(*imageManifest)
		want   string
	}{
		"no size":       {func(m *imageManifest) { m.Config.Size = 0 }, "with a size of 0 bytes"},
		"no digest":     {func(m *imageManifest) { m.Config.Digest = "" }, `the digest "": the digest is malformed`},
		"in colour":     {func(m *imageManifest) { m.Config.Digest = "\x1b[31m" }, "malformed"},
		"without end":   {func(m *imageManifest) { m.Config.Digest = strings.Repeat("x", 1<<20) }, "malformed"},
		"negative size": {func(m *imageManifest) { m.Layers = []descriptor{{Digest: m.Config.Digest, Size: -1}} }, "-1 bytes"},
	} {
		t.Run(what, func(t *testing.T) {
			r, _ := newResolver(t)
			h := newHub(t, r)
			h.tag(t, h.image(t, amd64, tt.change))
			_, err := h.resolve(t, r, nil, amd64)
			wantFault(t, err, fault.Integrity, tt.want)
			if strings.Contains(err.Error(), "%!") {
				t.Error(err)
			}
		})
	}
}

// TestImageOfAnotherServer has a rule lead to a server that answers with anything.
func TestImageOfAnotherServer(t *testing.T) {
	r, _ := newResolver(t)
	h := newHub(t, r)
	via, err := transfer.ParseVia([]string{"docker://ghcr.io=docker://" + h.host + "/wrong"})
	check(t, err)
	r.Registry = registry.New(registry.Config{PlainHTTP: true, Credentials: nobody, Options: transfer.Options{Via: via, Retry: transfer.Retry{Limit: -1}}})
	t.Cleanup(r.Registry.Close)
	for _, answer := range []string{"{}", "OK"} {
		h.files["v1"] = answer
		plan := &Plan{Lock: &lock.Lock{Platforms: []agent.Platform{amd64}}}
		err := r.images(t.Context(), Selection{Members: Members{AgentImage: "ghcr.io/a/b:v1"}}, plan)
		wantFault(t, err, fault.Integrity, "ghcr.io/a/b:v1")
		if hint := fault.HintOf(err); !strings.Contains(hint, "check that "+h.host+"/wrong/a/b has this image") {
			t.Errorf("%s: %s", answer, hint)
		}
	}
}

func TestPlatformsInMessages(t *testing.T) {
	r, _ := newResolver(t)
	h := newHub(t, r)
	_, err := h.resolve(t, r, nil, agent.Platform{OS: "darwin", Arch: "arm64"}, agent.Platform{OS: "windows", Arch: "amd64"})
	wantFault(t, err, fault.Usage, "the platforms are darwin/arm64, windows/amd64")
	d := h.image(t, arm64, nil)
	h.files["v1"] = h.files[d.Digest]
	_, err = h.resolve(t, r, nil, amd64, arm64)
	wantFault(t, err, fault.Incomplete, "for linux/arm64 only, but the platforms are linux/amd64, linux/arm64")

	hostile := d
	hostile.Platform = &imagePlatform{OS: "\x1b[31m", Architecture: strings.Repeat("x", 1<<20)}
	variants := []descriptor{hostile, d, d}
	for range 1000 {
		variants = append(variants, descriptor{Platform: &imagePlatform{OS: "os" + strings.Repeat("x", len(variants)%30), Architecture: "arch"}})
	}
	h.tag(t, variants...)
	_, err = h.resolve(t, r, nil, amd64)
	wantFault(t, err, fault.Incomplete, "no image for linux/amd64; there is one for: linux/arm64, os")
}

// TestPinnedManifestDamaged begins with a store in which the manifest is damaged.
func TestPinnedManifestDamaged(t *testing.T) {
	r, dir := newResolver(t)
	h := newHub(t, r)
	h.tag(t, h.image(t, amd64, nil))
	image, err := h.resolve(t, r, nil, amd64)
	check(t, err)
	sum := image.Manifests[0].SHA256
	blob := filepath.Join(dir, "blobs", "sha256", sum.String())
	check(t, os.Chmod(blob, 0o600))
	check(t, os.WriteFile(blob, []byte(strings.Repeat("x", int(image.Manifests[0].Size))), 0o600))
	r.Store.Forget(sum)
	again, err := h.resolve(t, r, &lock.Lock{AgentImage: image}, amd64)
	check(t, err)
	if again.Manifests[0].SHA256 != sum {
		t.Errorf("%+v", again)
	}
	check(t, r.Store.Verify(t.Context(), sum))
}

// TestWholeIndex keeps upstream's index where all that it names is taken: what runs nowhere comes
// along, other platforms only if all are wanted.
func TestWholeIndex(t *testing.T) {
	r, _ := newResolver(t)
	h := newHub(t, r)
	arm := agent.Platform{OS: "linux", Arch: "arm"}
	a, b, c := h.image(t, amd64, nil), h.image(t, arm64, nil), h.image(t, arm, nil)
	attestation := h.image(t, agent.Platform{OS: "unknown", Arch: "unknown"}, nil)
	nested := h.put(t, typed{2, "application/vnd.oci.image.index.v1+json"})
	nested.Platform = attestation.Platform
	lost := h.image(t, agent.Platform{OS: "unknown", Arch: "lost"}, nil)
	delete(h.files, lost.Digest)
	odd := h.image(t, agent.Platform{OS: "unknown", Arch: "odd"}, func(m *imageManifest) { m.Config.Size = 0 })
	for name, tt := range map[string]struct {
		index     []descriptor
		platforms []agent.Platform
		all       bool
		others    int // -1: the index is not whole
	}{
		"all platforms are named":  {[]descriptor{a, b, attestation}, []agent.Platform{amd64, arm64}, false, 1},
		"no attestation":           {[]descriptor{a}, []agent.Platform{amd64}, false, 0},
		"a platform is left out":   {[]descriptor{a, b}, []agent.Platform{amd64}, false, -1},
		"all are wanted":           {[]descriptor{a, attestation, c, b, c}, []agent.Platform{amd64, arm64}, true, 2},
		"an index within":          {[]descriptor{a, nested}, []agent.Platform{amd64}, true, -1},
		"an attestation is lost":   {[]descriptor{a, lost}, []agent.Platform{amd64}, true, -1},
		"an attestation is odd":    {[]descriptor{a, odd}, []agent.Platform{amd64}, true, -1},
		"an attestation is no sum": {[]descriptor{a, {Digest: "sha512:ab"}}, []agent.Platform{amd64}, true, -1},
	} {
		h.tag(t, tt.index...)
		plan := &Plan{Lock: &lock.Lock{Platforms: tt.platforms}}
		sel := Selection{Selection: index.Selection{AllPlatforms: tt.all}, Members: Members{AgentImage: h.host + "/a/b:v1"}}
		if err := r.images(t.Context(), sel, plan); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		im := plan.Lock.AgentImage
		if tt.others < 0 {
			if im.Index != nil {
				t.Errorf("%s: %+v", name, im.Index)
			}
			sel.Members.WholeImage = true
			err := r.images(t.Context(), sel, plan)
			if name == "a platform is left out" {
				if err != nil || plan.Lock.AgentImage.Index == nil {
					t.Errorf("%s, wanted whole: %v", name, err)
				}
				continue
			}
			wantFault(t, err, fault.Incomplete, "cannot keep its digest", "leave out --whole-image")
			continue
		}
		if im.Index == nil || len(im.Index.Others) != tt.others || string(im.Index.Data) != h.files["v1"] || len(im.Manifests) != len(tt.platforms) {
			t.Errorf("%s: %+v, index %+v", name, im, im.Index)
			continue
		}
		// A lock that has it gives it again, and a part of that does not.
		again, err := h.resolve(t, r, plan.Lock, tt.platforms...)
		check(t, err)
		if !reflect.DeepEqual(again, im) {
			t.Errorf("%s, pinned: %+v", name, again)
		}
		if len(tt.platforms) > 1 {
			if part, err := h.resolve(t, r, plan.Lock, amd64); err != nil || part.Index != nil {
				t.Errorf("%s, a part: %+v, %v", name, part, err)
			}
		}
	}
}

package script

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// registries are those of a script, by name.
type registries map[string]*registrytest.Registry

func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: registry NAME [tls] [auth]")
	}
	o := registrytest.Options{Memory: true}
	for _, option := range args[1:] {
		o.TLS = o.TLS || option == "tls"
		o.Auth = o.Auth || option == "auth"
	}
	dir := ts.MkAbs(".registry-" + args[0])
	ts.Check(os.Mkdir(dir, 0o755))
	r, err := registrytest.StartRegistry(dir, o)
	ts.Check(err)
	ts.Defer(r.Close)
	ts.Check(registrytest.WriteDockerConfig(dir, registrytest.User, registrytest.Password, r.Host))
	ts.Setenv(args[0], r.Host)
	ts.Setenv(args[0]+"_CA", r.CAFile)
	ts.Setenv(args[0]+"_CONFIG", dir)
	ts.Value(registriesKey{}).(registries)[args[0]] = r
}

// registriesKey is the key of a script's registries.
type registriesKey struct{}

func startProxy(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 5 {
		ts.Fatalf("usage: proxy NAME REGISTRY METHOD PATH ACTION [times=N] [at=N] [skip=N]")
	}
	r := ts.Value(registriesKey{}).(registries)[args[1]]
	if r == nil {
		ts.Fatalf("there is no registry %s", args[1])
	}
	fault := registrytest.Fault{Method: args[2], Path: args[3]}
	switch action := args[4]; action {
	case "cut":
		fault.Do = registrytest.CutRequest
	case "cutresponse":
		fault.Do = registrytest.CutResponse
	case "flip":
		fault.Do = registrytest.FlipResponse
	case "drop":
		fault.Do = registrytest.DropResponse
	default:
		status, err := strconv.Atoi(action)
		ts.Check(err)
		fault.Do, fault.Status, fault.Header = registrytest.Answer, status, http.Header{}
	}
	for _, option := range args[5:] {
		key, value, _ := strings.Cut(option, "=")
		n, err := strconv.Atoi(value)
		ts.Check(err)
		switch key {
		case "times":
			fault.Times = n
		case "at":
			fault.At = int64(n)
		case "skip":
			fault.Skip = n
		default:
			ts.Fatalf("unknown option %q", option)
		}
	}
	p, err := r.StartProxy(fault)
	ts.Check(err)
	ts.Setenv(args[0], p.Host)
}

// startLike starts a proxy before a registry that has it behave like another one.
func startLike(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: like NAME REGISTRY HABIT")
	}
	r := ts.Value(registriesKey{}).(registries)[args[1]]
	faults, known := registrytest.Habits[args[2]]
	if r == nil || !known {
		ts.Fatalf("there is no registry %s, or no habit %s", args[1], args[2])
	}
	p, err := r.StartProxy(faults...)
	ts.Check(err)
	dir := ts.MkAbs(".docker-" + args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(registrytest.WriteDockerConfig(dir, registrytest.User, registrytest.Password, p.Host))
	ts.Setenv(args[0], p.Host)
	ts.Setenv(args[0]+"_CONFIG", dir)
}

// pushAgentImage pushes an image of random layers, which are the same in every
// run, with an attestation beside them as buildx makes one.
func pushAgentImage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: agentimage REGISTRY/PATH:TAG PLATFORM...")
	}
	ref, err := name.NewTag(args[0], name.Insecure)
	ts.Check(err)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	add := func(p v1.Platform) {
		img, err := random.Image(2000, 3)
		ts.Check(err)
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture})
		ts.Check(err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON), Descriptor: v1.Descriptor{Platform: &p}})
	}
	for _, arg := range args[1:] {
		os, arch, _ := strings.Cut(arg, "/")
		add(v1.Platform{OS: os, Architecture: arch})
	}
	add(v1.Platform{OS: "unknown", Architecture: "unknown"})
	ts.Check(remote.WriteIndex(ref, index))
}

// attach attaches a text to what a tag names, as a referrer of a type. With the end of a tag in its
// place, it does so as cosign does.
func attach(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: attach REGISTRY/PATH:TAG TYPE|.sig TEXT")
	}
	ref, err := name.NewTag(args[0], name.Insecure)
	ts.Check(err)
	subject, err := remote.Head(ref)
	ts.Check(err)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), static.NewLayer([]byte(args[2]), "text/plain"))
	ts.Check(err)
	if strings.HasPrefix(args[1], ".") {
		ts.Check(remote.Write(ref.Context().Tag(strings.Replace(subject.Digest.String(), ":", "-", 1)+args[1]), img))
		return
	}
	referrer := mutate.Subject(mutate.ConfigMediaType(img, types.MediaType(args[1])), *subject).(v1.Image)
	digest, err := referrer.Digest()
	ts.Check(err)
	ts.Check(remote.Write(ref.Context().Digest(digest.String()), referrer))
}

// flatten makes of the layers that skopeo wrote to a directory (dir:) the root
// file system that a container runtime would.
func flatten(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: rootfs DIR ROOT")
	}
	from, root := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	data, err := os.ReadFile(filepath.Join(from, "manifest.json"))
	ts.Check(err)
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	ts.Check(err)
	for _, layer := range manifest.Layers {
		f, err := os.Open(filepath.Join(from, layer.Digest.Hex))
		ts.Check(err)
		zr, err := gzip.NewReader(f)
		ts.Check(err)
		ts.Check(untar(zr, root))
		ts.Check(f.Close())
	}
}

func untar(r io.Reader, root string) error {
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) || h.Uid != 0 || h.Gid != 0 {
			return fmt.Errorf("layer entry %s of %d:%d", h.Name, h.Uid, h.Gid)
		}
		to := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			continue
		}
		data, err := io.ReadAll(tr)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err == nil {
			err = os.Chmod(to, h.FileInfo().Mode())
		}
		if err != nil {
			return err
		}
	}
}

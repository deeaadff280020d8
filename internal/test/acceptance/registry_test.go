//go:build linux

package acceptance

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"oras.land/oras-go/v2/content"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// TestAgentStartsFromRegistry carries a bundle into a registry, from that into another one, as over
// a second gap, and makes a directory of what arrives. What oras attached to the bundle in the
// first one, it finds in the second.
func TestAgentStartsFromRegistry(t *testing.T) {
	t.Parallel()
	near, far := registrytest.Start(t, registrytest.Options{}), registrytest.Start(t, registrytest.Options{})
	const bundle = "/botkube-plugins-bundle:" + Version
	// No step finds in a store what another one has left there.
	newStore := func() []string { return []string{"--plain-http", "--store", filepath.Join(tempDir(t), "store")} }
	push := func(args ...string) {
		t.Helper()
		runOffline(t, append(append([]string{"push"}, args...), newStore()...)...)
	}

	push(bundleAll(t), near.Host+"/near")
	want := openImage(t, imageAll(t)).digest.String()
	if got := digestOf(t, near, "near/botkube-plugins"); got != want {
		t.Errorf("the image in the registry is %s, want that of the file, %s", got, want)
	}
	attach(t, near.Host+"/near/botkube-plugins-bundle")
	push("docker://"+near.Host+"/near"+bundle, far.Host+"/far/away", "--source-plain-http", "--skip", "image")
	near.Close()
	checkAttached(t, far.Host+"/far/away/botkube-plugins-bundle")
	m := unpack(t, "docker://"+far.Host+"/far/away"+bundle, newStore()...)
	m.checkPulled(t)
	m.checkStarts(t)
}

// checkAttached wants oras to find what [attach] attached.
func checkAttached(t *testing.T, repository string) {
	t.Helper()
	repo := orasRepository(t, repository)
	subject, err := repo.Resolve(t.Context(), Version)
	if err != nil {
		t.Fatal(err)
	}
	found, err := repo.Predecessors(t.Context(), subject)
	if err != nil || len(found) != 1 || found[0].ArtifactType != "application/vnd.cyclonedx+json" {
		t.Fatalf("what is attached to %s is %+v, %v", repository, found, err)
	}
	if _, err := content.Successors(t.Context(), repo, found[0]); err != nil {
		t.Error(err)
	}
}

// digestOf asks a registry what the release's tag of a repository is.
func digestOf(t *testing.T, r *registrytest.Registry, repository string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodHead, r.URL+"/v2/"+repository+"/manifests/"+Version, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", string(types.OCIImageIndex))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s of %s in the registry: %s", Version, repository, answer.Status)
	}
	return answer.Header.Get("Docker-Content-Digest")
}

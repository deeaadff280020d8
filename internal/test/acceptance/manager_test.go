//go:build linux

package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/artifactorytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// TestAgentStartsFromWhatCameThroughARepositoryManager pulls the release where only a company's Artifactory is reached,
// and wants what the direct way gives.
func TestAgentStartsFromWhatCameThroughARepositoryManager(t *testing.T) {
	authority := tlstest.NewAuthority("company")
	manager := artifactorytest.Start(release(t), authority.Server(), func(*http.Request) {})
	t.Cleanup(manager.Close)
	if err := manager.Take("artifactory", "nohead", "signed", "coded"); err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	ca, config := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "botkube-mirror.yaml")
	writeFile(t, ca, authority.PEM())
	text := fmt.Sprintf("ca-file: %s\nvia:\n", ca)
	for _, host := range []string{"github.com", "dl.k8s.io", "get.helm.sh", "raw.githubusercontent.com"} {
		to := url.URL{Scheme: "https", User: url.UserPassword(artifactorytest.User, artifactorytest.Password), Host: manager.Host, Path: "/artifactory/" + host + "/"}
		text += fmt.Sprintf("  https://%s/: %s\n", host, &to)
	}
	writeFile(t, config, []byte(text))

	blocked := startProxy(t, nil)
	m := pullThrough(t, blocked, "-f", config, "--platform", here.String(), "--store", filepath.Join(dir, "store"))
	if asked := blocked.Requests(); len(asked) > 0 {
		t.Errorf("pull asked for %v", asked)
	}
	m.checkStarts(t)

	direct := pullAll(t)
	if want, got := readTree(t, direct.dir).binaries(), readTree(t, m.dir).binaries(); !equalTrees(want, got) {
		t.Errorf("the direct way (-) and that through the manager (+) differ:\n%s", diffTrees(want, got))
	}
	want, err := os.ReadFile(filepath.Join(direct.dir, ".botkube-mirror", "lock.json"))
	got, err2 := os.ReadFile(filepath.Join(m.dir, ".botkube-mirror", "lock.json"))
	if err != nil || err2 != nil || !bytes.Equal(want, got) {
		t.Errorf("the locks differ: %v, %v\n%s\n%s", err, err2, want, got)
	}
}

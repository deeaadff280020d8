//go:build linux

package acceptance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/cli"
	helmregistry "helm.sh/helm/v3/pkg/registry"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
)

// TestHelmPullsChart has Helm's own client, which is what helm pull calls, pull a chart that a bundle carried.
func TestHelmPullsChart(t *testing.T) {
	t.Parallel()
	version := strings.TrimPrefix(Version, "v")
	chart := packChart(t, version)
	index, err := filepath.Abs("../../../testdata/upstream/plugins-index.yaml")
	if err != nil {
		t.Fatal(err)
	}
	target := registrytest.Start(t, registrytest.Options{})
	dir := tempDir(t)
	bundle := filepath.Join(dir, "bundle.tar")
	runOffline(t, "pull", "--version", Version, "--repository", "demo="+index, "--plugin", "demo/hello", "--platform", "linux/amd64",
		"--with-chart="+serveChart(t, version, chart), "--store", filepath.Join(dir, "store"), "-o", bundle)
	runOffline(t, "push", bundle, target.Host+"/mirror", "--plain-http", "--skip", "image", "--skip", "bundle")

	client, err := helmregistry.NewClient(helmregistry.ClientOptPlainHTTP(), helmregistry.ClientOptCredentialsFile(filepath.Join(dir, "none.json")))
	if err != nil {
		t.Fatal(err)
	}
	repository := target.Host + "/mirror/charts/botkube"
	for _, tag := range []string{version, Version} {
		got, err := client.Pull(repository + ":" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Chart.Data, chart) {
			t.Errorf("Helm pulled a chart of %d bytes that is not the one of %d", len(got.Chart.Data), len(chart))
		}
		if m := got.Chart.Meta; m.Name != "botkube" || m.Version != version || m.Description != "Controller for the Botkube Slack app" {
			t.Errorf("Helm reads of the chart %+v", m)
		}
	}

	// helm pull asks for the tag that --version names, and without one for the newest that it takes
	// for a version.
	for _, asked := range []string{version, Version, ""} {
		pull := action.NewPullWithOpts(action.WithConfig(&action.Configuration{RegistryClient: client}))
		pull.Settings, pull.DestDir, pull.Version, pull.PlainHTTP = cli.New(), tempDir(t), asked, true
		if out, err := pull.Run("oci://" + repository); err != nil {
			t.Errorf("helm pull --version %q: %v\n%s", asked, err, out)
			continue
		}
		files, err := os.ReadDir(pull.DestDir)
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if got, err := os.ReadFile(filepath.Join(pull.DestDir, files[0].Name())); err != nil || !bytes.Equal(got, chart) {
			t.Errorf("helm pull --version %q wrote another chart: %v", asked, err)
		}
	}
}

// packChart makes a chart of Botkube.
func packChart(t *testing.T, version string) []byte {
	t.Helper()
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	tw := tar.NewWriter(zw)
	for name, content := range map[string]string{
		"botkube/Chart.yaml":  "apiVersion: v2\nname: botkube\nversion: " + version + "\ndescription: Controller for the Botkube Slack app\n",
		"botkube/values.yaml": "image: {registry: ghcr.io}\n",
	} {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// serveChart serves a chart repository with one chart.
func serveChart(t *testing.T, version string, chart []byte) string {
	t.Helper()
	index := fmt.Sprintf("apiVersion: v1\nentries: {botkube: [{name: botkube, version: %s, urls: [botkube.tgz], digest: %s}]}\n", version, lock.Sum(chart))
	mux := http.NewServeMux()
	mux.HandleFunc("/index.yaml", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, index) })
	mux.HandleFunc("/botkube.tgz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(chart) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

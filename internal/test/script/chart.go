package script

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// writeChart writes index.yaml and a chart into a directory. A digest that is
// given stands in the index in place of the right one; "none" leaves it out.
func writeChart(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: chart DIR VERSION [DIGEST]")
	}
	dir, version := ts.MkAbs(args[0]), args[1]
	chart := fmt.Sprintf("apiVersion: v2\nname: botkube\nversion: %s\nappVersion: %s\ndescription: Controller for the Botkube Slack app\n", version, version)
	var tgz bytes.Buffer
	zw := gzip.NewWriter(&tgz)
	tw := tar.NewWriter(zw)
	for _, file := range []struct{ name, data string }{
		{"botkube/Chart.yaml", chart},
		{"botkube/values.yaml", "image:\n  registry: ghcr.io\n"},
		{"botkube/templates/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"},
	} {
		ts.Check(tw.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data)), Typeflag: tar.TypeReg}))
		_, err := tw.Write([]byte(file.data))
		ts.Check(err)
	}
	ts.Check(tw.Close())
	ts.Check(zw.Close())
	digest := lock.Sum(tgz.Bytes()).String()
	if len(args) > 2 {
		digest = strings.TrimPrefix(args[2], "none")
	}
	file := "botkube-" + version + ".tgz"
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, file), tgz.Bytes(), 0o644))
	index := fmt.Sprintf("apiVersion: v1\nentries:\n  botkube:\n  - name: botkube\n    version: 0.0.1\n    urls: [none.tgz]\n  - name: botkube\n    version: %s\n    urls: [%s]\n    digest: %q\n", version, file, digest)
	ts.Check(os.WriteFile(filepath.Join(dir, "index.yaml"), []byte(index), 0o644))
}

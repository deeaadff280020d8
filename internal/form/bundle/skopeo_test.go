package bundle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func skopeo(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), tier.Program(t, "skopeo"), append([]string{"--insecure-policy", "--tmpdir", t.TempDir()}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("skopeo %q: %v\n%s", args, err, stderr.Bytes())
	}
	return out.Bytes()
}

// Skopeo reads every form, and what it writes is read.
func TestSkopeo(t *testing.T) {
	tier.Program(t, "skopeo")
	l, m := fullWorld(t)
	c := plan(t, l, m)
	dir := t.TempDir()
	file, layout := filepath.Join(dir, "b.tar"), filepath.Join(dir, "layout")
	if _, err := WriteFile(t.Context(), file, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteLayout(t.Context(), layout, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"oci-archive:" + file, "oci:" + layout} {
		for _, ref := range []string{from, from + ":" + c.Tag} {
			if raw := skopeo(t, "inspect", "--raw", ref); !bytes.Equal(raw, c.Index.Data) {
				t.Errorf("skopeo inspect --raw %s: %s", ref, raw)
			}
		}
		for _, to := range []string{"oci-archive:" + filepath.Join(dir, "copy.tar"), "oci:" + filepath.Join(dir, "copy")} {
			for _, tag := range []string{"", ":" + c.Tag}[tier.Pick(1, 0):] {
				t.Run(from+" "+to+tag, func(t *testing.T) {
					path := filepath.Join(dir, "copy")
					if to != "oci:"+path {
						path += ".tar"
					}
					if err := os.RemoveAll(path); err != nil {
						t.Fatal(err)
					}
					skopeo(t, "copy", "--all", "--preserve-digests", from, to+tag)
					sameBundle(t, c, path)
				})
			}
		}
	}
	t.Run("registry", func(t *testing.T) {
		remote := "docker://" + registrytest.Start(t, registrytest.Options{}).Host + "/mirror/botkube:" + c.Tag
		skopeo(t, "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci-archive:"+file, remote)
		if raw := skopeo(t, "inspect", "--raw", "--tls-verify=false", remote); !bytes.Equal(raw, c.Index.Data) {
			t.Errorf("skopeo inspect --raw: %s", raw)
		}
		back := filepath.Join(dir, "back.tar")
		skopeo(t, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", remote, "oci-archive:"+back+":"+c.Tag)
		sameBundle(t, c, back)
	})
}

// Without --preserve-digests, skopeo makes OCI manifests of Docker's: that is
// another agent image than the lock's, and is said.
func TestSkopeoConverts(t *testing.T) {
	l, m := fullWorld(t)
	dir := t.TempDir()
	file, copied := filepath.Join(dir, "b.tar"), filepath.Join(dir, "c.tar")
	c := plan(t, l, m)
	if _, err := WriteFile(t.Context(), file, c, form.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	skopeo(t, "copy", "--all", "oci-archive:"+file, "oci-archive:"+copied+":"+c.Tag)
	wantError(t, verifyAll(t.Context(), copied), 4, "agent image", "--preserve-digests")
}

// sameBundle compares what is read of a path with contents.
func sameBundle(t *testing.T, c *Contents, path string) {
	t.Helper()
	if err := verifyAll(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	b, err := openPath(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if !bytes.Equal(tarOf(t, b.contents), tarOf(t, c)) {
		t.Error("what was read is another bundle")
	}
}

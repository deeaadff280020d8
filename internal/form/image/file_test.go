package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func TestWriteTwice(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)...)
	name := filepath.Join(t.TempDir(), "image.tar")
	write := func() form.Written {
		result, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{}))
		check(t, err)
		wantOnly(t, filepath.Dir(name), "image.tar")
		return result
	}
	first := write()
	if !first.Changed {
		t.Error("a new file did not change")
	}
	data, err := os.ReadFile(name)
	check(t, err)
	before, err := os.Stat(name)
	check(t, err)
	second := write()
	after, err := os.Stat(name)
	check(t, err)
	if second.Changed || second.Digest != first.Digest || !os.SameFile(before, after) {
		t.Error("the same image was written again")
	}
	spoilt := bytes.Clone(data)
	spoilt[len(spoilt)/2] ^= 1
	for _, there := range [][]byte{spoilt, data[:len(data)-1], nil} {
		check(t, os.WriteFile(name, there, 0o644))
		again := write()
		if got, err := os.ReadFile(name); err != nil || !again.Changed || !bytes.Equal(got, data) {
			t.Errorf("what was there was left: %t, %v", again.Changed, err)
		}
	}
}

// TestKilled leaves what a process leaves that is killed while it writes.
func TestKilled(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	dir := t.TempDir()
	for _, name := range []string{".image.tar.lock", ".image.tar.tmp-X", ".image.tar.tmp-Y"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	_, err := WriteFile(context.Background(), filepath.Join(dir, "image.tar"), f.lock, f.source(), with(form.WriteOptions{}))
	check(t, err)
	wantOnly(t, dir, "image.tar")
}

func TestLink(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, link := filepath.Join(elsewhere, "real.tar"), filepath.Join(dir, "image.tar")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := atomicfile.Check(link); fault.KindOf(err) != fault.Usage {
		t.Errorf("a link to nowhere: %v", err)
	}
	check(t, os.WriteFile(target, nil, 0o644))
	check(t, atomicfile.Check(link))
	_, err := WriteFile(context.Background(), link, f.lock, f.source(), with(form.WriteOptions{}))
	check(t, err)
	if fi, err := os.Stat(target); err != nil || fi.Size() == 0 {
		t.Errorf("where the link leads nothing was written: %v", err)
	}
	wantOnly(t, elsewhere, "real.tar")
}

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o644))
	check(t, atomicfile.Check(file))
	check(t, atomicfile.Check(filepath.Join(dir, "new.tar")))
	check(t, atomicfile.Check(filepath.Join(dir, "new", "and", "new.tar")))
	wantOnly(t, dir, "file")
	refused := []string{"", dir, dir + "/none/", filepath.Join(file, "x.tar")}
	if runtime.GOOS == "linux" {
		refused = append(refused, "/dev/null")
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		sealed := filepath.Join(dir, "sealed")
		check(t, os.Mkdir(sealed, 0o555))
		refused = append(refused, filepath.Join(sealed, "x.tar"))
		defer os.Chmod(sealed, 0o755)
	}
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	for _, name := range refused {
		if err := atomicfile.Check(name); fault.KindOf(err) != fault.Usage {
			t.Errorf("atomicfile.Check(%q): %v", name, err)
		}
		if _, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{})); fault.KindOf(err) != fault.Usage {
			t.Errorf("WriteFile(%q): %v", name, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Error(err)
	}
}

// TestNewDirectory wants a directory to be there if the file is, and only then.
func TestNewDirectory(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	dir := t.TempDir()
	name := filepath.Join(dir, "new", "and", "image.tar")
	if _, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{Seeders: form.Seeders{Given: []form.Seeder{seed(arm64, "none")}}})); err == nil {
		t.Error("no error")
	}
	wantOnly(t, dir)
	result, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{}))
	if err != nil || !result.Changed {
		t.Errorf("%t, %v", result.Changed, err)
	}
	wantOnly(t, filepath.Dir(name), "image.tar")
}

func TestMounts(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	for _, mount := range []string{"plugins", "/", "/a/../b", "/botkube-mirror", "/botkube-mirror/x", "/a\x00b", "/.wh.a", "/a/.wh..wh..opq/b"} {
		if _, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{Mount: mount}), discard{}); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", mount, err)
		}
	}
}

// TestTwoRuns has the second of two runs wait for the first, and then find its
// work done.
func TestTwoRuns(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	name := filepath.Join(t.TempDir(), "image.tar")
	waiting, finished := make(chan string, 1), make(chan error, 1)
	var result form.Written
	second := func() {
		var err error
		result, err = WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{Waiting: func(path string) { waiting <- path }}))
		finished <- err
	}
	var once bool
	_, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{Wrote: func(string) {
		if once {
			return
		}
		once = true
		go second()
		if path := <-waiting; path != name {
			t.Errorf("it waits for %s", path)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := WriteFile(ctx, name, f.lock, f.source(), with(form.WriteOptions{})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third run: %v", err)
		}
	}}))
	check(t, err)
	check(t, <-finished)
	if result.Changed {
		t.Error("the second run wrote the same again")
	}
	wantOnly(t, filepath.Dir(name), "image.tar")
}

func TestNoRoomForLayers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("TMPDIR is for others")
	}
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64}, plugins(t)[0])
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	_, err := Build(context.Background(), f.lock, f.source(), with(form.WriteOptions{}), discard{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fault.HintOf(err), "TMPDIR") {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

// skopeo runs skopeo, or skips the test where there is none.
func skopeo(t *testing.T, args ...string) []byte {
	t.Helper()
	path := tier.Program(t, "skopeo")
	home := t.TempDir()
	policy := filepath.Join(home, "policy.json")
	check(t, os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600))
	cmd := exec.Command(path, append([]string{"--policy", policy}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skopeo %q: %v: %s", args, err, stderr.Bytes())
	}
	return out
}

func TestSkopeo(t *testing.T) {
	f := newFixture(t, "v1.14.0", []agent.Platform{amd64, arm64}, plugins(t)...)
	dir := t.TempDir()
	name := filepath.Join(dir, "image.tar")
	result, err := WriteFile(context.Background(), name, f.lock, f.source(), with(form.WriteOptions{Seeders: form.Seeders{Given: []form.Seeder{seed(amd64, buildProgram(t, amd64))}}}))
	check(t, err)
	want, err := openPath(name)
	check(t, err)

	data, err := os.ReadFile(name)
	check(t, err)
	layers, err := images(t, data)[arm64].Layers()
	check(t, err)

	var inspected struct {
		Digest string
		Layers []string
		Labels map[string]string
	}
	out := skopeo(t, "--override-os=linux", "--override-arch=arm64", "inspect", "oci-archive:"+name+":"+result.Tag)
	check(t, json.Unmarshal(out, &inspected))
	if len(inspected.Layers) != len(layers) || inspected.Labels[mountKey] != "/plugins" {
		t.Errorf("skopeo sees %+v", inspected)
	}

	skopeo(t, "copy", "--all", "--preserve-digests", "oci-archive:"+name+":"+result.Tag, "oci:"+filepath.Join(dir, "layout")+":"+result.Tag)
	copied, err := openPath(filepath.Join(dir, "layout"))
	check(t, err)
	if copied.Top.SHA256.OCI() != result.Digest || asJSON(t, copied) != asJSON(t, want) {
		t.Errorf("skopeo made %s of %s", asJSON(t, copied), asJSON(t, want))
	}

	// One platform of it, in the format that knows no annotations.
	docker := filepath.Join(dir, "docker")
	skopeo(t, "--override-os=linux", "--override-arch=amd64", "copy", "--format=v2s2", "oci-archive:"+name, "dir:"+docker)
	skopeo(t, "copy", "dir:"+docker, "oci:"+filepath.Join(dir, "single"))
	single, err := openPath(filepath.Join(dir, "single"))
	check(t, err)
	if asJSON(t, single.Lock) != asJSON(t, f.lock.ForPlatform(amd64)) || single.Mount != "/plugins" || len(single.MountOnly) > 0 {
		t.Errorf("a part of the image, converted, reads as %s", asJSON(t, single))
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	check(t, err)
	return string(data)
}

//go:build linux

package secrecy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret is something that may be written nowhere.
type secret struct {
	name, value string
	forms       []string
}

// newSecret returns a secret in the forms in which it might be written. User is
// who it is the password of, or empty.
func newSecret(name, user, value string) secret {
	s := secret{name: name, value: value, forms: []string{value, url.QueryEscape(value), hex.EncodeToString([]byte(value))}}
	texts := []string{value}
	if user != "" {
		texts = append(texts, user+":"+value)
	}
	for _, text := range texts {
		s.forms = append(s.forms, base64.StdEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)))
	}
	return s
}

// search reports secrets in data, and in what is packed in it.
func search(t testing.TB, where string, data []byte, secrets []secret) {
	t.Helper()
	for _, s := range secrets {
		for _, form := range s.forms {
			if i := bytes.Index(data, []byte(form)); i >= 0 {
				t.Errorf("%s holds %s: …%q…", where, s.name, data[max(0, i-60):min(len(data), i+len(form)+20)])
				break
			}
		}
	}
	if zr, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		if plain, err := io.ReadAll(zr); err == nil {
			search(t, where+" (gzip)", plain, secrets)
		}
		return
	}
	if len(data) < 512 || string(data[257:262]) != "ustar" {
		return
	}
	for tr := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := tr.Next()
		if err != nil {
			return
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return
		}
		// As it is, it was searched already.
		if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
			search(t, where+": "+h.Name, content, secrets)
		}
	}
}

// searchDir reports secrets in the files of a directory, and in their names. It passes
// over files that were searched before and have not changed; nil passes over none.
func searchDir(t testing.TB, dir string, secrets []secret, searched map[string]fs.FileInfo) (files int) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		search(t, "the path "+rel, []byte(rel), secrets)
		if !d.Type().IsRegular() {
			return nil
		}
		files++
		now, err := d.Info()
		if before := searched[path]; err == nil && before != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime()) {
			return nil
		}
		if searched != nil {
			searched[path] = now
		}
		data, err := os.ReadFile(path)
		search(t, rel, data, secrets)
		return err
	}))
	return files
}

// failing notes that a test would have failed.
type failing struct {
	testing.TB
	said []string
}

func (f *failing) Helper() {}

func (f *failing) Errorf(_ string, args ...any) { f.said = append(f.said, args[0].(string)) }

// TestSearch wants secrets to be found where they are.
func TestSearch(t *testing.T) {
	s := newSecret("password", "joe", "pass/w0rd")
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, err := io.WriteString(zw, "a pass/w0rd in it")
	check(t, err)
	check(t, zw.Close())
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	check(t, tw.WriteHeader(&tar.Header{Name: "blob", Size: int64(packed.Len()), Mode: 0o644, Typeflag: tar.TypeReg}))
	_, err = tw.Write(packed.Bytes())
	check(t, err)
	check(t, tw.Close())
	for _, data := range []string{
		"pass/w0rd", "x=pass%2Fw0rd&", "Basic " + base64.StdEncoding.EncodeToString([]byte("joe:pass/w0rd")), packed.String(), layer.String(),
	} {
		found := &failing{TB: t}
		search(found, "here", []byte(data), []secret{s})
		if len(found.said) != 1 || !strings.HasPrefix(found.said[0], "here") {
			t.Errorf("in %.40q: %q", data, found.said)
		}
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "x"), []byte("pass/w0rd"), 0o600))
	found := &failing{TB: t}
	if searchDir(found, dir, []secret{s}, nil); len(found.said) != 1 {
		t.Errorf("%q", found.said)
	}
}

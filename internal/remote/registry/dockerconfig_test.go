package registry

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// encodings are those in which editors of Windows save a file.
var encodings = map[string]func(string) []byte{
	"UTF-8":                      func(s string) []byte { return []byte(s) },
	"a byte order mark and CRLF": func(s string) []byte { return []byte("\ufeff" + strings.ReplaceAll(s, "\n", "\r\n")) },
	"UTF-16": func(s string) []byte {
		data := []byte{0xff, 0xfe}
		for _, unit := range utf16.Encode([]rune(s)) {
			data = append(data, byte(unit), byte(unit>>8))
		}
		return data
	},
}

// TestDockerConfigOfWindows has credentials in the file and those of helpers be found
// whatever the encoding of the file.
func TestDockerConfigOfWindows(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	helper := "#!/bin/sh\ncat > /dev/null\necho '{\"Username\": \"helped\", \"Secret\": \"pass:word\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	entry := base64.StdEncoding.EncodeToString([]byte("written:pass:word"))
	text := fmt.Sprintf("{\n  \"auths\": {\"registry.example\": {\"auth\": %q}},\n  \"credHelpers\": {\"helped.example\": \"test\"}\n}\n", entry)
	for name, encode := range encodings {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), encode(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]string{"registry.example": "written", "helped.example": "helped"} {
			if cfg, err := dockerCredentials(t.Context(), host, "x"); err != nil || cfg.Username != want || cfg.Password != "pass:word" {
				t.Errorf("%s: %q for %s, %v", name, cfg.Username, host, err)
			}
		}
	}
}

// TestDockerConfigThatIsNone says what is in the place of the file.
func TestDockerConfigThatIsNone(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for text, want := range map[string]string{
		"<html>Sign in</html>":              "it is a web page, not JSON",
		`{"auths": [{"auth": "c2VjcmV0"}]}`: "its auths is a list, not an object",
		`{"auths": `:                        "it ends before the document is complete",
		"\xff\xfe\x00\x00{\x00\x00\x00":     "its text encoding is not supported: save it as UTF-8",
	} {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dockerCredentials(t.Context(), "registry.example", "x")
		if err == nil || !strings.Contains(err.Error(), "reading the configuration in "+filepath.Join(dir, "config.json")+": "+want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestDockerConfigWithOneWrongEntry has a malformed entry matter to its registry alone.
func TestDockerConfigWithOneWrongEntry(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	text := `{"auths": {"wrong.example": {"auth": "????"}, "right.example": {"auth": "dXNlcjpwYXNz"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dockerCredentials(t.Context(), "wrong.example", "x"); err == nil || !strings.Contains(err.Error(), "config.json: an auth is not USER:PASSWORD in base64") {
		t.Errorf("wrong.example: %v", err)
	}
	if found, err := dockerCredentials(t.Context(), "right.example", "x"); err != nil || found == (Credentials{}) {
		t.Errorf("right.example: %v, %v", found, err)
	}
	if found, err := dockerCredentials(t.Context(), "other.example", "x"); err != nil || found != (Credentials{}) {
		t.Errorf("other.example: %v, %v", found, err)
	}
}

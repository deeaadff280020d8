package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Credentials are found by every name that docker, podman and skopeo give them.
func TestCredentialNames(t *testing.T) {
	const repository = "registry.example/mirror/sub/botkube"
	for _, test := range []struct{ docker, podman, name, want string }{
		{"registry.example=host", "", repository, "host"},
		{"https://registry.example=url", "", repository, "url"},
		{"registry.example=host registry.example/mirror/sub/botkube=whole", "", repository, "whole"},
		{"registry.example/mirror=part", "", repository, "part"},
		{"registry.example/mirror=part registry.example/mirror/sub=nearer", "", repository, "nearer"},
		{"registry.example/mirro=other registry.example:5000=port", "", repository, ""},
		{"", "registry.example/mirror=part registry.example=host", repository, "part"},
		{"other.example=other", "registry.example=host", repository, "host"},
		{"registry.example=docker", "registry.example=podman", repository, "docker"},
		{"https://index.docker.io/v1/=hub", "", "docker.io/acme/x", "hub"},
		{"https://index.docker.io/v1/=hub", "", "index.docker.io/acme/x", "hub"},
		{"https://index.docker.io/v1/=hub", "", "registry-1.docker.io/acme/x", "hub"},
		{"docker.io=hub", "", "docker.io/acme/x", "hub"},
		{"", "docker.io/acme=acme docker.io=hub", "docker.io/acme/x", "acme"},
		{"", "docker.io/acme=acme docker.io=hub", "docker.io/other/x", "hub"},
		{"docker.io=hub", "", repository, ""},
	} {
		dir := t.TempDir()
		t.Setenv("HOME", dir)
		t.Setenv("DOCKER_CONFIG", dir)
		t.Setenv("XDG_RUNTIME_DIR", dir)
		t.Setenv("XDG_CONFIG_HOME", dir)
		t.Setenv("REGISTRY_AUTH_FILE", "")
		writeAuths(t, filepath.Join(dir, "config.json"), test.docker)
		writeAuths(t, filepath.Join(dir, "containers", "auth.json"), test.podman)
		n, err := ParseRepository(test.name)
		if err != nil {
			t.Fatal(err)
		}
		host, path := n.wire()
		cfg, err := dockerCredentials(t.Context(), host, path)
		if err != nil || cfg.Username != test.want || test.want != "" && cfg.Password != "pass:word" {
			t.Errorf("%+v: %q, %v", test, cfg.Username, err)
		}
	}
}

// writeAuths writes a file with NAME=USER entries, if there are any.
func writeAuths(t *testing.T, file, entries string) {
	t.Helper()
	var all []string
	for _, entry := range strings.Fields(entries) {
		name, user, _ := strings.Cut(entry, "=")
		all = append(all, fmt.Sprintf("%q: {%q: %q}", name, "auth", base64.StdEncoding.EncodeToString([]byte(user+":pass:word"))))
	}
	if len(all) == 0 {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(`{"auths": {`+strings.Join(all, ", ")+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a variable has comes before what a file has, as docker takes it.
func TestCredentialsOfVariable(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, dir)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	writeAuths(t, filepath.Join(dir, "config.json"), "registry.example=file other.example=file")
	auth := base64.StdEncoding.EncodeToString([]byte("variable:pass:word"))
	for text, want := range map[string]map[string]string{
		"": {"registry.example": "file"},
		`{"auths": {"registry.example": {"auth": "` + auth + `"}}}`: {"registry.example": "variable", "other.example": "file"},
	} {
		t.Setenv("DOCKER_AUTH_CONFIG", text)
		for host, user := range want {
			if found, err := dockerCredentials(t.Context(), host, "x"); err != nil || found.Username != user {
				t.Errorf("%s with %q: %q, %v", host, text, found.Username, err)
			}
		}
	}
}

// Docker Hub goes by other names over the wire; no other registry does.
func TestWire(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"docker.io/acme/x":          "index.docker.io/acme/x",
		"docker.io/alpine":          "index.docker.io/library/alpine",
		"index.docker.io/alpine":    "index.docker.io/library/alpine",
		"registry.example/alpine":   "registry.example/alpine",
		"registry-1.docker.io/a/bc": "registry-1.docker.io/a/bc",
	} {
		n, err := ParseRepository(s)
		if err != nil {
			t.Fatal(err)
		}
		if host, path := n.wire(); host+"/"+path != want {
			t.Errorf("%s is asked for as %s/%s, want %s", s, host, path, want)
		}
	}
}

// A program that a credential helper started, and that goes on, holds nobody up. Otherwise, the
// test never ends: the program reads until the test does.
func TestCredentialHelperLeavesProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	pipe := filepath.Join(dir, "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Fatal(err)
	}
	open, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	for name, script := range map[string]string{
		"slow":  "cat <&3\ntrue",
		"agent": `cat <&3 & echo '{"Username": "user", "Secret": "secret"}'`,
	} {
		script = "#!/bin/sh\nexec 3<'" + pipe + "'\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := ask(ctx, "slow", "registry.example"); err == nil {
			t.Error("a helper that was given up has answered")
		}
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		if found, err := ask(t.Context(), "agent", "registry.example"); err != nil || found.Password != "secret" {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

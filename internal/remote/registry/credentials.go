package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Credentials for a registry. With the zero value, requests are anonymous.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// IdentityToken is for the token server, RegistryToken for the registry itself.
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// hubKey is the key of Docker Hub in docker's configuration.
const hubKey = "https://index.docker.io/v1/"

// dockerCredentials looks up the credentials for a repository as docker, podman and skopeo do, in
// their configuration files and with the credential helpers that these name.
//
// Podman and skopeo also have credentials for a part of a registry (containers-auth.json(5)). They
// call Docker Hub docker.io.
func dockerCredentials(ctx context.Context, host, path string) (Credentials, error) {
	files, unreadable := readConfigs()
	for _, key := range namesOf(host, path) {
		for _, f := range files {
			if found, err := f.entry(ctx, key); err != nil || found != (Credentials{}) {
				return found, err
			}
		}
	}
	for _, f := range files {
		for _, key := range slices.Sorted(maps.Keys(f.Auths)) {
			_, server, isURL := strings.Cut(key, "://")
			if server, _, _ = strings.Cut(server, "/"); !isURL || server != host {
				continue
			}
			if found, err := f.entry(ctx, key); err != nil || found != (Credentials{}) {
				return found, err
			}
		}
	}
	if unreadable != nil {
		return Credentials{}, unreadable
	}
	registry := host
	if dockerHub[host] {
		registry = hubKey
	}
	for _, f := range files {
		for _, key := range []string{host + "/" + path, registry} {
			if found, err := ask(ctx, f.CredsStore, key); err != nil || found != (Credentials{}) {
				return found, err
			}
		}
	}
	return Credentials{}, nil
}

// namesOf returns the keys under which a repository's credentials may be, the most specific first.
func namesOf(host, path string) (names []string) {
	hosts := []string{host}
	if dockerHub[host] {
		hosts = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", hubKey}
	}
	for part := "/" + path; part != ""; part = part[:strings.LastIndexByte(part, '/')] {
		for _, host := range hosts {
			names = append(names, host+part)
		}
	}
	return append(names, hosts...)
}

// entry returns the credentials that a file has under a key.
func (f *configFile) entry(ctx context.Context, key string) (Credentials, error) {
	found, listed := f.Auths[key]
	helper, named := f.CredHelpers[key]
	if !named && listed {
		helper = f.CredsStore
	}
	if helped, err := ask(ctx, helper, key); err != nil || helped != (Credentials{}) {
		return helped, err
	}
	if found.Auth != "" {
		return Credentials{}, badConfig(f.path, "an auth is not USER:PASSWORD in base64")
	}
	return found.Credentials, nil
}

// ask asks a credential helper for a key, if helper is not empty (docker/docker-credential-helpers,
// README.md, "Development").
func ask(ctx context.Context, helper, key string) (Credentials, error) {
	if helper == "" {
		return Credentials{}, nil
	}
	cmd := exec.CommandContext(ctx, "docker-credential-"+helper, "get")
	cmd.Stdin, cmd.Stderr = strings.NewReader(key), os.Stderr
	cmd.WaitDelay = 2 * time.Second // a child process may keep the pipe open
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the helper itself succeeded
	}
	if err != nil && string(bytes.TrimSpace(out)) == "credentials not found in native keychain" {
		return Credentials{}, nil
	}
	var answer struct{ Username, Secret string }
	if err == nil && json.Unmarshal(out, &answer) != nil {
		err = errors.New("its output is not valid JSON")
	}
	if err != nil {
		// The helper's output is not shown: it may be a password.
		program := transfer.Printable("docker-credential-"+helper, maxMessage)
		return Credentials{}, fault.New(fault.Usage, "looking up credentials: the credential helper %s failed: %s", program, transfer.Printable(err.Error(), maxMessage)).
			WithHint("run it by hand: echo %s | %s get\nit is configured in %s", fault.Quote(key), fault.Quote(program), configPlace)
	}
	if answer.Username == "<token>" {
		return Credentials{IdentityToken: answer.Secret}, nil
	}
	return Credentials{Username: answer.Username, Password: answer.Secret}, nil
}

// configPlace names docker's configuration file in messages.
const configPlace = "~/.docker/config.json (or config.json in $DOCKER_CONFIG)"

func badConfig(path, reason string) error {
	return fault.New(fault.Usage, "looking up credentials: reading the configuration in %s: %s", path, transfer.Printable(reason, maxMessage)).
		WithHint("correct it, or name another directory in DOCKER_CONFIG")
}

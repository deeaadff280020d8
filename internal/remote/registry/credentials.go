package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// scopedKeychain is a keychain that looks for the credentials of a repository under all
// names that tools give them.
type scopedKeychain struct{ authn.Keychain }

// Resolve implements [authn.Keychain].
func (k scopedKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain]. Podman and skopeo keep
// credentials of a part of a registry (containers-auth.json(5)), and call Docker Hub
// docker.io. The library knows neither, and takes those of any part for the whole.
func (k scopedKeychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	docker, podman := readDockerConfig(), readAuths(podmanFile())
	for _, key := range namesOf(target) {
		entry, there := docker.Auths[key]
		if _, helped := docker.CredHelpers[key]; helped || there && docker.CredsStore != "" {
			found, err := authn.Resolve(ctx, k.Keychain, keychainKey(key))
			if err != nil || found != authn.Anonymous {
				return found, err
			}
		}
		for _, l := range []login{entry, podman[key]} {
			if cfg, ok := l.config(); ok {
				return authn.FromConfig(cfg), nil
			}
		}
	}
	if docker.CredsStore == "" && (hasPart(docker.Auths, target) || hasPart(podman, target)) {
		return authn.Anonymous, nil
	}
	return authn.Resolve(ctx, k.Keychain, target)
}

// hasPart reports whether there are credentials of a part of a registry only.
func hasPart(auths map[string]login, target authn.Resource) bool {
	for key := range auths {
		if strings.HasPrefix(key, target.RegistryStr()+"/") {
			return true
		}
	}
	return false
}

// keychainKey is what a keychain is asked for by its name alone.
type keychainKey string

func (c keychainKey) String() string      { return string(c) }
func (c keychainKey) RegistryStr() string { return string(c) }

// namesOf returns what the credentials of a repository may be called, the scopedKeychain
// first.
func namesOf(target authn.Resource) (names []string) {
	registry := target.RegistryStr()
	hosts := []string{registry}
	if dockerHub[registry] {
		hosts = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", authn.DefaultAuthKey}
	}
	for path := strings.TrimPrefix(target.String(), registry); path != ""; path = path[:strings.LastIndexByte(path, '/')] {
		for _, host := range hosts {
			names = append(names, host+path)
		}
	}
	names = append(names, hosts...)
	for _, scheme := range []string{"https://", "http://"} {
		for _, end := range []string{"", "/", "/v1/", "/v2/"} {
			names = append(names, scheme+registry+end)
		}
	}
	return names
}

// login is an entry of a file with credentials.
type login struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func (l login) config() (cfg authn.AuthConfig, ok bool) {
	cfg = authn.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken}
	if pair, err := base64.StdEncoding.DecodeString(l.Auth); err == nil && len(pair) > 0 {
		cfg.Username, cfg.Password, _ = strings.Cut(string(pair), ":")
	}
	return cfg, cfg != authn.AuthConfig{}
}

// readAuths returns the entries of a file; none, if it cannot be read.
func readAuths(file string) map[string]login {
	var cfg dockerConfig
	if !readJSON(file, &cfg) {
		return nil
	}
	return cfg.Auths
}

// podmanFile returns where podman keeps credentials.
func podmanFile() string {
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		return file
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "containers", "auth.json")
	}
	return ""
}

// configPlace is where docker keeps credentials.
const configPlace = "config.json, in ~/.docker or in the directory that DOCKER_CONFIG names"

// maxDockerConfig bounds, in bytes, a config.json that is looked at.
const maxDockerConfig = 4 << 20

// keychainError is that the credentials could not be found out.
type keychainError struct {
	reason string
	// attempts are commands that ask the helpers that may have failed; none
	// where it is the configuration.
	attempts []string
}

func (e *keychainError) Error() string { return "looking up credentials: " + e.reason }

func (e *keychainError) hint() string {
	if len(e.attempts) == 0 {
		return "credentials are looked up as docker does, in " + configPlace + ", and by the helpers that it names"
	}
	return "try it by hand: " + strings.Join(e.attempts, ", ") + "; which helper is asked says " + configPlace
}

var (
	// helperFailure is how the library says that a helper failed: it goes on
	// with what the helper wrote, which may be a password.
	helperFailure = regexp.MustCompile(`^error getting credentials - err: (.*?), out: `)
	// helperAbsent names the helper.
	helperAbsent = regexp.MustCompile(`^exec: "(docker-credential-[^"]+)"`)
)

// newKeychainError tells what went wrong without what a helper wrote.
func newKeychainError(repo name.Repository, err error) *keychainError {
	text := firstLine(err.Error())
	failed := helperFailure.FindStringSubmatch(text)
	helpers := helpersFor(repo)
	if strings.HasPrefix(text, "parsing config file ") || strings.HasPrefix(text, "loading config file:") {
		helpers = nil
	}
	if failed == nil && len(helpers) == 0 {
		return &keychainError{reason: transfer.Printable(text, maxMessage)}
	}
	reason := "its answer cannot be read"
	if failed != nil {
		reason = transfer.Printable(failed[1], maxMessage)
		if absent := helperAbsent.FindStringSubmatch(failed[1]); absent != nil {
			helpers = []string{transfer.Printable(absent[1], maxMessage)}
		}
	}
	if len(helpers) == 0 {
		helpers = []string{"docker-credential-NAME"}
	}
	e := &keychainError{reason: fmt.Sprintf("the credential helper %s fails: %s", strings.Join(helpers, " or "), reason)}
	for _, h := range helpers {
		e.attempts = append(e.attempts, "echo "+configKey(repo)+" | "+h+" get")
	}
	return e
}

// configKey is what docker's configuration calls a registry.
func configKey(repo name.Repository) string {
	if repo.RegistryStr() == name.DefaultRegistry {
		return authn.DefaultAuthKey
	}
	return repo.RegistryStr()
}

// helpersFor returns the programs that are asked for a repository: the library
// looks for the repository's own credentials before the registry's. A
// configuration that cannot be read names none.
func helpersFor(repo name.Repository) []string {
	cfg := readDockerConfig()
	var helpers []string
	for _, key := range []string{repo.String(), configKey(repo)} {
		suffix, ok := cfg.CredHelpers[key]
		if !ok {
			suffix = cfg.CredsStore
		}
		helper := "docker-credential-" + transfer.Printable(suffix, 100)
		if suffix != "" && !slices.Contains(helpers, helper) {
			helpers = append(helpers, helper)
		}
	}
	return helpers
}

// dockerConfig is what docker's configuration says of credentials.
type dockerConfig struct {
	Auths       map[string]login  `json:"auths"`
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

func readDockerConfig() (cfg dockerConfig) {
	if !readJSON(dockerConfigFile(), &cfg) {
		return dockerConfig{}
	}
	return cfg
}

// dockerConfigFile returns where docker's configuration is, or "".
func dockerConfigFile() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// readJSON reports whether a file could be read.
func readJSON(file string, into any) bool {
	data, err := readSettings(file)
	return err == nil && json.Unmarshal(data, into) == nil
}

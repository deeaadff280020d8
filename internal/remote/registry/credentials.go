package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// dockerKeychain looks credentials up as docker, podman and skopeo do, and asks the
// helpers that their configuration names.
//
// It does more than [authn.DefaultKeychain], which cannot read what an editor of Windows
// has changed, takes credentials of a part of a registry for the whole, and gives up on a
// file in which one entry is wrong. Podman and skopeo keep credentials of a part
// (containers-auth.json(5)), and call Docker Hub docker.io.
type dockerKeychain struct{}

func (dockerKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	files, unreadable := readConfigs()
	for _, key := range namesOf(target) {
		for _, f := range files {
			if found, err := f.entry(key); err != nil || found != authn.Anonymous {
				return found, err
			}
		}
	}
	if len(files) == 0 || unreadable != nil {
		return authn.Anonymous, unreadable
	}
	first := files[0]
	if first.CredentialsStore == "" && slices.ContainsFunc(files, func(f *configFile) bool { return f.hasPart(target) }) {
		return authn.Anonymous, nil
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if found, err := first.ask(key); err != nil || found != authn.Anonymous {
			return found, err
		}
	}
	return authn.Anonymous, nil
}

// entry returns what a file has under a key, and no other.
func (f *configFile) entry(key string) (authn.Authenticator, error) {
	found, listed := f.AuthConfigs[key]
	if _, helped := f.CredentialHelpers[key]; helped || listed && f.CredentialsStore != "" {
		if helped, err := f.ask(key); err != nil || helped != authn.Anonymous {
			return helped, err
		}
	}
	return f.authenticator(found)
}

// ask looks a key up as docker does: it asks the helper for it, if there is one.
func (f *configFile) ask(key string) (authn.Authenticator, error) {
	found, err := f.GetAuthConfig(key)
	if err != nil {
		return nil, err
	}
	return f.authenticator(found)
}

func (f *configFile) authenticator(found types.AuthConfig) (authn.Authenticator, error) {
	if found.Auth != "" {
		return nil, fmt.Errorf("parsing config file %s: an auth in it is not base64 of USER:PASSWORD", f.path)
	}
	cfg := authn.AuthConfig{
		Username: found.Username, Password: found.Password, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}
	if cfg == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(cfg), nil
}

// hasPart reports whether there are credentials of a part of a registry only.
func (f *configFile) hasPart(target authn.Resource) bool {
	for key := range f.AuthConfigs {
		if strings.HasPrefix(key, target.RegistryStr()+"/") {
			return true
		}
	}
	return false
}

// namesOf returns what the credentials of a repository may be called, the narrowest
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

// configPlace is where docker keeps credentials.
const configPlace = "config.json, in ~/.docker or in the directory that DOCKER_CONFIG names"

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

// newKeychainError tells what went wrong without what a helper wrote, which may be a
// password: the library appends it.
func newKeychainError(repo name.Repository, err error) *keychainError {
	text := firstLine(err.Error())
	failure, failed := strings.CutPrefix(text, "error getting credentials - err: ")
	failure, _, _ = strings.Cut(failure, ", out: ")
	helpers := helpersFor(repo)
	if strings.HasPrefix(text, "parsing config file ") {
		helpers = nil
	}
	if !failed && len(helpers) == 0 {
		return &keychainError{reason: transfer.Printable(text, maxMessage)}
	}
	reason := "its answer cannot be read"
	if failed {
		reason = transfer.Printable(failure, maxMessage)
		if absent, ok := strings.CutPrefix(failure, `exec: "docker-credential-`); ok {
			absent, _, _ = strings.Cut(absent, `"`)
			helpers = []string{"docker-credential-" + transfer.Printable(absent, maxMessage)}
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
	files, _ := readConfigs()
	if len(files) == 0 {
		return nil
	}
	var helpers []string
	for _, key := range []string{repo.String(), configKey(repo)} {
		suffix, ok := files[0].CredentialHelpers[key]
		if !ok {
			suffix = files[0].CredentialsStore
		}
		helper := "docker-credential-" + transfer.Printable(suffix, 100)
		if suffix != "" && !slices.Contains(helpers, helper) {
			helpers = append(helpers, helper)
		}
	}
	return helpers
}

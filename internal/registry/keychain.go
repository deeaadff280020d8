package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

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

// dockerConfig is what docker's configuration says of helpers.
type dockerConfig struct {
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

func readDockerConfig() (cfg dockerConfig) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return cfg
		}
		dir = filepath.Join(home, ".docker")
	}
	f, err := os.Open(filepath.Join(dir, "config.json"))
	if err != nil {
		return cfg
	}
	defer f.Close()
	if json.NewDecoder(io.LimitReader(f, maxDockerConfig)).Decode(&cfg) != nil {
		return dockerConfig{}
	}
	return cfg
}

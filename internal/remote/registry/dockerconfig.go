package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/legible"
)

// dockerKeychain looks credentials up as docker does, and asks the helpers that
// docker's configuration names. It is [authn.DefaultKeychain] but for the encoding of
// the file, which an editor of Windows may have changed.
type dockerKeychain struct{}

// Resolve implements [authn.Keychain].
func (dockerKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	cf, err := loadDockerConfig()
	if err != nil || cf == nil {
		return authn.Anonymous, err
	}
	for _, key := range []string{target.String(), target.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		found, err := cf.GetAuthConfig(key)
		if err != nil {
			return nil, err
		}
		found.ServerAddress = "" // it is what was asked for
		if found != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: found.Username, Password: found.Password, Auth: found.Auth,
				IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

// loadDockerConfig reads docker's configuration, or podman's where there is none;
// nil if there is neither.
func loadDockerConfig() (*configfile.ConfigFile, error) {
	for _, file := range []string{dockerConfigFile(), podmanFile(), userAuthFile()} {
		data, err := readSettings(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var cf *configfile.ConfigFile
		if err == nil {
			if cf, err = config.LoadFromReader(bytes.NewReader(data)); err != nil {
				err = legible.JSONError(data, err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("parsing config file %s: %w", file, err)
		}
		return cf, nil
	}
	return nil, nil
}

// userAuthFile returns where podman keeps credentials on a machine without sessions.
func userAuthFile() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "containers", "auth.json")
}

// readSettings reads a file of settings as text. A directory in its place is as good
// as none.
func readSettings(file string) ([]byte, error) {
	fi, err := os.Stat(file)
	switch {
	case file == "" || err == nil && fi.IsDir():
		return nil, fs.ErrNotExist
	case err != nil:
		return nil, disk.Reason(err)
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("it is %s, not a regular file", disk.DescribeType(fi.Mode()))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, disk.Reason(err)
	}
	defer f.Close()
	data, err := disk.ReadAtMost(f, maxDockerConfig)
	if err != nil {
		return nil, disk.Reason(err)
	}
	return legible.Text(data)
}

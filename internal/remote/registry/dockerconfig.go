package registry

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// configFile is a configuration file with credentials, or with the helpers that have them
// (docker/cli, cli/config/configfile).
type configFile struct {
	path  string
	Auths map[string]struct {
		Credentials
		// Auth is USER:PASSWORD in base64. parseConfig empties it unless it is malformed.
		Auth string `json:"auth"`
	} `json:"auths"`
	// CredsStore is the helper for all registries. CredHelpers has helpers by registry.
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// readConfigs reads the configuration of docker, from a variable and a file, and of podman, which has
// the same format. It returns all that it can read, with an error for the first that it cannot.
func readConfigs() (files []*configFile, err error) {
	const variable = "DOCKER_AUTH_CONFIG"
	podman := os.Getenv("REGISTRY_AUTH_FILE")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); podman == "" && dir != "" {
		podman = filepath.Join(dir, "containers", "auth.json")
	}
	for _, path := range []string{
		variable,
		inDirectory("DOCKER_CONFIG", ".docker", "config.json"),
		podman,
		// Podman's file on a machine without login sessions.
		inDirectory("XDG_CONFIG_HOME", ".config", filepath.Join("containers", "auth.json")),
	} {
		data, wrong := []byte(os.Getenv(variable)), error(nil)
		if path != variable {
			data, wrong = readSettings(path)
		}
		f, malformed := parseConfig(path, data)
		if wrong = cmp.Or(wrong, malformed); wrong == nil {
			files = append(files, f)
		} else if !errors.Is(wrong, fs.ErrNotExist) {
			err = cmp.Or(err, badConfig(path, wrong.Error()))
		}
	}
	return files, err
}

// inDirectory returns the path of a file in the directory that a variable names, or in directory
// below of the user's home; or "" if there is no home.
func inDirectory(variable, below, file string) string {
	if dir := os.Getenv(variable); dir != "" {
		return filepath.Join(dir, file)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, below, file)
}

func parseConfig(path string, data []byte) (*configFile, error) {
	f := &configFile{path: path}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, textfile.JSONError(data, err)
	}
	for key, entry := range f.Auths {
		if pair, err := base64.StdEncoding.DecodeString(entry.Auth); err == nil && entry.Auth != "" {
			entry.Username, entry.Password, _ = strings.Cut(string(pair), ":")
			entry.Auth = ""
			f.Auths[key] = entry
		}
	}
	return f, nil
}

// maxDockerConfig is the largest size of a config.json, in bytes.
const maxDockerConfig = 4 << 20

// readSettings reads a configuration file as text. A directory counts as no file.
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
	data, err := disk.ReadFile(file, maxDockerConfig)
	if err != nil {
		return nil, err
	}
	return textfile.Decode(data)
}

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

// configFile is a file that says where credentials are, or has them (docker/cli,
// cli/config/configfile).
type configFile struct {
	path  string
	Auths map[string]struct {
		Credentials
		// Auth is USER:PASSWORD in base64; in what was read, only if it is malformed.
		Auth string `json:"auth"`
	} `json:"auths"`
	// CredsStore names the helper for all registries, CredHelpers those for one.
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// readConfigs reads docker's configuration, in a variable and in a file, and podman's,
// which has the same form. What cannot be read is left out, and is an error.
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
		// On a machine without sessions.
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

// inDirectory returns the path of a file in the directory that a variable names, or in
// one of the user's home; or "".
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
			entry.Auth = "" // one that is malformed stays
			f.Auths[key] = entry
		}
	}
	return f, nil
}

// maxDockerConfig bounds, in bytes, a config.json that is looked at.
const maxDockerConfig = 4 << 20

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
	data, err := disk.ReadFile(file, maxDockerConfig)
	if err != nil {
		return nil, err
	}
	return textfile.Decode(data)
}

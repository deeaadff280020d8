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

	"github.com/docker/cli/cli/config/configfile"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// configFile is a file that says where credentials are, or has them.
type configFile struct {
	*configfile.ConfigFile
	path string
}

// readConfigs reads docker's configuration and podman's, which has the same form. What
// cannot be read is left out, and is an error.
func readConfigs() (files []*configFile, err error) {
	podman := os.Getenv("REGISTRY_AUTH_FILE")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); podman == "" && dir != "" {
		podman = filepath.Join(dir, "containers", "auth.json")
	}
	for _, path := range []string{
		inDirectory("DOCKER_CONFIG", ".docker", "config.json"),
		podman,
		// On a machine without sessions.
		inDirectory("XDG_CONFIG_HOME", ".config", filepath.Join("containers", "auth.json")),
	} {
		f, wrong := readConfig(path)
		switch {
		case wrong == nil:
			files = append(files, f)
		case !errors.Is(wrong, fs.ErrNotExist):
			err = cmp.Or(err, fmt.Errorf("parsing config file %s: %w", path, wrong))
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

func readConfig(path string) (*configFile, error) {
	data, err := readSettings(path)
	if err != nil {
		return nil, err
	}
	cf := configfile.New(path)
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(cf); err != nil && !errors.Is(err, io.EOF) {
		return nil, textfile.JSONError(data, err)
	}
	for key, entry := range cf.AuthConfigs {
		if pair, err := base64.StdEncoding.DecodeString(entry.Auth); err == nil && entry.Auth != "" {
			entry.Username, entry.Password, _ = strings.Cut(string(pair), ":")
			entry.Auth = "" // one that is malformed stays
		}
		entry.ServerAddress = key
		cf.AuthConfigs[key] = entry
	}
	return &configFile{cf, path}, nil
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

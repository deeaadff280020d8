package agent

import (
	"fmt"
	"path"
	"strings"
	"unicode"
)

// maxName bounds a file name, in bytes: 255 on common file systems, less the longest suffix that
// the agent adds while it downloads (pkg/plugin/downloader.go).
const maxName = 255 - len(".downloading")

// IndexPath returns where the agent has a repository's index in its cache directory
// (pkg/plugin/manager.go, loadRepositoriesMetadata).
func IndexPath(repository string) string { return repository + ".yaml" }

// BinaryPath returns where the agent has a plugin's binary in its cache directory, with slashes
// (pkg/plugin/manager.go, loadPlugins).
func BinaryPath(repository string, t PluginType, version, name string) string {
	return path.Join(repository, fmt.Sprintf("%s_%s_%s", t, version, name))
}

// DependencyDir returns a binary's directory of dependencies (pkg/plugin/manager.go,
// dependencyDirForBin).
func DependencyDir(binary string) string { return binary + "_deps" }

// DependencyPath returns where the agent has a dependency of the binary at a [BinaryPath].
func DependencyPath(binary, dependency string) string {
	return path.Join(DependencyDir(binary), dependency)
}

// CheckName reports why a name from outside cannot be a file's: the agent joins names of
// repositories, plugins and dependencies, and versions, to paths unchecked.
func CheckName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s is empty", what)
	case len(name) > maxName:
		return fmt.Errorf("%s %q… has %d bytes: too long for a file name, which has at most %d", what, name[:32], len(name), maxName)
	case name == "." || name == "..":
		return fmt.Errorf("%s %q is not a file name", what, name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("%s %q starts or ends with a space", what, name)
	case strings.ContainsAny(name, `/\`):
		return fmt.Errorf("%s %q contains a path separator", what, name)
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("%s %q contains a control character", what, name)
	}
	return nil
}

// CheckRepository is [CheckName] for a repository, whose directory may not begin with a dot:
// those are for other things.
func CheckRepository(name string) error {
	if strings.HasPrefix(name, ".") {
		return fmt.Errorf("repository %q starts with a dot", name)
	}
	return CheckName("repository", name)
}

// CheckBinaryName reports why the agent's file name for a plugin cannot be written.
func CheckBinaryName(t PluginType, version, name string) error {
	file := path.Base(DependencyDir(BinaryPath("r", t, version, name)))
	if len(file) > maxName {
		return fmt.Errorf("the file name of plugin %q %q would have %d bytes, and the limit is %d", clip(name), clip(version), len(file), maxName)
	}
	return nil
}

func clip(s string) string {
	if len(s) <= 40 {
		return s
	}
	return s[:40] + "…"
}

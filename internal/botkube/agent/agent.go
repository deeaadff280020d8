// Package agent states the Botkube agent's contract: where it looks for plugins, how it reads
// their URLs, and what it does with a cache directory. The authority is the agent's source,
// github.com/kubeshop/botkube v1.14.0, package pkg/plugin; comments name the function that says
// a fact. The package does no I/O.
package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
)

// Modes of what the mirror writes for the agent, which sets binaries to 0755 itself
// (pkg/plugin/manager.go, binPerms). [User] need only read indexes.
const (
	BinaryMode    = 0o755
	IndexMode     = 0o644
	DirectoryMode = 0o755
)

// User and Group run the agent (helm/botkube/values.yaml, securityContext.runAsUser and
// runAsGroup).
const (
	User  = 101
	Group = 101
)

// PluginType is the kind of a plugin: an executor runs commands, a source sends events.
type PluginType string

// The plugin types that the agent knows (pkg/plugin/index.go, allKnownTypes).
const (
	Executor PluginType = "executor"
	Source   PluginType = "source"
)

// Valid reports whether the agent knows the type.
func (t PluginType) Valid() bool { return t == Executor || t == Source }

// Platform is an operating system and an architecture, by Go's names.
type Platform struct {
	OS   string
	Arch string
}

// ParsePlatform reads OS/ARCH.
func ParsePlatform(s string) (Platform, error) {
	os, arch, found := strings.Cut(s, "/")
	p := Platform{OS: os, Arch: arch}
	for _, name := range []string{os, arch} {
		if !found || name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return Platform{}, fmt.Errorf("platform %q must be OS/ARCH, for example linux/amd64", s)
		}
	}
	return p, nil
}

// otherNames are what uname, Docker and people call a system or an architecture.
var otherNames = strings.NewReplacer(
	"x86_64", "amd64", "x86-64", "amd64", "x64", "amd64",
	"aarch64", "arm64", "armv8", "arm64", "macos", "darwin", "osx", "darwin",
)

// GuessPlatform parses a platform like [ParsePlatform], and also other spellings: linux-amd64,
// linux/x86_64, amd64.
func GuessPlatform(s string) (Platform, bool) {
	s = otherNames.Replace(strings.ToLower(strings.TrimSpace(s)))
	parts := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/-_: ", r) })
	if len(parts) == 3 && strings.HasPrefix(parts[2], "v") {
		parts = parts[:2] // a variant, as Docker has it
	}
	if len(parts) == 1 {
		parts = append([]string{"linux"}, parts...)
		if parts[1] == "linux" {
			parts[1] = "amd64"
		}
	}
	known := map[string][]string{"linux": {"amd64", "arm64"}, "darwin": {"amd64", "arm64"}, "windows": {"amd64", "arm64"}}
	if len(parts) == 2 && slices.Contains(known[parts[0]], parts[1]) {
		return Platform{OS: parts[0], Arch: parts[1]}, true
	}
	return Platform{}, false
}

// String returns OS/ARCH, as in the agent's selectors (pkg/plugin/store.go, mapBinaryURLs).
func (p Platform) String() string { return p.OS + "/" + p.Arch }

// Dir returns the name of the platform's sub-directory in an output for several platforms.
func (p Platform) Dir() string { return p.OS + "-" + p.Arch }

// ComparePlatforms orders platforms by what [Platform.String] returns.
func ComparePlatforms(a, b Platform) int { return strings.Compare(a.String(), b.String()) }

// JoinPlatforms lists platforms for a message.
func JoinPlatforms(platforms []Platform) string {
	var names []string
	for _, p := range platforms {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// MarshalText writes what [Platform.String] returns.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what [ParsePlatform] reads.
func (p *Platform) UnmarshalText(text []byte) error {
	parsed, err := ParsePlatform(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// PluginKey names a plugin as the agent's configuration does: REPOSITORY/NAME[@VERSION].
type PluginKey struct {
	Repository string
	Name       string
	// Version is empty for the newest.
	Version string
}

// ParsePluginKey reads REPOSITORY/NAME[@VERSION] (pkg/config/plugin.go, DecomposePluginKey).
func ParsePluginKey(s string) (PluginKey, error) {
	repository, rest, found := strings.Cut(s, "/")
	name, ver, pinned := strings.Cut(rest, "@")
	if !found || repository == "" || name == "" || pinned && ver == "" {
		return PluginKey{}, fmt.Errorf("plugin %q must be REPOSITORY/NAME or REPOSITORY/NAME@VERSION", s)
	}
	return PluginKey{Repository: repository, Name: name, Version: ver}, nil
}

// DecomposePluginKey is [ParsePluginKey], but an empty version is the newest, as for the agent's
// function.
func DecomposePluginKey(s string) (PluginKey, error) {
	return ParsePluginKey(strings.TrimSuffix(s, "@"))
}

func (k PluginKey) String() string {
	s := k.Name
	if k.Repository != "" {
		s = k.Repository + "/" + s
	}
	if k.Version != "" {
		s += "@" + k.Version
	}
	return s
}

// Covers reports whether the key names a version of a plugin. Without one, it names all.
func (k PluginKey) Covers(of PluginKey) bool {
	return k.Repository == of.Repository && k.Name == of.Name && (k.Version == "" || k.Version == of.Version)
}

// MarshalText writes the key as [PluginKey.String] does.
func (k PluginKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// WithoutPrerelease returns v1.14.0 of v1.14.0-rc.1. What is no version stays as it is.
func WithoutPrerelease(v string) string {
	parsed, err := version.NewVersion(v)
	if err != nil || parsed.Prerelease() == "" {
		return v
	}
	return "v" + parsed.Core().String()
}

// Since reports whether a version is first or newer. An empty version is the newest, and a
// pre-release counts as its release.
func Since(version, first string) bool {
	return version == "" || !Newer(first, WithoutPrerelease(version))
}

// Newer reports whether version a is newer than b by the agent's order (pkg/plugin/store.go,
// semvVerAGreaterThanB). What is no version is neither newer nor older than any.
func Newer(a, b string) bool {
	va, errA := version.NewVersion(a)
	vb, errB := version.NewVersion(b)
	return errA == nil && errB == nil && va.GreaterThan(vb)
}

package lock

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Change says whether something was added, removed or changed.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// Subject is what a difference is about.
type Subject string

// The subjects, in the order in which differences come.
const (
	SubjectBotkube    Subject = "botkube"
	SubjectPlatform   Subject = "platform"
	SubjectRepository Subject = "repository"
	SubjectPlugin     Subject = "plugin"
	// SubjectBuild is the binary of a plugin for one platform.
	SubjectBuild      Subject = "build"
	SubjectDependency Subject = "dependency"
	// SubjectTemplates is a source of templates of a plugin, or one of its files.
	SubjectTemplates Subject = "templates"
	// SubjectFile is an upstream file.
	SubjectFile         Subject = "file"
	SubjectAgentImage   Subject = "agentImage"
	SubjectWatcherImage Subject = "watcherImage"
	SubjectChart        Subject = "chart"
)

// Aspect is the part of a subject that changed.
type Aspect string

// The aspects.
const (
	// AspectVersion is the version of Botkube, of a plugin or of the chart.
	AspectVersion Aspect = "version"
	// AspectURL is the URL of an index, a file or the chart.
	AspectURL Aspect = "url"
	// AspectIndex is the content of a repository's index, which changes with every release. For an
	// image, it says whether the lock has the image index from upstream.
	AspectIndex Aspect = "index"
	// AspectSchemas are the JSON schemas that an index refers to.
	AspectSchemas Aspect = "schemas"
	// AspectContent is the digest of a file, an image or the chart under the same URL, reference or
	// version. It should never change: the publisher or an attacker has replaced the content.
	AspectContent Aspect = "content"
	// AspectFile is the content of a file with templates. It may change, because the URL often
	// names a branch.
	AspectFile Aspect = "file"
	// AspectVerifiedBy is the source of the checksum of a file. AspectVerifiedWith are the
	// publisher's checksum files.
	AspectVerifiedBy   Aspect = "verifiedBy"
	AspectVerifiedWith Aspect = "verifiedWith"
	// AspectFromNewest says whether only a newer version of the plugin lists a dependency.
	AspectFromNewest Aspect = "fromNewest"
	// AspectReplaces is the URL in the index of a dependency that is replaced.
	AspectReplaces Aspect = "replaces"
	// AspectName is the name of the chart. AspectReference is the reference of an image.
	AspectName      Aspect = "name"
	AspectReference Aspect = "reference"
)

// Difference is one difference between two locks. Fields that do not apply are
// empty.
type Difference struct {
	Change  Change  `json:"change"`
	Subject Subject `json:"subject"`
	// Aspect is what changed. It is empty if the subject was added or removed.
	Aspect Aspect `json:"aspect,omitempty"`
	// Repository, Type, Name and Version identify the plugin. If the version changed, Version is
	// the new one.
	Repository string           `json:"repository,omitempty"`
	Type       agent.PluginType `json:"type,omitempty"`
	Name       string           `json:"name,omitempty"`
	Version    string           `json:"version,omitempty"`
	Platform   *agent.Platform  `json:"platform,omitempty"`
	Dependency string           `json:"dependency,omitempty"`
	// URL is the URL of the file.
	URL string `json:"url,omitempty"`
	// Source is a source of templates. Path is the path of one of its files.
	Source string `json:"source,omitempty"`
	Path   string `json:"path,omitempty"`
	// From and To are the two values of the aspect. If the subject was added, only To is set; if it
	// was removed, only From.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Alarming reports whether something changed that should never change.
func (d Difference) Alarming() bool { return d.Aspect == AspectContent }

// String describes the difference in one line, without its [Change]:
// "executor botkube/kubectl: v1.13.0 -> v1.14.0".
func (d Difference) String() string {
	switch {
	case d.Change == Changed:
		return d.What() + ": " + d.change()
	case d.From+d.To != "":
		return d.What() + ": " + shortDigest(d.From+d.To)
	}
	return d.What()
}

// What returns the name of the subject for messages.
func (d Difference) What() string {
	at := ""
	if d.Platform != nil {
		at = " for " + d.Platform.String()
	}
	plugin := fmt.Sprintf("%s %s/%s", d.Type, d.Repository, d.Name)
	if d.Aspect != AspectVersion {
		plugin += "@" + d.Version
	}
	switch d.Subject {
	case SubjectPlatform:
		return "platform " + d.Platform.String()
	case SubjectRepository:
		return "repository " + d.Repository
	case SubjectPlugin, SubjectBuild:
		return plugin + at
	case SubjectDependency:
		return fmt.Sprintf("%s%s: dependency %s", plugin, at, d.Dependency)
	case SubjectTemplates:
		source := fmt.Sprintf("%s: templates %s", plugin, d.Source)
		if d.Path != "" {
			source += ": " + d.Path
		}
		return source
	case SubjectFile:
		return d.URL
	}
	return d.Subject.What() + at
}

// Sides describes the two values of the aspect. A missing value is empty.
func (d Difference) Sides() (from, to string) {
	listedBy := map[string]string{"yes": "only a newer version of the plugin lists it", "no": "its own version of the plugin lists it"}
	replaces := func(url string) string {
		switch url {
		case "":
			return "not replaced"
		case ReplacesNothing:
			return "supplied (the index has none)"
		}
		return "replaced: the index has " + url
	}
	switch d.Aspect {
	case AspectFromNewest:
		return listedBy[d.From], listedBy[d.To]
	case AspectReplaces:
		return replaces(d.From), replaces(d.To)
	case AspectVerifiedBy:
		return ChecksumSource(d.From).What(), ChecksumSource(d.To).What()
	}
	return shortDigest(d.From), shortDigest(d.To)
}

// change describes what changed.
func (d Difference) change() string {
	from, to := cmp.Or(shortDigest(d.From), "none"), cmp.Or(shortDigest(d.To), "none")
	switch d.Aspect {
	case AspectSchemas:
		return "the JSON schemas that its index refers to"
	case AspectFromNewest:
		if d.To == "yes" {
			return "now only a newer version of the plugin lists it"
		}
		return "now its own version of the plugin lists it"
	case AspectReplaces:
		switch {
		case d.To == "":
			return "no longer replaced"
		case d.From == "" && d.To == ReplacesNothing:
			return "now supplied (the index has none)"
		case d.From == "":
			return "now replaced: the index has " + d.To
		}
		return fmt.Sprintf("replaced: the index has %s -> %s", d.From, d.To)
	case AspectVerifiedBy:
		return fmt.Sprintf("checksum %s -> %s", ChecksumSource(d.From).What(), ChecksumSource(d.To).What())
	case AspectVerifiedWith:
		return fmt.Sprintf("checksum from the publisher, in %s -> %s", from, to)
	case AspectContent:
		return fmt.Sprintf("other content under the same %s: %s -> %s", d.Subject.identifier(), from, to)
	case AspectIndex, AspectName:
		return fmt.Sprintf("%s %s -> %s", d.Aspect, from, to)
	}
	return from + " -> " + to
}

// What returns the name of the subject for messages.
func (s Subject) What() string {
	switch s {
	case SubjectBotkube:
		return "Botkube"
	case SubjectAgentImage:
		return "agent image"
	case SubjectWatcherImage:
		return "watcher image"
	}
	return string(s)
}

// identifier returns the word for what identifies the content of a subject.
func (s Subject) identifier() string {
	switch s {
	case SubjectAgentImage, SubjectWatcherImage:
		return "reference"
	case SubjectChart:
		return "version"
	}
	return "URL"
}

// shortDigest returns the start of a digest for messages. It returns any other text unchanged.
func shortDigest(s string) string {
	const shown = len("sha256:") + 12
	if !strings.HasPrefix(s, "sha256:") {
		return s
	}
	return s[:min(len(s), shown)]
}

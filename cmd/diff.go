package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func diffCommand(g *global) *cobra.Command {
	var reg registryFlags
	var transfer transferFlags
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed between two mirrors or locks",
		Long: `Show what changed from A to B, each whatever list shows: a bundle, a directory,
a site, an image, a lock, docker://REFERENCE, or - for standard input.

A file whose URL stayed the same must not change: where one did, diff says so.
The exit code is 0, whether anything changed or not.`,
		Example: `  botkube-mirror diff old.tar new.tar
  botkube-mirror diff botkube-mirror.lock.json ./plugins`,
		Args: exactArgs("A", "B"),
		RunE: func(c *cobra.Command, args []string) error {
			o := mirror.DiffOptions{A: args[0], B: args[1], Stdin: g.env.Stdin}
			var diffed *mirror.Diffed
			err := g.withSession(reg.needs(transfer, args...), func(s *mirror.Session) (err error) {
				diffed, err = s.Diff(c.Context(), o)
				return err
			})
			if err != nil {
				return err
			}
			return g.print(diffed, func() string { return diffSummary(diffed) })
		},
	}
	reg.register(c)
	transfer.register(c)
	return c
}

func diffSummary(d *mirror.Diffed) string {
	var out strings.Builder
	for _, difference := range d.Differences {
		fmt.Fprintln(&out, diffLine(difference))
	}
	for _, n := range d.NotCompared {
		fmt.Fprintf(&out, "not compared: %s, which the %s cannot hold\n", subjectNames[n.Subject], kindNames[n.Kind])
	}
	if d.Alarming > 0 {
		fmt.Fprintf(&out, "%s of what must not change: upstream replaced what it had published, or somebody else did; ask the publisher before you use it\n", count(d.Alarming, "change"))
	}
	if len(d.Differences) == 0 {
		out.WriteString("no differences\n")
	} else {
		fmt.Fprintln(&out, count(len(d.Differences), "difference"))
	}
	return out.String()
}

var subjectNames = map[lock.Subject]string{
	lock.SubjectBotkube:      "Botkube",
	lock.SubjectPlatform:     "platform",
	lock.SubjectAgentImage:   "agent image",
	lock.SubjectWatcherImage: "watcher image",
	lock.SubjectChart:        "chart",
}

var changeSigns = map[lock.Change]string{lock.Added: "+", lock.Removed: "-", lock.Changed: "~"}

func diffLine(d lock.Difference) string {
	line := changeSigns[d.Change] + " " + diffSubject(d)
	if d.Change != lock.Changed {
		if value := d.From + d.To; value != "" {
			line += ": " + short(value)
		}
		return line
	}
	switch d.Aspect {
	case lock.AspectSchemas:
		return line + ": the JSON schemas that its index refers to"
	case lock.AspectFromNewest:
		if d.To == "yes" {
			return line + ": now only a newer version of the plugin lists it"
		}
		return line + ": now its own version of the plugin lists it"
	case lock.AspectVerifiedBy:
		return fmt.Sprintf("%s: checksum by %s -> by %s", line, voucherName(d.From), voucherName(d.To))
	case lock.AspectContent:
		return fmt.Sprintf("%s: other content under the same %s: %s -> %s", line, contentName(d.Subject), short(d.From), short(d.To))
	}
	return fmt.Sprintf("%s: %s%s -> %s", line, aspectNames[d.Aspect], orNone(short(d.From)), orNone(short(d.To)))
}

// aspectNames say what changed where that is not plain from the values.
var aspectNames = map[lock.Aspect]string{
	lock.AspectIndex:        "index ",
	lock.AspectVerifiedWith: "checksum by the publisher, in ",
	lock.AspectName:         "name ",
	lock.AspectFile:         "",
}

// contentName says what stayed the same while the content changed.
func contentName(s lock.Subject) string {
	switch s {
	case lock.SubjectAgentImage, lock.SubjectWatcherImage:
		return "reference"
	case lock.SubjectChart:
		return "version"
	}
	return "URL"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// diffSubject says what a difference is about.
func diffSubject(d lock.Difference) string {
	var at string
	if d.Platform != nil {
		at = " for " + d.Platform.String()
	}
	plugin := fmt.Sprintf("%s/%s", d.Repository, d.Name)
	if d.Aspect != lock.AspectVersion {
		plugin += "@" + d.Version
	}
	plugin = fmt.Sprintf("%s %s", d.Type, plugin)
	switch d.Subject {
	case lock.SubjectPlatform:
		return "platform " + d.Platform.String()
	case lock.SubjectRepository:
		return "repository " + d.Repository
	case lock.SubjectPlugin:
		return plugin
	case lock.SubjectBuild:
		return plugin + at
	case lock.SubjectDependency:
		return fmt.Sprintf("%s%s: dependency %s", plugin, at, d.Dependency)
	case lock.SubjectTemplates:
		source := fmt.Sprintf("%s: templates %s", plugin, d.Source)
		if d.Path != "" {
			source += ": " + tameName(d.Path)
		}
		return source
	case lock.SubjectFile:
		return d.URL
	}
	return subjectNames[d.Subject] + at
}

// short returns the start of a digest, for people.
func short(digest string) string {
	algorithm, hex, found := strings.Cut(digest, ":")
	if !found || len(hex) < 12 || algorithm != "sha256" {
		return digest
	}
	return algorithm + ":" + hex[:12]
}

// voucherName is [voucher] for what stands in a difference.
func voucherName(v string) string { return voucher(lock.ChecksumSource(v)) }

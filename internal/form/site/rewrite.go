package site

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/go-getter/v2"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// rewriter makes URLs of a site of those of a lock.
type rewriter struct {
	base      string
	artifacts map[string]lock.Artifact
}

func newRewriter(base string, l *lock.Lock) *rewriter {
	r := &rewriter{base: base, artifacts: map[string]lock.Artifact{}}
	for _, a := range l.Artifacts {
		r.artifacts[a.URL] = a
	}
	return r
}

// builds returns the builds of a plugin with URLs of the site.
func (r *rewriter) builds(p lock.Plugin) (map[agent.Platform]agent.Build, error) {
	builds := map[agent.Platform]agent.Build{}
	for _, b := range p.Builds {
		u, a, err := r.location(b.URL)
		if err != nil {
			return nil, err
		}
		build := agent.Build{URL: u, Checksum: a.SHA256.String(), Dependencies: map[string]string{}}
		for _, d := range b.Dependencies {
			u, a, err := r.location(d.URL)
			if err != nil {
				return nil, fmt.Errorf("dependency %q: %w", d.Name, err)
			}
			build.Dependencies[d.Name] = withChecksum(u, a.SHA256)
		}
		builds[b.Platform] = build
	}
	return builds, nil
}

// withChecksum has the agent verify what it downloads.
func withChecksum(u string, sum lock.SHA256) string {
	separator := "?"
	if strings.Contains(u, "?") {
		separator = "&"
	}
	return u + separator + "checksum=sha256:" + sum.String()
}

// location returns the URL of a site at which the agent downloads an artifact,
// and does with it what it would do with that of upstream.
func (r *rewriter) location(raw string) (string, lock.Artifact, error) {
	upstream, err := agent.ParseLocation(raw)
	if err != nil {
		return "", lock.Artifact{}, err
	}
	a, pinned := r.artifacts[upstream.URL]
	if !pinned {
		return "", lock.Artifact{}, fmt.Errorf("the lock has no artifact for %s", agent.Redact(raw))
	}
	// A slash more lets no sub-directory look like an archive that did not
	// look like one behind a forced getter.
	for _, end := range []string{"", "/"} {
		u := r.base + "/" + FilePath(a) + subdirOf(upstream) + end + parametersOf(upstream, a)
		if got, err := agent.ParseLocation(u); err == nil && sameUse(got, upstream) {
			return u, a, nil
		}
	}
	return "", lock.Artifact{}, fault.New(fault.Integrity, "a site cannot have a URL that the agent would treat like %s", agent.Redact(raw)).
		WithHint("leave the plugin out with --exclude, and report the problem to its publisher")
}

// sameUse reports whether the agent unpacks two downloads in the same way.
func sameUse(a, b agent.Location) bool {
	return a.Format == b.Format && a.PluginMember("r/x") == b.PluginMember("r/x")
}

// subdirOf returns //SUBDIR of a URL, as the agent reads it.
func subdirOf(l agent.Location) string {
	whole, _, _ := strings.Cut(l.Normalized, "?")
	source, _ := getter.SourceDirSubdir(whole)
	return whole[len(source):]
}

// parametersOf returns go-getter's own parameter that says how to unpack, if
// upstream's URL has it or the name of the file does not say the same.
func parametersOf(upstream agent.Location, a lock.Artifact) string {
	_, query, _ := strings.Cut(upstream.Normalized, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	format := q.Get("archive")
	if format == "" && formatOf(fileName(a.URL)) != upstream.Format {
		format = upstream.Format
	}
	if format == "" {
		return ""
	}
	return "?archive=" + url.QueryEscape(format)
}

// Templates returns the sources of templates that a site serves, as the lock orders them.
func Templates(base string, l *lock.Lock) ([]form.Template, error) {
	base, err := baseURL(base)
	if err != nil {
		return nil, err
	}
	artifacts := newRewriter(base, l).artifacts
	var all []form.Template
	for _, p := range l.Plugins {
		for _, t := range p.Templates {
			a := artifacts[t.URL] // the lock was checked
			all = append(all, form.Template{Plugin: p.Key(), Ref: t.Ref, URL: withChecksum(base+"/"+FilePath(a), a.SHA256)})
		}
	}
	return all, nil
}

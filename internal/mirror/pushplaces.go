package mirror

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// path returns where below the prefix a part is.
func (o PushOptions) path(part Part) string {
	switch part {
	case PartImage:
		return "botkube-plugins"
	case PartBundle:
		return "botkube-plugins-bundle"
	case PartAgentImage:
		return "botkube"
	case PartWatcherImage:
		return "k8s-sidecar"
	}
	if o.ChartPath != "" {
		return o.ChartPath
	}
	return DefaultChartPath
}

// places returns the repositories of parts, and refuses those that cannot be.
func (o PushOptions) places(parts []Part) (map[Part]registry.Name, error) {
	if err := o.checkChartPath(); err != nil {
		return nil, err
	}
	names := map[Part]registry.Name{}
	for _, part := range parts {
		name, err := belowPrefix(o.Prefix, o.path(part))
		if err != nil {
			return nil, err
		}
		names[part] = name
	}
	return names, checkLevels(names, parts)
}

// checkChartPath refuses a path that cannot be the chart's, whatever this push
// publishes: the next one may publish more.
func (o PushOptions) checkChartPath() error {
	name, err := belowPrefix(o.Prefix, o.path(PartChart))
	if err != nil {
		return err
	}
	for _, part := range Parts {
		if part != PartChart && o.path(part) == o.ChartPath {
			return fault.New(fault.Usage, "--chart-path %s: %s is where the %s goes", o.ChartPath, name, part).WithHint("name another path, such as botkube-chart")
		}
	}
	return nil
}

// belowPrefix returns a repository below a prefix that the user gave. What is
// wrong with the prefix is told of the prefix.
func belowPrefix(prefix, path string) (registry.Name, error) {
	prefix = strings.TrimSuffix(strings.TrimPrefix(prefix, form.RegistryPrefix), "/")
	if strings.Contains(prefix, "/") { // it need have no path, which the parser wants
		if _, err := registry.ParseRepository(prefix); err != nil {
			return registry.Name{}, err
		}
	}
	return registry.ParseRepository(prefix + "/" + path)
}

// checkLevels refuses repositories that Docker Hub cannot have: it has names of
// two levels, USER/NAME.
func checkLevels(names map[Part]registry.Name, parts []Part) error {
	for _, part := range parts {
		name := names[part]
		if !name.IsDockerHub() || strings.Count(name.Path(), "/") == 1 {
			continue
		}
		err := fault.New(fault.Usage, "%s: repositories of Docker Hub are called %s/USER/NAME", name, name.Host())
		if part == PartChart && strings.Count(name.Path(), "/") == 2 {
			return err.WithHint("%s", hintChartPath)
		}
		return err.WithHint("name the user or the organisation, and nothing below: %s/USER", name.Host())
	}
	return nil
}

const hintChartPath = "--chart-path botkube-chart puts the chart beside the images; --skip chart leaves it out"

// refusedPlace is a repository that the registry does not let be pushed to.
type refusedPlace struct {
	part Part
	name registry.Name
	err  error
}

// prepare asks for access to every repository, and refuses tags that have other
// content where that can be known, before anything is uploaded. What the
// registry refuses, it tells of all repositories at once.
func (p *push) prepare(ctx context.Context) error {
	names, err := p.options.places(p.parts)
	if err != nil {
		return err
	}
	p.places = map[Part]*place{}
	var refused []refusedPlace
	for _, part := range p.parts {
		at, err := p.enter(ctx, part, names[part])
		if err == nil {
			p.places[part] = at
			continue
		}
		switch registry.RefusalOf(err) {
		case registry.NotRefused, registry.RefusedCredentials: // the same for all
			return err
		}
		refused = append(refused, refusedPlace{part, names[part], err})
	}
	if len(refused) > 0 {
		return refusedPlaces(refused, len(p.parts))
	}
	return nil
}

// enter finds out what a part's tag has, and whether it can be pushed if it has
// nothing yet, or something else.
func (p *push) enter(ctx context.Context, part Part, name registry.Name) (*place, error) {
	at := &place{part: part, tag: p.tag(part)}
	var err error
	if at.repo, err = p.session.Registry.Repository(ctx, name, true); err != nil {
		return nil, err
	}
	there, err := at.repo.Manifest(ctx, at.tag)
	switch {
	case err == nil:
		at.there, at.exists = there.Digest, true
	case !registry.IsNotFound(err):
		return nil, err
	}
	if part != PartImage { // its digest is known once it is made
		if at.top, err = p.top(part); err != nil {
			return nil, err
		}
		digest := at.top.Blob().SHA256
		if err := p.checkTag(at, digest); err != nil || at.has(digest) {
			return at, err
		}
	}
	if at.exists && !p.options.Force {
		return at, nil
	}
	return at, at.repo.CheckPush(ctx)
}

// refusedPlaces is the error that names all repositories that are refused.
func refusedPlaces(refused []refusedPlace, of int) error {
	if len(refused) == 1 {
		return fault.New(fault.Upstream, "%w", refused[0].err).WithHint("%s", hintRefused(refused, of))
	}
	var list strings.Builder
	for _, r := range refused {
		fmt.Fprintf(&list, "\n  %s: %s", r.name, registry.RefusalText(r.err))
	}
	return fault.New(fault.Upstream, "%s refuses %d of the %d repositories that this push needs; nothing was sent:%s",
		refused[0].name.Host(), len(refused), of, list.String()).WithHint("%s", hintRefused(refused, of))
}

// hintRefused is the next step after repositories were refused.
func hintRefused(refused []refusedPlace, of int) string {
	first := refused[0]
	kind := registry.RefusalOf(first.err)
	switch {
	case len(refused) == 1 && of > 1 && first.part == PartChart && strings.Count(first.name.Path(), "/") > 1 && kind != registry.RefusedQuota:
		return "some registries have names of two levels only, or want every repository created first: create " + first.name.Path() + " there, or choose another place; " + hintChartPath
	case (kind == registry.RefusedRepository || kind == registry.RefusedAccess) && !strings.Contains(first.name.Path(), "/") && ecrRegion(first.name.Host()) == "":
		return "many registries want a project, an organisation or a user before the name: push to " + first.name.Host() + "/PROJECT; if it wants none, create the repositories first, or ask for the right to push"
	case kind != registry.RefusedRepository && kind != registry.RefusedAccess:
		return fault.HintOf(first.err)
	case strings.Count(first.name.Path(), "/") > 1 && first.part != PartChart && ecrRegion(first.name.Host()) == "":
		return "is the project there, and may the user push to it? some registries have names of two levels only: there, PREFIX is HOST/PROJECT, and --chart-path names the chart's repository"
	case kind == registry.RefusedAccess:
		return fault.HintOf(first.err)
	}
	var paths, commands []string
	for _, r := range refused {
		paths = append(paths, r.name.Path())
		if region := ecrRegion(r.name.Host()); region != "" {
			commands = append(commands, "aws ecr create-repository --region "+region+" --repository-name "+r.name.Path())
		}
	}
	if len(commands) > 0 {
		return "create them first, with their lifecycle and scanning as you want them:\n" + strings.Join(commands, "\n")
	}
	return "create them in the registry first, or the project or organisation that they belong to: " + strings.Join(paths, ", ")
}

// ecrHost is how Amazon calls its registries.
var ecrHost = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$`)

// ecrRegion returns the region of a registry of Amazon's, or "".
func ecrRegion(host string) string {
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

// publishing is an error of a part that is being published, with the next step
// where that is to leave the part out.
func (p *push) publishing(part Part, err error) error {
	err = fmt.Errorf("publishing %s: %w", p.places[part], err)
	switch registry.RefusalOf(err) {
	case registry.RefusedDocument:
		if _, ok := part.image(); ok || part == PartImage {
			return err
		}
		return fault.New(fault.KindOf(err), "%w; no tag was set", err).
			WithHint("the registry takes images only, it seems: --skip %s publishes the rest; a newer version of the registry, or a switch of it, may take OCI artifacts", part)
	case registry.RefusedTag:
		return fault.New(fault.KindOf(err), "%w", err).
			WithHint("the registry does not let a tag be moved (immutable tags): push to another PREFIX, leave the part out with --skip %s, or have that lifted for this tag", part)
	}
	return err
}

package push

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

// destination is a repository that a part goes to, and the tags that it gets there.
type destination struct {
	part Part
	name registry.Name
	repo *registry.Repository
	tags []tag
	// top is the document that gets the tags; of the image, once it is made.
	top bundle.Document
	// below are the manifests of the image, once it is made.
	below []lock.SHA256
	// problem is what is in the way, and refused says that it is the registry, not a tag's other
	// content. A dry run goes on with the other parts.
	problem error
	refused bool
}

// tag is a tag of a repository, and the digest that it has now; nil if it is not there.
type tag struct {
	name  string
	there *lock.SHA256
}

func (t tag) has(digest lock.SHA256) bool { return t.there != nil && *t.there == digest }

func (d *destination) String() string { return d.reference(d.tags[0]) }

func (d *destination) reference(t tag) string { return d.name.String() + ":" + t.name }

// has reports whether a tag has a digest. If it has, everything that the manifest names is there,
// too: a registry takes no manifest before that.
func (d *destination) has(digest lock.SHA256) bool {
	return slices.ContainsFunc(d.tags, func(t tag) bool { return t.has(digest) })
}

// complete reports whether every tag has a digest.
func (d *destination) complete(digest lock.SHA256) bool {
	return !slices.ContainsFunc(d.tags, func(t tag) bool { return !t.has(digest) })
}

// occupied returns the first tag that is there.
func (d *destination) occupied() (tag, bool) {
	i := slices.IndexFunc(d.tags, func(t tag) bool { return t.there != nil })
	if i < 0 {
		return tag{}, false
	}
	return d.tags[i], true
}

// keeps reports whether a tag is there that must not change.
func (p *push) keeps(to *destination) bool {
	_, occupied := to.occupied()
	return occupied && !p.options.Force
}

// checkTags refuses to give a tag that is there another content.
func (p *push) checkTags(to *destination, digest lock.SHA256) error {
	for _, t := range to.tags {
		if t.there != nil && !t.has(digest) && !p.options.Force {
			return p.otherContent(to, t, fmt.Sprintf("it is sha256:%s, but would be sha256:%s", t.there, digest))
		}
	}
	return nil
}

// otherContent is the error of a tag that has other content.
func (p *push) otherContent(to *destination, t tag, differs string) error {
	at := to.reference(t)
	hint := fmt.Sprintf("--force replaces it, --skip %s leaves it as it is", to.part)
	switch to.part {
	case Bundle:
		hint = fmt.Sprintf("see what differs: botkube-mirror diff %s%s %s; --force replaces it", form.RegistryPrefix, at, p.Name)
	case Image:
		hint = "the lock, the mount or the program in it differs (every version of botkube-mirror is another program); --force replaces it, --skip image leaves it as it is"
	}
	return fault.New(fault.Integrity, "%s is there already, with other content: %s", at, differs).WithHint("%s", hint)
}

type refused struct {
	part Part
	name registry.Name
	err  error
}

// prepare asks for access to every repository, and refuses tags that have other
// content where that can be known, before anything is uploaded. What the
// registry refuses, it tells of all repositories at once.
func (p *push) prepare(ctx context.Context) error {
	names, err := p.options.repositories(p.parts)
	if err != nil {
		return err
	}
	p.destinations = map[Part]*destination{}
	failures := make([]error, len(p.parts))
	var asking sync.WaitGroup
	for i, part := range p.parts {
		to := &destination{part: part, name: names[part]}
		for _, name := range p.tagsOf(part) {
			to.tags = append(to.tags, tag{name: name})
		}
		p.destinations[part] = to
		asking.Go(func() { failures[i] = p.ask(ctx, to) })
	}
	asking.Wait()
	var all []refused
	for i, part := range p.parts {
		err, to := failures[i], p.destinations[part]
		if err == nil {
			continue
		}
		switch registry.RefusalOf(err) {
		case registry.NotRefused, registry.RefusedCredentials: // the same for all
			if err := p.inTheWay(to, err); err != nil {
				return err
			}
			continue
		}
		to.problem, to.refused = err, true
		all = append(all, refused{part, names[part], err})
	}
	if len(all) == 0 {
		return nil
	}
	err = refusedError(all, len(p.parts))
	if p.options.DryRun {
		p.verdict = cmp.Or(p.verdict, err)
		return nil
	}
	return err
}

// inTheWay returns the error of a tag that has other content. A dry run keeps it for its end.
func (p *push) inTheWay(to *destination, err error) error {
	if err == nil || !p.options.DryRun || fault.KindOf(err) != fault.Integrity {
		return err
	}
	to.problem = cmp.Or(to.problem, err)
	p.verdict = cmp.Or(p.verdict, err)
	return nil
}

// ask finds out what a part's tags have. If one has nothing yet, or something else, ask also finds
// out whether the part can be pushed.
func (p *push) ask(ctx context.Context, to *destination) (err error) {
	if to.repo, err = p.Registry.Repository(ctx, to.name, true); err != nil {
		return err
	}
	free := false
	for i, t := range to.tags {
		there, err := to.repo.Manifest(ctx, t.name)
		switch {
		case err == nil:
			to.tags[i].there = &there.Digest
		case !registry.IsNotFound(err):
			return err
		default:
			free = true
		}
	}
	if to.part != Image { // its digest is known once it is made
		if to.top, _, err = p.documents(to.part); err != nil {
			return err
		}
		digest := to.top.Blob().SHA256
		if err := p.checkTags(to, digest); err != nil || to.complete(digest) {
			return err
		}
	}
	if !free && !p.options.Force {
		return nil
	}
	return to.repo.CheckPush(ctx)
}

func refusedError(all []refused, of int) error {
	if len(all) == 1 {
		return fault.New(fault.Upstream, "%w", all[0].err).WithHint("%s", hintRefused(all, of))
	}
	var list strings.Builder
	for _, r := range all {
		fmt.Fprintf(&list, "\n  %s: %s", r.name, registry.RefusalText(r.err))
	}
	return fault.New(fault.Upstream, "%s refuses %d of the %d repositories that this push needs; nothing was sent:%s",
		all[0].name.Host(), len(all), of, list.String()).WithHint("%s", hintRefused(all, of))
}

const hintChartPath = "--chart-path botkube-chart puts the chart beside the images; --skip chart leaves it out"

// hintRefused is the next step after repositories were refused.
func hintRefused(all []refused, of int) string {
	first := all[0]
	kind, levels, ecr := registry.RefusalOf(first.err), strings.Count(first.name.Path(), "/"), ecrRegion(first.name.Host()) != ""
	mayLack := kind == registry.RefusedRepository || kind == registry.RefusedAccess
	switch {
	case len(all) == 1 && of > 1 && first.part == Chart && levels > 1 && kind != registry.RefusedQuota:
		return "some registries have names of two levels only, or want every repository created first: create " + first.name.Path() + " there, or choose another place; " + hintChartPath
	case mayLack && levels == 0 && !ecr:
		return "many registries want a project, an organisation or a user before the name: push to " + first.name.Host() + "/PROJECT; if it wants none, create the repositories first, or ask for the right to push"
	case mayLack && levels > 1 && first.part != Chart && !ecr:
		return "is the project there, and may the user push to it? some registries have names of two levels only: there, PREFIX is HOST/PROJECT, and --chart-path names the chart's repository"
	case kind != registry.RefusedRepository:
		return fault.HintOf(first.err)
	}
	return hintCreate(all)
}

func hintCreate(all []refused) string {
	var paths, commands []string
	for _, r := range all {
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

var ecrHost = lazyregexp.New(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$`)

// ecrRegion returns the region of a registry of Amazon's, or "".
func ecrRegion(host string) string {
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

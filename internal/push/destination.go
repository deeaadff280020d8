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

// destination is the repository for a part, with the tags that the part gets there.
type destination struct {
	part Part
	name registry.Name
	repo *registry.Repository
	tags []tag
	// top is the manifest or index that gets the tags. The image's is empty until it is made.
	top bundle.Document
	// below has the digests of the image's manifests, once they are made.
	below []lock.SHA256
	// problem is why the part cannot be pushed. refused says that the registry refuses it; otherwise a
	// tag has other content. A dry run continues with the other parts.
	problem error
	refused bool
}

// tag is a tag of a repository. digest is its present digest, or nil if the tag does not exist.
type tag struct {
	name   string
	digest *lock.SHA256
}

func (t tag) has(digest lock.SHA256) bool { return t.digest != nil && *t.digest == digest }

func (d *destination) String() string { return d.reference(d.tags[0]) }

func (d *destination) reference(t tag) string { return d.name.String() + ":" + t.name }

// has reports whether a tag has a digest. If so, the registry also has all that the manifest names:
// it accepts no manifest before that.
func (d *destination) has(digest lock.SHA256) bool {
	return slices.ContainsFunc(d.tags, func(t tag) bool { return t.has(digest) })
}

// complete reports whether every tag has a digest.
func (d *destination) complete(digest lock.SHA256) bool {
	return !slices.ContainsFunc(d.tags, func(t tag) bool { return !t.has(digest) })
}

// occupied returns the first tag that exists.
func (d *destination) occupied() (tag, bool) {
	i := slices.IndexFunc(d.tags, func(t tag) bool { return t.digest != nil })
	if i < 0 {
		return tag{}, false
	}
	return d.tags[i], true
}

// keeps reports whether a tag exists that must not change.
func (p *push) keeps(to *destination) bool {
	_, occupied := to.occupied()
	return occupied && !p.options.Force
}

// checkTags returns an error for a tag that exists with other content, unless Force is set.
func (p *push) checkTags(to *destination, digest lock.SHA256) error {
	for _, t := range to.tags {
		if t.digest != nil && !t.has(digest) && !p.options.Force {
			return p.otherContent(to, t, fmt.Sprintf("it is sha256:%s, but would be sha256:%s", t.digest, digest))
		}
	}
	return nil
}

// otherContent returns the error for a tag that has other content.
func (p *push) otherContent(to *destination, t tag, differs string) error {
	at := to.reference(t)
	hint := fmt.Sprintf("replace it with --force, or keep it with --skip %s", to.part)
	switch to.part {
	case Bundle:
		hint = fmt.Sprintf("see what differs: botkube-mirror diff %s %s\nreplace it with --force", fault.Quote(form.RegistryPrefix+at), fault.Quote(p.Name))
	case Image:
		hint = "replace it with --force, or keep it with --skip image: the lock, the mount or the version of botkube-mirror in it differs"
	}
	return fault.New(fault.Integrity, "%s exists with other content: %s", at, differs).WithHint("%s", hint)
}

type refused struct {
	part Part
	name registry.Name
	err  error
}

// prepare asks for access to all repositories, and checks the tags, before anything is uploaded. The
// image's tags are checked later, when its digest is known. Refusals of several repositories become
// one error.
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
		case registry.NotRefused, registry.RefusedCredentials: // the same error for all parts
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

// inTheWay returns the error for a tag that has other content. A dry run keeps the error until its
// end, and continues.
func (p *push) inTheWay(to *destination, err error) error {
	if err == nil || !p.options.DryRun || fault.KindOf(err) != fault.Integrity {
		return err
	}
	to.problem = cmp.Or(to.problem, err)
	p.verdict = cmp.Or(p.verdict, err)
	return nil
}

// ask reads the digests of a part's tags. If a tag does not exist, or will be replaced, it also checks
// that the repository accepts uploads.
func (p *push) ask(ctx context.Context, to *destination) (err error) {
	if to.repo, err = p.Registry.Repository(ctx, to.name, true); err != nil {
		return err
	}
	free := false
	for i, t := range to.tags {
		there, err := to.repo.Manifest(ctx, t.name)
		switch {
		case err == nil:
			to.tags[i].digest = &there.Digest
		case !registry.IsNotFound(err):
			return err
		default:
			free = true
		}
	}
	if to.part != Image { // the image's digest is not known before it is made
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
	return fault.New(fault.Upstream, "%s refuses %d of the %d repositories, and nothing was sent:%s",
		all[0].name.Host(), len(all), of, list.String()).WithHint("%s", hintRefused(all, of))
}

const hintChartPath = "put the chart beside the images: --chart-path botkube-chart\nor leave it out: --skip chart"

// hintRefused returns the next step after repositories were refused.
func hintRefused(all []refused, of int) string {
	first := all[0]
	kind, levels, ecr := registry.RefusalOf(first.err), strings.Count(first.name.Path(), "/"), ecrRegion(first.name.Host()) != ""
	mayLack := kind == registry.RefusedRepository || kind == registry.RefusedAccess
	switch {
	case len(all) == 1 && of > 1 && first.part == Chart && levels > 1 && kind != registry.RefusedQuota:
		return "create the repository " + first.name.Path() + " first, if this registry needs that; if it only allows names of two levels, use another path\n" + hintChartPath
	case mayLack && levels == 0 && !ecr:
		return "push to " + first.name.Host() + "/PROJECT, if this registry needs a project, an organisation or a user; if not, create the repositories first, or ask for the right to push"
	case mayLack && levels > 1 && first.part != Chart && !ecr:
		return "check that the project exists, and that the user may push to it; if this registry only allows names of two levels, push to HOST/PROJECT, and name the chart's repository with --chart-path"
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
		return "create the repositories first, with the lifecycle and scanning that you want:\n" + strings.Join(commands, "\n")
	}
	return "create these repositories first, or their project or organisation: " + strings.Join(paths, ", ")
}

var ecrHost = lazyregexp.New(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$`)

// ecrRegion returns the region of an Amazon ECR registry, or "".
func ecrRegion(host string) string {
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		return m[1]
	}
	return ""
}

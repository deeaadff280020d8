package resolve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/sumfile"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

const maxChecksumFile = 4 << 20

// publishers looks up publishers' checksum files, each once: a release may have one for all its files.
// All checksums that exist must agree. With pin, a checksum file that cannot be requested is a
// warning, not an error.
func (r *Resolver) publishers(ctx context.Context, artifacts map[string]*artifact, pin bool) error {
	files := map[string]*checksumFile{}
	for _, a := range artifacts {
		for _, at := range a.checksumURLs() {
			files[at.url] = new(checksumFile)
		}
	}
	var group errgroup.Group
	group.SetLimit(r.Lookups)
	for url, f := range files {
		group.Go(func() error {
			f.data, f.err = r.Fetch.Document(ctx, url, maxChecksumFile, nil)
			return nil
		})
	}
	_ = group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	var problems []error
	for _, a := range artifacts {
		if err := a.ask(files, pin); err != nil {
			problems = append(problems, err)
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if err := errors.Join(problems...); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, url := range slices.Sorted(maps.Keys(artifacts)) {
		r.remarkOn(artifacts[url], told)
	}
	return nil
}

// remarkOn warns about broken checksum files, and notes odd answers instead of one.
func (r *Resolver) remarkOn(a *artifact, told map[string]bool) {
	for _, trouble := range a.troubles {
		if !told[trouble] {
			r.Warn(trouble)
		}
		told[trouble] = true
	}
	if len(a.checksums) == 0 && len(a.troubles) == 0 && a.odd {
		r.Note(fmt.Sprintf("no checksum file for %s: %s", agent.Redact(a.url), strings.Join(a.answers, "; ")))
	}
}

// checksumFile is the result of the request for a checksum file.
type checksumFile struct {
	data []byte
	err  error
}

// ask completes the checksums of an artifact.
func (a *artifact) ask(files map[string]*checksumFile, pin bool) error {
	for _, at := range a.checksumURLs() {
		read, doing := a.guess, "looking for a checksum of %s at %s: %w"
		if at.named {
			read, doing = a.named, "reading the checksum file of %s, %s: %w"
		}
		err := read(files[at.url], at)
		if err == nil {
			continue
		}
		err = fault.New(fault.KindOf(err), doing, agent.Redact(a.url), agent.Redact(at.url), err).
			WithHint("%s", strings.TrimSpace(fault.HintOf(err)+"\n"+lockInstead))
		if !pin {
			return err
		}
		a.unasked = !at.named
		a.trouble("%w", err)
	}
	return a.agree()
}

// named reads a checksum file that the index names. The agent needs it.
func (a *artifact) named(f *checksumFile, at checksumURL) error {
	if absent := fetch.Absence(f.err); absent != "" && !fetch.IsOwnChecksum(f.err) {
		return fault.New(fault.Upstream, "%s", absent)
	}
	if f.err != nil && !fetch.IsOwnChecksum(f.err) {
		return f.err
	}
	if err := a.take(f.data, at.url, false); err != nil {
		return fault.New(fault.Integrity, "%w", err)
	}
	return nil
}

// guess reads a checksum file that may exist. If it is absent or broken, that is not an error. If the
// server cannot say whether it exists, that is one: otherwise a network problem would turn a checked
// file into an unchecked one.
func (a *artifact) guess(f *checksumFile, at checksumURL) error {
	shown, err := agent.Redact(at.url), f.err
	if err == nil {
		err = a.take(f.data, at.url, at.shared)
	}
	none, isNone := errors.AsType[*sumfile.NoneError](err)
	absent := fetch.Absence(f.err)
	switch {
	case absent != "":
		a.answered(shown+" "+absent, !fetch.IsNotFound(f.err))
	case f.err != nil && !fetch.IsUnusable(f.err):
		return f.err
	case isNone:
		a.answered(shown+" is "+none.What+excerpt(f.data, none.What), true)
	case errors.Is(err, sumfile.ErrNotListed):
		a.answered(shown+" does not list it", true)
	case err != nil:
		a.trouble("the checksum file %s is not valid: %w", shown, err)
	}
	return nil
}

// lockInstead is the hint if a checksum file stays unusable.
const lockInstead = "if it fails again, pin the files as they are: run botkube-mirror lock with the same flags, then botkube-mirror pull --lock FILE"

// answered records the answer where there is no checksum file. Only odd answers are reported.
func (a *artifact) answered(text string, odd bool) {
	a.answers = append(a.answers, text)
	a.odd = a.odd || odd
}

func (a *artifact) trouble(format string, args ...any) {
	a.troubles = append(a.troubles, fmt.Errorf(format, args...).Error())
}

// excerpt quotes the first line of a text that is not a checksum file.
func excerpt(data []byte, what string) string {
	text, err := textfile.Decode(data)
	if what != textfile.PlainText || err != nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return fmt.Sprintf(" (%q)", transfer.Printable(first, 60))
}

// take reads the checksums in a checksum file. A shared one need not list the artifact.
func (a *artifact) take(data []byte, from string, shared bool) error {
	_, plain := agent.SplitGetter(a.url)
	u, err := url.Parse(plain)
	if err != nil {
		return fmt.Errorf("the URL %s is not valid", agent.Redact(a.url))
	}
	found, err := sumfile.Find(data, u.Path, shared)
	if err != nil {
		return err
	}
	for _, sum := range found {
		a.checksums = append(a.checksums, given{sum, origin{by: agent.Redact(from), source: lock.ByPublisher}})
	}
	a.publishers = append(a.publishers, agent.Redact(from))
	return nil
}

type checksumURL struct {
	url string
	// named says that the index names it.
	named bool
	// shared says that the file is for all files of a release.
	shared bool
}

// checksumURLs returns the URLs of checksum files that the index names. If it has neither a checksum
// nor such a URL, it returns guesses. For a directory it returns none: the publisher cannot know the
// archive that this program makes of it.
func (a *artifact) checksumURLs() (all []checksumURL) {
	if a.tree != "" {
		return nil
	}
	for _, file := range a.checksumFiles {
		all = append(all, checksumURL{url: file, named: true})
	}
	if len(all) == 0 && len(a.checksums) == 0 {
		all = guesses(a.url)
	}
	return all
}

// released matches goreleaser's archive names: PROJECT_VERSION_REST.
var released = lazyregexp.New(`^(.+?_v?\d[0-9A-Za-z.+-]*)_`)

// guesses returns the URLs where publishers of Botkube's dependencies put checksum files: URL.sha256
// (dl.k8s.io, eget, kubescape), URL.sha256sum (get.helm.sh), PROJECT_VERSION_checksums.txt (flux, gh).
func guesses(artifact string) []checksumURL {
	u, err := url.Parse(artifact)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file" {
		return nil
	}
	u.RawQuery, u.Fragment = "", ""
	at := func(name string) string {
		v := *u
		v.Path, v.RawPath = path.Join(path.Dir(u.Path), name), ""
		return v.String()
	}
	name := path.Base(u.Path)
	all := []checksumURL{{url: at(name + ".sha256")}, {url: at(name + ".sha256sum")}}
	if m := released.FindStringSubmatch(name); m != nil {
		all = append(all, checksumURL{url: at(m[1] + "_checksums.txt"), shared: true})
	}
	return all
}

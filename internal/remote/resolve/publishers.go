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

// publishers looks up checksum files, each once: a release has one for all of its files. All that
// exist must agree. With pin, what cannot be asked for is a warning, not an error.
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

// remarkOn tells what is wrong with checksum files, or was answered instead of one.
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

// checksumFile is what came of the request for one.
type checksumFile struct {
	data []byte
	err  error
}

// ask completes the checksums of an artifact.
func (a *artifact) ask(files map[string]*checksumFile, pin bool) error {
	for _, at := range a.checksumURLs() {
		read, doing := a.guess, "looking for a checksum of %s at %s: %w"
		if at.named {
			read, doing = a.named, "reading the checksum file that the URL %s names, %s: %w"
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

// named reads a checksum file that the index names. The agent goes nowhere without it.
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

// guess reads a checksum file that may be there. One that is absent or broken does not
// end the run. A server that cannot say whether there is one does: otherwise a checked file would
// become an unchecked one.
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
		a.trouble("the checksum file %s cannot be read: %w", shown, err)
	}
	return nil
}

// lockInstead is the way out if a checksum file stays as it is.
const lockInstead = "if it stays so, the command lock, with the same flags, pins the files as they are, and pull --lock FILE mirrors what it pinned"

// That no checksum file was found anywhere is not worth a word, unless it is odd.
func (a *artifact) answered(text string, odd bool) {
	a.answers = append(a.answers, text)
	a.odd = a.odd || odd
}

func (a *artifact) trouble(format string, args ...any) {
	a.troubles = append(a.troubles, fmt.Errorf(format, args...).Error())
}

// excerpt quotes the first line of a text that is no checksum file.
func excerpt(data []byte, what string) string {
	text, err := textfile.Decode(data)
	if what != textfile.PlainText || err != nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return fmt.Sprintf(" (%q)", transfer.Printable(first, 60))
}

// take reads a checksum file. One that is shared by many files may leave the artifact out.
func (a *artifact) take(data []byte, from string, shared bool) error {
	_, plain := agent.SplitGetter(a.url)
	u, err := url.Parse(plain)
	if err != nil {
		return fmt.Errorf("URL %s cannot be read", agent.Redact(a.url))
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
	// shared says that the file is about all files of a release.
	shared bool
}

// checksumURLs returns the URLs that the index names, or guesses if it gives no checksum. Whoever
// publishes a directory does not know our archive of it.
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

// released is the form of goreleaser's archive names: PROJECT_VERSION_rest.
var released = lazyregexp.New(`^(.+?_v?\d[0-9A-Za-z.+-]*)_`)

// guesses returns where the publishers of Botkube's dependencies put checksums:
// dl.k8s.io, eget and kubescape at URL.sha256, get.helm.sh at URL.sha256sum,
// flux and gh at PROJECT_VERSION_checksums.txt.
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

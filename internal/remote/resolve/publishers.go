package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/sumfile"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// maxChecksumFile bounds, in bytes, a checksum file.
const maxChecksumFile = 4 << 20

// publishers looks up the checksum files that publishers put beside artifacts
// that the index gives no checksum for. All that exist must agree.
func (r *Resolver) publishers(ctx context.Context, artifacts map[string]*artifact, pin bool) error {
	files := checksumFiles{fetch: r.Fetch, files: map[string]*checksumFile{}, pin: pin}
	var problems []error
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(lookups)
	for _, a := range artifacts {
		if a.tree != "" {
			continue // whoever publishes a directory does not know our archive of it
		}
		group.Go(func() error {
			if err := files.vouch(ctx, a); err != nil {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, err)
			}
			return nil
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if err := errors.Join(problems...); err != nil {
		return err
	}
	r.remarkOn(artifacts)
	return nil
}

// remarkOn tells what is wrong with checksum files, and of artifacts that nobody
// vouches for, what was asked and answered, if that is out of the ordinary.
func (r *Resolver) remarkOn(artifacts map[string]*artifact) {
	told := map[string]bool{}
	for _, url := range slices.Sorted(maps.Keys(artifacts)) {
		a := artifacts[url]
		for _, trouble := range a.troubles {
			if !told[trouble] {
				r.Warn(trouble)
			}
			told[trouble] = true
		}
		if len(a.checksums) == 0 && len(a.troubles) == 0 && a.odd {
			r.Note(fmt.Sprintf("no checksum file for %s: %s", agent.Redact(url), strings.Join(a.answers, "; ")))
		}
	}
}

// checksumFiles requests each checksum file once: a release has one for all
// of its files.
type checksumFiles struct {
	fetch *fetch.Client
	// pin has what cannot be asked for be a warning, not an error.
	pin   bool
	mu    sync.Mutex
	files map[string]*checksumFile
}

// checksumFile is what came of the request for one.
type checksumFile struct {
	once sync.Once
	data []byte
	// absent is the answer that says that there is none, odd that it is another one
	// than usual.
	absent string
	odd    bool
	// broken is why one that is there cannot be read.
	broken error
	// err is why it is not known whether there is one.
	err error
}

func (c *checksumFiles) get(ctx context.Context, url string) *checksumFile {
	c.mu.Lock()
	f := c.files[url]
	if f == nil {
		f = new(checksumFile)
		c.files[url] = f
	}
	c.mu.Unlock()
	f.once.Do(func() {
		data, _, err := c.fetch.Document(ctx, url, maxChecksumFile)
		switch absent := fetch.Absence(err); {
		case err == nil:
			f.data = data
		case absent != "":
			f.absent, f.odd = absent, !fetch.IsNotFound(err)
		case fetch.IsUnusable(err):
			f.broken = err
		default:
			f.err = err
		}
	})
	return f
}

// vouch completes the checksums of an artifact.
func (c *checksumFiles) vouch(ctx context.Context, a *artifact) error {
	for _, file := range a.checksumFiles {
		if err := c.named(ctx, a, file); err != nil {
			return err
		}
	}
	if len(a.checksums) > 0 || len(a.checksumFiles) > 0 {
		return a.agree()
	}
	for _, sumsAt := range checksumURLs(a.url) {
		if err := c.guess(ctx, a, sumsAt); err != nil {
			return err
		}
	}
	return a.agree()
}

// named reads a checksum file that the index names. The agent goes nowhere without
// it.
func (c *checksumFiles) named(ctx context.Context, a *artifact, file string) error {
	f := c.get(ctx, file)
	err := cmp.Or(f.broken, f.err)
	if err == nil && f.absent != "" {
		err = fault.New(fault.Upstream, "%s", f.absent)
	}
	if err == nil {
		if err = a.take(f.data, file, false); err != nil {
			err = fault.New(fault.Integrity, "%w", err)
		}
	}
	return c.failed(a, file, true, err)
}

// guess reads a checksum file that may be there. That there is none, and that one
// cannot be read, is not the end; that nobody knows whether there is one would turn
// a checked file into an unchecked one.
func (c *checksumFiles) guess(ctx context.Context, a *artifact, at checksumURL) error {
	f := c.get(ctx, at.url)
	shown := agent.Redact(at.url)
	switch {
	case f.err != nil:
		return c.failed(a, at.url, false, f.err)
	case f.broken != nil:
		a.trouble("the checksum file %s cannot be read: %w", shown, f.broken)
		return nil
	case f.absent != "":
		a.answered(shown+" "+f.absent, f.odd)
		return nil
	}
	err := a.take(f.data, at.url, at.shared)
	if none, ok := errors.AsType[*sumfile.NoneError](err); ok {
		a.answered(shown+" is "+none.What+excerpt(f.data, none.What), true)
		return nil
	}
	switch {
	case errors.Is(err, sumfile.ErrNotListed):
		a.answered(shown+" does not list it", true)
	case err != nil:
		a.trouble("the checksum file %s cannot be read: %w", shown, err)
	}
	return nil
}

// failed is about a checksum file that must be there, or of which nobody knows
// whether it is.
func (c *checksumFiles) failed(a *artifact, file string, named bool, err error) error {
	if err == nil {
		return nil
	}
	doing := "looking for a checksum of %s at %s: %w"
	if named {
		doing = "reading the checksum file of %s that the index names, %s: %w"
	}
	err = fault.New(fault.KindOf(err), doing, agent.Redact(a.url), agent.Redact(file), err).
		WithHint("%s", strings.TrimSpace(fault.HintOf(err)+"\n"+lockInstead))
	if !c.pin {
		return err
	}
	a.unasked = !named
	a.trouble("%w", err)
	return nil
}

// lockInstead is the way out if a checksum file stays as it is.
const lockInstead = "if it stays so, the command lock, with the same flags, pins the files as they are, and pull --lock FILE mirrors what it pinned"

// answered notes what was answered for a checksum file that is not there. That it was
// not found everywhere is not worth a word.
func (a *artifact) answered(text string, odd bool) {
	a.answers = append(a.answers, text)
	a.odd = a.odd || odd
}

// trouble notes what is wrong with a checksum file.
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

// take reads a checksum file for the artifact. One that is shared by many
// files may leave the artifact out.
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
		a.checksums = append(a.checksums, given{sum, agent.Redact(from)})
	}
	a.publishers = append(a.publishers, agent.Redact(from))
	return nil
}

// checksumURL is a place where publishers put checksums.
type checksumURL struct {
	url string
	// shared says that the file is about all files of a release.
	shared bool
}

// released is the form of goreleaser's archive names: PROJECT_VERSION_rest.
var released = regexp.MustCompile(`^(.+?_v?\d[0-9A-Za-z.+-]*)_`)

// checksumURLs returns where the publishers of Botkube's dependencies put checksums:
// dl.k8s.io, eget and kubescape at URL.sha256, get.helm.sh at URL.sha256sum,
// flux and gh at PROJECT_VERSION_checksums.txt.
func checksumURLs(artifact string) []checksumURL {
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

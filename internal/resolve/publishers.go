package resolve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
)

// maxChecksumFile bounds, in bytes, a checksum file.
const maxChecksumFile = 4 << 20

// publishers looks up the checksum files that publishers put beside artifacts
// that the index gives no checksum for. All that exist must agree.
func (r *Resolver) publishers(ctx context.Context, artifacts map[string]*artifact) error {
	files := checksumFiles{fetch: r.Fetch, files: map[string]*checksumFile{}}
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
	return errors.Join(problems...)
}

// checksumFiles requests each checksum file once: a release has one for all
// of its files.
type checksumFiles struct {
	fetch *fetch.Client
	mu    sync.Mutex
	files map[string]*checksumFile
}

type checksumFile struct {
	once sync.Once
	data []byte
	err  error
}

func (c *checksumFiles) get(ctx context.Context, url string) ([]byte, error) {
	c.mu.Lock()
	f := c.files[url]
	if f == nil {
		f = new(checksumFile)
		c.files[url] = f
	}
	c.mu.Unlock()
	f.once.Do(func() {
		f.data, _, f.err = c.fetch.Document(ctx, url, maxChecksumFile)
		if fetch.IsNotFound(f.err) || fetch.IsForbidden(f.err) || fetch.IsWebPage(f.err) {
			f.data, f.err = nil, nil
		}
	})
	return f.data, f.err
}

// vouch completes the checksums of an artifact.
func (c *checksumFiles) vouch(ctx context.Context, a *artifact) error {
	for _, file := range a.checksumFiles {
		data, err := c.get(ctx, file)
		if err == nil && data == nil {
			err = fault.New(fault.Upstream, "it is not there")
		}
		if err != nil {
			return fmt.Errorf("reading the checksum file %s that the index names: %w", agent.Redact(file), err)
		}
		if err := a.take(data, file, false); err != nil {
			return err
		}
	}
	if len(a.checksums) > 0 {
		return a.agree()
	}
	for _, beside := range besides(a.url) {
		data, err := c.get(ctx, beside.url)
		if err != nil {
			return fmt.Errorf("looking for the checksum of %s: %w", agent.Redact(a.url), err)
		}
		if data == nil {
			continue
		}
		if err := a.take(data, beside.url, beside.shared); err != nil {
			return err
		}
	}
	return a.agree()
}

// take reads a checksum file for the artifact. One that is shared by many
// files may leave the artifact out.
func (a *artifact) take(data []byte, from string, shared bool) error {
	_, plain := agent.SplitGetter(a.url)
	u, err := url.Parse(plain)
	if err != nil {
		return fmt.Errorf("URL %s cannot be read", agent.Redact(a.url))
	}
	sum, found := findChecksum(data, path.Base(u.Path), shared)
	switch {
	case found:
		a.checksums = append(a.checksums, given{sum, agent.Redact(from)})
		a.publishers = append(a.publishers, agent.Redact(from))
	case !shared:
		return fault.New(fault.Integrity, "%s gives no checksum for %s", agent.Redact(from), path.Base(u.Path)).
			WithHint("the publisher's checksum file is damaged or of a form that is not known; a lock can vouch instead: --lock FILE")
	}
	return nil
}

// beside is a place where publishers put checksums.
type beside struct {
	url string
	// shared says that the file is about all files of a release.
	shared bool
}

// released is the form of goreleaser's archive names: PROJECT_VERSION_rest.
var released = regexp.MustCompile(`^(.+?_v?\d[0-9A-Za-z.+-]*)_`)

// besides returns where the publishers of Botkube's dependencies put checksums:
// dl.k8s.io, eget and kubescape at URL.sha256, get.helm.sh at URL.sha256sum,
// flux and gh at PROJECT_VERSION_checksums.txt.
func besides(artifact string) []beside {
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
	all := []beside{{url: at(name + ".sha256")}, {url: at(name + ".sha256sum")}}
	if m := released.FindStringSubmatch(name); m != nil {
		all = append(all, beside{url: at(m[1] + "_checksums.txt"), shared: true})
	}
	return all
}

// bsdLine is the form that BSD's tools and sha256sum --tag write.
var bsdLine = regexp.MustCompile(`^SHA(?:256|512) \((.+)\) = ([0-9A-Fa-f]+)$`)

// findChecksum finds the sha256 or sha512 digest of a file in a checksum file:
// lines of a digest and a name, or a single digest with any name or none if the
// file is about one artifact only.
func findChecksum(data []byte, name string, shared bool) (agent.Checksum, bool) {
	var sums []agent.Checksum
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxChecksumFile)
	for lines.Scan() {
		digits, file := splitChecksumLine(strings.TrimSpace(lines.Text()))
		sum, err := agent.ParseChecksum(digits)
		if err != nil || sum.Algorithm != "sha256" && sum.Algorithm != "sha512" {
			continue
		}
		if file != "" && path.Base(strings.ReplaceAll(file, `\`, "/")) == name {
			return sum, true
		}
		sums = append(sums, sum)
	}
	if !shared && len(sums) == 1 {
		return sums[0], true
	}
	return agent.Checksum{}, false
}

func splitChecksumLine(line string) (digits, file string) {
	if m := bsdLine.FindStringSubmatch(line); m != nil {
		return m[2], m[1]
	}
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.TrimPrefix(strings.TrimSpace(line[i:]), "*")
	}
	return line, ""
}

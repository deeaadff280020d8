package fetch

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Limits for a directory that is unpacked or cloned.
const (
	maxTreeEntries = 100_000
	maxTreeBytes   = 4 << 30
)

// Locate returns a URL as go-getter's detectors read it. For example, github.com/OWNER/NAME becomes
// git::https://github.com/OWNER/NAME.git. Local reports that it is a path on the machine that reads
// it, such as the agent's.
func Locate(raw string) (located string, local bool, err error) {
	located, ok := detect(raw)
	if !ok {
		return "", true, nil // a relative path
	}
	name, u, err := splitURL(located)
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", agent.Redact(raw), err)
	}
	return located, name == "file" || u.Scheme == "file" || u.Scheme == "", nil // also git::file:///… and git::/…
}

// treeSource is a URL of a directory.
type treeSource struct {
	agent.Location
	source
}

// parseTree parses the URL of a directory, in the form that [Locate] returns.
func parseTree(raw string) (treeSource, error) {
	src := treeSource{source: source{shown: agent.Redact(raw)}}
	var err error
	if src.Location, err = agent.ParseLocation(raw); err != nil {
		return src, fault.New(fault.Usage, "%w", err)
	}
	if src.getter, src.url, err = splitURL(src.URL); err != nil {
		return src, err
	}
	switch {
	case src.getter == "file" || src.url.Scheme == "file" || src.url.Scheme == "":
		return src, fault.New(fault.Usage, "the URL is a path on the agent's machine")
	case src.getter == "git":
		return src, nil
	case !slices.Contains(fileGetters, src.getter):
		return src, fault.New(fault.Usage, "directories cannot be downloaded with %q", src.getter).WithHint("use git, http, https, s3 or gcs")
	case src.Format == "" && (src.getter == "http" || src.getter == "https"):
		return src, fault.New(fault.Usage, "the URL is neither a repository nor an archive").
			WithHint("if it is an archive without an extension such as .tar.gz or .zip, add ?archive=tar.gz")
	}
	return src, nil
}

// tree downloads a directory and stores it as one archive. Only git can tell without a download
// whether a directory has changed.
func (c *Client) tree(ctx context.Context, req Request, want expectation, obs Observer) (Result, error) {
	src, err := parseTree(req.URL)
	if err != nil {
		return Result{}, err
	}
	// The key differs from that of a file at the same URL, so that a partial file is not continued.
	in, err := c.cfg.Store.Ingest(ctx, "tree "+src.shown, obs.Waiting)
	if err != nil {
		return Result{}, transfer.Local(err)
	}
	defer in.Close()
	if r, err := c.reuseByDigest(ctx, req, src.shown, want); !errors.Is(err, errStale) {
		return r, err
	}
	dir, err := c.cfg.Store.TempDir()
	if err != nil {
		return Result{}, transfer.Local(err)
	}
	defer os.RemoveAll(dir)
	obs.Started(-1)
	key := "tree " + string(req.Tree) + " " + src.shown
	record, _ := c.cfg.Store.URLRecord(key)
	from, err := c.directory(ctx, src, filepath.Join(dir, "tree"), record.ETag, obs)
	if errors.Is(err, errUnchanged) {
		r, reused := c.reuseTree(ctx, req, record, want)
		if !errors.Is(reused, errStale) {
			return r, reused
		}
		from, err = c.directory(ctx, src, filepath.Join(dir, "again"), "", obs) // the archive was damaged
	}
	if err != nil {
		return Result{}, err
	}
	defer from.top.Close()
	r, err := c.storeTree(ctx, req, from, in, want)
	if err == nil && from.version != "" { // without the record, the next run downloads it again
		_ = c.cfg.Store.SetURLRecord(key, store.URLRecord{URL: src.shown, SHA256: r.SHA256, Size: r.Size, ETag: from.version, Seen: time.Now()})
	}
	obs.Received(int(r.Size))
	return r, err
}

// storeTree stores the files of a directory as one archive.
func (c *Client) storeTree(ctx context.Context, req Request, from directory, in *store.Ingest, want expectation) (Result, error) {
	if err := in.Truncate(0); err != nil {
		return Result{}, transfer.Local(err)
	}
	sums := newSums(want)
	files, err := pack(ctx, from, req.Tree, io.MultiWriter(in, sums))
	if err != nil {
		return Result{}, errors.Join(transfer.Local(err), in.Discard())
	}
	r := Result{SHA256: sums.SHA256(), Size: in.Size(), Transferred: in.Size(), Digests: sums.digests()}
	if req.Tree == lock.DirArchiveYAML {
		r.Files = files
	}
	if err := want.check(r.Digests); err != nil {
		moved := fault.New(fault.Integrity, "the content has changed: %w", err).
			WithHint("a branch or a tag may have moved, or an archive was replaced: write a new lock with botkube-mirror lock, and compare; or name a commit: ?ref=COMMIT")
		return Result{}, errors.Join(moved, in.Discard())
	}
	if err := in.Commit(r.SHA256, r.Size); err != nil {
		return Result{}, transfer.Local(err)
	}
	return r, nil
}

// reuseTree returns the archive in the store for a directory that has not changed.
func (c *Client) reuseTree(ctx context.Context, req Request, record store.URLRecord, want expectation) (Result, error) {
	req.Verify = true
	r, err := c.reuseBlob(ctx, req, record.SHA256, want)
	if err != nil || req.Tree != lock.DirArchiveYAML {
		return r, err
	}
	f, err := c.cfg.Store.Open(record.SHA256)
	if err != nil {
		return Result{}, transfer.Local(err)
	}
	defer f.Close()
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return r, nil
		}
		h := sha256.New()
		if err == nil {
			err = blob.Copy(ctx, h, archive)
		}
		if err != nil {
			return Result{}, transfer.Local(fmt.Errorf("reading a blob in the store: %w", err))
		}
		r.Files = append(r.Files, lock.TemplateFile{Path: header.Name, Blob: lock.Blob{Size: header.Size, SHA256: lock.SHA256(h.Sum(nil))}})
	}
}

// directory is a directory below top: "." or a path.
type directory struct {
	top *os.Root
	at  string
	// version identifies the content, such as a commit; empty if unknown.
	version string
}

// directory downloads the directory that a source names and opens it, unless the store has that
// version: have. For a sub-directory, go-getter would copy all files once more.
func (c *Client) directory(ctx context.Context, src treeSource, dir, have string, obs Observer) (d directory, err error) {
	if src.Format == "" || src.IsGit {
		d.version, err = c.getDirectory(ctx, src, dir, have, obs)
	} else {
		err = c.unpack(ctx, src, dir, obs)
	}
	if err != nil {
		return d, err
	}
	d.top, err = os.OpenRoot(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist): // an object store has directories only as prefixes of keys
		return d, fault.New(fault.Upstream, "the directory is empty").
			WithHint("check the directory's name: the files may have moved")
	case err != nil:
		return d, transfer.Local(err)
	}
	if d.at = "."; src.Subdir == "" {
		return d, nil
	}
	if d.at, err = subdirectory(d.top, src.Subdir); err != nil {
		err = errors.Join(err, d.top.Close())
	}
	return d, err
}

// subdirectory returns the only directory that matches a pattern.
func subdirectory(root *os.Root, pattern string) (string, error) {
	matches, err := fs.Glob(root.FS(), pattern)
	if err != nil || len(matches) != 1 {
		return "", fault.New(fault.Upstream, "%d directories match %q, not exactly one", len(matches), pattern).
			WithHint("check the part of the URL after //: the directory may have moved")
	}
	// It may be a link, but not to a place outside.
	if fi, err := root.Stat(matches[0]); err != nil || !fi.IsDir() {
		return "", fault.New(fault.Upstream, "%q is not a directory", matches[0])
	}
	return matches[0], nil
}

// getDirectory downloads to a directory that does not exist yet, unless the store has that version.
func (c *Client) getDirectory(ctx context.Context, src treeSource, top, have string, obs Observer) (version string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { watchSize(ctx, top, min(maxTreeBytes, c.cfg.MaxBytes), cancel) })
	defer watching.Wait()
	defer cancel(nil)
	if src.getter == "git" {
		version, err = c.clone(ctx, src.url, top, have, obs)
	} else {
		err = c.objects(ctx, src.getter, src.url, top, obs)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return "", cause
	}
	return version, err
}

// watchSize ends a context when a directory becomes too large: neither git nor a list of objects has
// a limit.
func watchSize(ctx context.Context, dir string, most int64, end context.CancelCauseFunc) {
	for tick := time.Tick(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			if sizeOf(dir) > most {
				end(tooLarge(-1, most))
			}
		}
	}
}

func sizeOf(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files come and go meanwhile
		}
		if fi, err := d.Info(); err == nil {
			size += fi.Size()
		}
		return nil
	})
	return size
}

// unpack downloads an archive and unpacks it, as go-getter does.
func (c *Client) unpack(ctx context.Context, src treeSource, top string, obs Observer) error {
	if src.ChecksumFile != "" {
		return fault.New(fault.Usage, "the URL names a checksum file, which is not supported for directories").WithHint("write the checksum itself into the URL: ?checksum=sha256:DIGEST")
	}
	req := Request{URL: src.URL, Source: "the URL", Verify: true}
	if src.Checksum != nil {
		req.Checksums = []agent.Checksum{*src.Checksum}
	}
	got, err := c.blob(ctx, req, Observer{Retrying: obs.Retrying, Waiting: obs.Waiting}.Filled())
	if err != nil {
		return err
	}
	from, err := c.cfg.Store.Open(got.SHA256)
	if err != nil {
		return transfer.Local(err)
	}
	defer from.Close()
	err = os.Mkdir(top, 0o700)
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(top)
	}
	if err != nil {
		return transfer.Local(err)
	}
	defer root.Close()
	err = archive.Unpack(ctx, from, src.Format, archive.Limits{Entries: maxTreeEntries, UnpackedBytes: maxTreeBytes}, root)
	switch {
	case fault.KindOf(err) == fault.Integrity:
		return fault.New(fault.Integrity, "%w", err).WithHint("report it to the archive's publisher")
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return transfer.Local(err)
}

// pack writes the files of a directory to a tar archive, and lists them. The archive's bytes depend
// only on the names and the contents of the files.
func pack(ctx context.Context, from directory, kind lock.DirArchive, to io.Writer) ([]lock.TemplateFile, error) {
	p := &packing{ctx: ctx, top: from.top, kind: kind, tar: tar.NewWriter(to)}
	if err := p.walk(from.at, "."); err != nil {
		return nil, err
	}
	if len(p.files) == 0 {
		return nil, fault.New(fault.Upstream, "the directory has no %s", kind.Files()).WithHint("check the directory; add //DIRECTORY to the URL for a directory in a repository or an archive")
	}
	return p.files, p.tar.Close()
}

type packing struct {
	ctx   context.Context
	top   *os.Root
	kind  lock.DirArchive
	tar   *tar.Writer
	seen  int
	files []lock.TemplateFile
	bytes int64
}

// walk packs the files of a directory below a name. Inside a linked directory, it follows no further
// links to directories, because they could form a loop.
func (p *packing) walk(dir, below string) error {
	in, err := fs.Sub(p.top.FS(), dir)
	if err != nil {
		return err
	}
	return fs.WalkDir(in, ".", func(within string, d fs.DirEntry, err error) error {
		at, name := path.Join(dir, within), path.Join(below, within)
		switch p.seen++; {
		case err != nil:
			return err
		case p.ctx.Err() != nil:
			return context.Cause(p.ctx)
		case p.seen > maxTreeEntries:
			return fault.New(fault.Integrity, "the directory has more than %d files", maxTreeEntries)
		case strings.EqualFold(d.Name(), ".git") && d.IsDir():
			return fs.SkipDir
		case strings.EqualFold(d.Name(), ".git"):
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			return p.link(at, name, below != ".")
		case d.Type().IsRegular() && p.wants(name):
			return p.add(at, name)
		}
		return nil
	})
}

func (p *packing) wants(name string) bool {
	return p.kind == lock.DirArchiveAll || path.Ext(name) == agent.TemplateExt
}

// link packs a link's target, as go-getter does when it copies a sub-directory (copy_dir.go). It
// follows no link to a target outside the source. For all files of a repository, such a link is left
// out: an agent that asks for it gets an error. A link to a directory is packed as a directory.
func (p *packing) link(at, name string, linked bool) error {
	fi, err := p.top.Stat(at)
	switch all := p.kind == lock.DirArchiveAll; {
	case err == nil && fi.Mode().IsRegular() && p.wants(name):
		return p.add(at, name)
	case err == nil && fi.IsDir() && all && !linked:
		return p.walk(at, name)
	case all || err == nil && !fi.IsDir():
		return nil
	}
	return fault.New(fault.Upstream, "%q is a link to a directory, to nothing, or to a file outside the repository or archive", name).
		WithHint("report it to its publisher: only links to files inside the repository or archive are supported")
}

func (p *packing) add(at, name string) error {
	f, err := p.top.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err == nil {
		err = p.admit(name, fi.Size())
	}
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(p.kind.Mode().Perm()), Size: fi.Size(), ModTime: time.Unix(0, 0)}
	if err := p.tar.WriteHeader(header); err != nil {
		return err
	}
	h := sha256.New()
	err = blob.Copy(p.ctx, io.MultiWriter(p.tar, h), f)
	p.files = append(p.files, lock.TemplateFile{Path: name, Blob: lock.Blob{Size: fi.Size(), SHA256: lock.SHA256(h.Sum(nil))}})
	return err
}

func (p *packing) admit(name string, size int64) error {
	p.bytes += size
	bounds := p.kind.Bounds()
	switch {
	case len(p.files) == bounds.Files:
		return fault.New(fault.Integrity, "the directory has more than %d %s", bounds.Files, p.kind.Files())
	case size > bounds.File:
		return fault.New(fault.Integrity, "%q has %d bytes, more than the limit of %d", name, size, bounds.File)
	case p.bytes > bounds.Total:
		return fault.New(fault.Integrity, "the %s of the directory have more than %d bytes in total", p.kind.Files(), bounds.Total)
	}
	if p.kind != lock.DirArchiveAll {
		if err := lock.CheckTemplatePath(name); err != nil {
			return fault.New(fault.Upstream, "%w", err)
		}
	}
	return nil
}

package fetch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// gitClone clones a repository and its submodules with the program git.
//
// It replaces go-getter's GitGetter. That one passes the URL, with its password, as an argument of a
// process, which every user of the machine can list. It clones the whole history, lets git ask
// questions, and shows all that git prints. The URL's parameters ref and sshkey mean the same here.
type gitClone struct {
	fetch *Client
	obs   Observer
	// lowSpeed is how many seconds a connection may bring no byte.
	lowSpeed int
	// files is the number of files so far, repositories that of submodules.
	files, repositories int
	// have is the object whose files the store has, tip the object that the remote has. Each is
	// empty if unknown.
	have, tip string
}

// gitSchemes are the allowed transports, also after redirects and rewrites by git's configuration.
// Others are not safe: ext runs programs, and file reads this machine's repositories.
var gitSchemes = []string{"http", "https", "ssh", "git"}

// clone clones a repository to a directory and returns the object that was checked out. If the store
// has the files of that object, the error is [errUnchanged].
func (c *Client) clone(ctx context.Context, u *url.URL, dst, have string, obs Observer) (tip string, err error) {
	if _, err := exec.LookPath("git"); err != nil {
		return "", fault.New(fault.Usage, "the URL is a git repository, but git is not installed").
			WithHint("install git (the agent's image has it, too)")
	}
	defer c.cfg.Traffic.Ask(u.Host)() // git's own requests cannot be counted
	g := &gitClone{fetch: c, obs: obs, lowSpeed: max(int(c.cfg.IdleTimeout/time.Second), 1), have: have}
	err = g.clone(ctx, dst, u, 0)
	return g.tip, err
}

// clone clones a repository and its submodules to a directory. It removes .git afterwards, because
// links may lead there, and because it may have a private key.
func (g *gitClone) clone(ctx context.Context, dst string, u *url.URL, depth int) error {
	w, err := g.workTree(ctx, dst, u)
	if err == nil {
		err = w.prepare(ctx)
	}
	if err == nil {
		w.ssh, err = w.sshCommand(ctx)
	}
	if err != nil {
		return err
	}
	if g.have != "" && depth == 0 && w.remoteTip(ctx) == g.have {
		return errUnchanged
	}
	if err := g.fetch.cfg.Retry.Do(ctx, g.obs.Retrying, nil, func() error { return w.checkOut(ctx) }); err != nil {
		return err
	}
	if depth == 0 {
		g.tip = w.fetchedTip()
	}
	g.files = maxTreeEntries - w.tree.left
	if err := g.submodules(ctx, w, u, depth); err != nil {
		return err
	}
	return transfer.Local(os.RemoveAll(filepath.Join(dst, ".git")))
}

// workTree is one repository, the main one or a submodule.
type workTree struct {
	*gitClone
	dir    string
	remote string
	ref    string
	sshKey []byte
	user   *url.Userinfo
	host   string
	// ssh is the command for GIT_SSH_COMMAND, or empty if the user has configured one.
	ssh string
	// commit was checked out, and tree lists its files.
	commit string
	tree   treeList
}

func (g *gitClone) workTree(ctx context.Context, dst string, u *url.URL) (*workTree, error) {
	u = g.fetch.cfg.Via.URL(u)
	if !slices.Contains(gitSchemes, u.Scheme) {
		return nil, fault.New(fault.Usage, "git repositories cannot be fetched with %q", u.Scheme).WithHint("use one of %s", strings.Join(gitSchemes, ", "))
	}
	if u.Host == "" || strings.HasPrefix(u.Host, "-") {
		return nil, fault.New(fault.Usage, "the URL has no valid host") // ssh would take "-…" for an option
	}
	remote, q := *u, u.Query()
	w := &workTree{gitClone: g, dir: dst, ref: q.Get("ref")}
	if err := checkRef(w.ref); err != nil {
		return nil, err
	}
	if key := q.Get("sshkey"); key != "" {
		var err error
		if w.sshKey, err = base64.StdEncoding.DecodeString(key); err != nil {
			return nil, fault.New(fault.Usage, "the URL's parameter sshkey is not base64")
		}
	}
	for _, own := range []string{"ref", "sshkey", "depth"} {
		q.Del(own)
	}
	remote.RawQuery = q.Encode()
	if u.Scheme == "http" || u.Scheme == "https" {
		netrc, err := disk.Await(ctx, g.fetch.netrc)
		if err != nil {
			return nil, err
		}
		if w.user = credentialsFor(u, netrc); w.user != nil && u.Scheme != "https" {
			return nil, inClear(u)
		}
		remote.User = nil
		w.host = u.Scheme + "://" + u.Host
	} else if u.User != nil {
		remote.User = url.User(u.User.Username()) // ssh and git take no password from a URL
	}
	w.remote = remote.String()
	return w, nil
}

// checkRef refuses a ref that git would not read as a plain name (git-check-ref-format(1)).
func checkRef(ref string) error {
	if strings.HasPrefix(ref, "-") || strings.HasPrefix(ref, "+") || strings.ContainsAny(ref, " ~^:?*[\\\x7f") ||
		strings.ContainsFunc(ref, func(r rune) bool { return r < ' ' }) || len(ref) > 1000 {
		return fault.New(fault.Usage, "the URL's parameter ref, %.80q, is not a branch, tag or commit", ref)
	}
	return nil
}

// prepare creates an empty repository. The remote's URL has no password, because git passes it to
// its helpers as an argument. Templates and attributes are off, so that git runs no filter and
// writes the files as they were committed.
func (w *workTree) prepare(ctx context.Context) error {
	_, err := w.git(ctx, "init", "--quiet", "--template=", w.dir)
	if err == nil {
		err = w.setRemote(ctx, w.remote)
	}
	if err != nil {
		return err
	}
	if err = os.MkdirAll(w.meta("info"), 0o700); err == nil {
		err = os.WriteFile(w.meta("info/attributes"), []byte("* -text -eol -ident -filter -working-tree-encoding\n"), 0o600)
	}
	if err == nil && w.sshKey != nil {
		err = os.WriteFile(w.meta(keyFile), w.sshKey, 0o600)
	}
	if err == nil && len(w.fetch.cfg.Identity.CAFiles) > 0 {
		err = w.writeAuthorities()
	}
	if err != nil {
		return transfer.Local(err)
	}
	return w.stripCredentials(ctx)
}

func (w *workTree) setRemote(ctx context.Context, u string) error {
	_, err := w.git(ctx, "config", "remote.origin.url", u)
	return err
}

// stripCredentials makes sure that no credentials go over plain http, also if the user's git
// configuration rewrites the URL.
func (w *workTree) stripCredentials(ctx context.Context) error {
	out, err := w.git(ctx, "ls-remote", "--get-url", "origin")
	if err != nil {
		return err
	}
	u, err := url.Parse(strings.TrimSpace(out))
	if err != nil || u.Scheme != "http" || u.User != nil {
		return nil
	}
	// With a user in the URL, git and curl ask no helper and ignore the default entry of ~/.netrc.
	u.User = url.UserPassword("anonymous", "anonymous")
	return w.setRemote(ctx, u.String())
}

// systemAuthorities are the usual paths of a system's trusted CAs (GOROOT/src/crypto/x509,
// root_linux.go and others).
var systemAuthorities = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/local/etc/ssl/cert.pem",
}

// writeAuthorities writes one file for git with the system's CAs and the user's.
func (w *workTree) writeAuthorities() error {
	var all []byte
	for _, file := range append([]string{os.Getenv("SSL_CERT_FILE")}, systemAuthorities...) {
		if data, err := os.ReadFile(file); err == nil {
			all = append(data, '\n')
			break
		}
	}
	for _, file := range w.fetch.cfg.Identity.CAFiles {
		data, err := os.ReadFile(file)
		if err == nil {
			data, err = textfile.Decode(data)
		}
		if err != nil {
			return err
		}
		all = append(append(all, data...), '\n')
	}
	return os.WriteFile(w.meta(authoritiesFile), all, 0o600)
}

const keyFile, authoritiesFile = "key", "authorities.pem"

// meta returns the path of a file in .git.
func (w *workTree) meta(name string) string { return filepath.Join(w.dir, ".git", name) }

// commit matches what may be a commit's name, whole or abbreviated. Not every server can be asked for
// a commit by its name.
var commit = lazyregexp.New(`^[0-9a-fA-F]{7,64}$`)

// checkOut fetches as little history as the server allows, and writes the files.
func (w *workTree) checkOut(ctx context.Context) error {
	_, err := w.git(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "origin", cmp.Or(w.ref, "HEAD"))
	if e, ok := errors.AsType[*gitError](err); ok && (strings.Contains(e.said, "shallow") || commit.MatchString(w.ref)) && ctx.Err() == nil {
		return w.checkOutAll(ctx)
	}
	if err != nil {
		return w.explain(err)
	}
	return w.writeFiles(ctx, "FETCH_HEAD")
}

// checkOutAll fetches the whole history: for servers that only serve files, and for a commit that
// must be searched in it.
func (w *workTree) checkOutAll(ctx context.Context) error {
	what, names := []string{"HEAD"}, []string{"FETCH_HEAD"}
	if w.ref != "" {
		what = []string{"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"}
		names = []string{w.ref, "refs/remotes/origin/" + w.ref} // as go-getter (get_git.go, resolveCheckoutRef)
	}
	if _, err := w.git(ctx, append([]string{"fetch", "--quiet", "--no-recurse-submodules", "origin"}, what...)...); err != nil {
		return w.explain(err)
	}
	for _, name := range names {
		out, err := w.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err == nil {
			return w.writeFiles(ctx, strings.TrimSpace(out))
		}
	}
	return w.noRef()
}

// remoteTip returns the object that the ref names at the remote; "" if that is unknown before a
// fetch.
func (w *workTree) remoteTip(ctx context.Context) string {
	if wholeCommit.MatchString(w.ref) {
		return strings.ToLower(w.ref)
	}
	wanted := cmp.Or(w.ref, "HEAD")
	out, err := w.git(ctx, "ls-remote", "--quiet", "origin", wanted)
	if err != nil {
		return "" // the fetch will report the error
	}
	// A short name may stand for these, in this order (gitrevisions(7)).
	for _, form := range []string{"%s", "refs/%s", "refs/tags/%s", "refs/heads/%s"} {
		for line := range strings.Lines(out) {
			if object, name, _ := strings.Cut(strings.TrimSpace(line), "\t"); name == fmt.Sprintf(form, wanted) {
				return object
			}
		}
	}
	return ""
}

// wholeCommit matches a commit's whole name, whose files never change.
var wholeCommit = lazyregexp.New(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// fetchedTip returns the fetched object; "" if there are several.
func (w *workTree) fetchedTip() string {
	data, _ := os.ReadFile(w.meta("FETCH_HEAD"))
	object, _, _ := strings.Cut(string(data), "\t")
	if bytes.Count(data, []byte("\n")) != 1 || !wholeCommit.MatchString(object) {
		return ""
	}
	return object
}

func (w *workTree) noRef() error {
	if w.ref == "" {
		return fault.New(fault.Upstream, "the repository has no commit").
			WithHint("check the URL: some servers show an empty repository for one that does not exist")
	}
	return fault.New(fault.Upstream, "the repository has no branch, tag or commit %q", w.ref).
		WithHint("check the parameter ref: the branch or tag may have been removed")
}

// writeFiles counts the files before it checks them out. A few small trees that contain each other
// many times can stand for any number of files, which git would list in memory.
func (w *workTree) writeFiles(ctx context.Context, commit string) error {
	w.commit, w.tree = commit, treeList{left: maxTreeEntries - w.files}
	err := w.run(ctx, &w.tree, "ls-tree", "-r", "-z", commit)
	if err := cmp.Or(w.tree.err, err); err != nil {
		return err
	}
	_, err = w.git(ctx, "checkout", "--quiet", "--force", "--detach", commit)
	return transfer.Local(err)
}

// gitError is a failure of git, with its own message.
type gitError struct{ said string }

func (e *gitError) Error() string { return e.said }

// passing matches git's messages for failures that may be over at the next attempt.
var passing = lazyregexp.New(`(?i)couldn't connect|failed to connect|connection (?:reset|refused|timed out|was aborted)|timed out|early EOF|RPC failed|unexpected disconnect|hung up unexpectedly|returned error: (?:5\d\d|429)|transfer closed|empty reply|GnuTLS recv error|SSL_(?:read|connect)|HTTP/2 stream|(?:Recv|Send) failure|Temporary failure in name resolution`)

// refusing matches the messages of git, git servers and ssh for a repository that does not exist, or
// that the user may not read.
var refusing = lazyregexp.New(`could not read Username|Authentication failed|terminal prompts disabled|returned error: 40[134]|repository .*not found|remote error: access denied|Permission denied`)

// explain returns the error for the user after a fetch failed, with a hint.
func (w *workTree) explain(err error) error {
	e, ok := errors.AsType[*gitError](err)
	if !ok {
		return err
	}
	kind, hint := fault.Upstream, ""
	switch {
	case strings.Contains(e.said, "couldn't find remote ref"):
		return w.noRef()
	case refusing.MatchString(e.said):
		hint = "check that the repository exists; if it is private, put credentials into .netrc or git's credential helper, or for ssh, into the ssh agent"
	case strings.Contains(e.said, "Could not resolve host"):
		hint = transfer.HintHost
	case strings.Contains(e.said, "certificate"):
		hint = transfer.HintAuthority("--")
	case strings.Contains(e.said, "not allowed"):
		kind, hint = fault.Usage, "use a URL with one of "+strings.Join(gitSchemes, ", ")
	case passing.MatchString(e.said):
		return fmt.Errorf("git: %w", err)
	default:
		return transfer.Permanent(fmt.Errorf("git: %w", err))
	}
	return fault.New(kind, "git: %w", err).WithHint("%s", hint)
}

// sshCommand returns an ssh command that asks no questions and ends when the server is silent. It
// returns "" if the user has configured a command: the variable GIT_SSH_COMMAND, which this program
// sets, would override it (git-config(1), core.sshCommand).
func (w *workTree) sshCommand(ctx context.Context) (string, error) {
	if os.Getenv("GIT_SSH_COMMAND") != "" || os.Getenv("GIT_SSH") != "" {
		return "", nil
	}
	configured, err := w.git(ctx, "config", "--get", "core.sshCommand")
	if err != nil && !transfer.Is[*gitError](err) || strings.TrimSpace(configured) != "" {
		return "", err
	}
	return fmt.Sprintf("ssh -oBatchMode=yes -oConnectTimeout=%d -oServerAliveInterval=%[1]d -oServerAliveCountMax=1", w.lowSpeed), nil
}

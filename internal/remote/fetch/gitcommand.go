package fetch

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// git runs git in the repository and returns its output.
func (w *workTree) git(ctx context.Context, args ...string) (string, error) {
	var stdout tail
	err := w.run(ctx, &stdout, args...)
	return stdout.String(), err
}

func (w *workTree) run(ctx context.Context, stdout io.Writer, args ...string) error {
	options := []string{
		// The user's configuration may name hooks by paths in the repository.
		"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "core.symlinks=true",
		"-c", "advice.detachedHead=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
		"-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=" + strconv.Itoa(w.lowSpeed),
	}
	if args[0] != "init" {
		options = append(options, "-C", w.dir)
	}
	cmd := exec.CommandContext(ctx, "git", append(options, args...)...)
	cmd.Env = w.environment()
	endWithChildren(cmd)
	cmd.WaitDelay = 5 * time.Second
	var stderr tail
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		return nil
	case transfer.Is[*exec.ExitError](err):
		return &gitError{w.tidy(stderr.String(), err)}
	}
	return transfer.Local(fmt.Errorf("running git: %w", err))
}

// tail keeps the last bytes of what is written: at most most, or 16 KiB.
type tail struct {
	bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p)
	if n := t.Len() - cmp.Or(t.most, 16<<10); n > 0 {
		t.Next(n)
	}
	return len(p), nil
}

// tidy turns git's output into one line without secrets.
func (w *workTree) tidy(said string, err error) string {
	var lines, remote []string // the server's message comes last, because it may be long
	for line := range strings.Lines(w.hide(said)) {
		line = strings.TrimSpace(line)
		to := &lines
		if strings.HasPrefix(line, "remote: ") {
			to = &remote
		}
		for _, prefix := range []string{"fatal: ", "error: ", "remote: "} {
			line = strings.TrimPrefix(line, prefix)
		}
		if line != "" && !strings.HasPrefix(line, "hint:") && !strings.HasPrefix(line, "warning:") {
			*to = append(*to, line)
		}
	}
	if lines = append(lines, remote...); len(lines) == 0 {
		return err.Error()
	}
	words := strings.Split(transfer.Printable(strings.Join(lines, "; "), 500), " ")
	for i, word := range words {
		words[i] = agent.Redact(word)
	}
	return strings.ReplaceAll(strings.Join(words, " "), w.dir, "…")
}

// hide removes credentials, which a server may repeat.
func (w *workTree) hide(said string) string {
	user := w.user.Username()
	password, _ := w.user.Password()
	secrets := []string{strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(user+":"+password)), "="), password, url.QueryEscape(password), url.PathEscape(password)}
	if password == "" || password == "x-oauth-basic" { // then the user is a token
		secrets = append(secrets, user)
	}
	for _, secret := range secrets {
		if w.user != nil && secret != "" {
			said = strings.ReplaceAll(said, secret, "redacted")
		}
	}
	return said
}

// gitVariables are variables that would make git use another repository, or another format (git
// rev-parse --local-env-vars).
var gitVariables = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR",
	"GIT_NAMESPACE", "GIT_TEMPLATE_DIR", "GIT_CEILING_DIRECTORIES", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS",
	"GIT_PREFIX", "GIT_CONFIG", "GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT", "GIT_ATTR_SOURCE",
}

// Variables that pass credentials to git's helper. Unlike arguments, other users cannot read them.
const (
	userVariable     = "BOTKUBE_MIRROR_GIT_USER"
	passwordVariable = "BOTKUBE_MIRROR_GIT_PASSWORD"
)

// credentialHelper is a shell function that gives git the credentials (gitcredentials(7)).
const credentialHelper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$` + userVariable + `" "$` + passwordVariable + `"; }; f`

// environment returns git's environment. Git asks no questions, and uses the user's configuration and
// proxies.
func (w *workTree) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(gitVariables, name)
	})
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GCM_INTERACTIVE=never",
		"GIT_ALLOW_PROTOCOL="+strings.Join(gitSchemes, ":"))
	env = w.trust(env)
	ssh := w.ssh
	if w.sshKey != nil { // in addition, as in go-getter (get_git.go, setupGitEnv)
		ssh = cmp.Or(ssh, os.Getenv("GIT_SSH_COMMAND"), "ssh") + " -i '" + strings.ReplaceAll(filepath.ToSlash(w.meta(keyFile)), "'", `'\''`) + "'"
	}
	if ssh != "" {
		env = append(env, "GIT_SSH_COMMAND="+ssh)
	}
	if w.user == nil {
		return env
	}
	password, _ := w.user.Password()
	if strings.ContainsAny(w.user.Username()+password, "\r\n\x00") {
		return env
	}
	// The helper is for one host, so that a redirect's target gets no credentials.
	key := "credential." + w.host + ".helper"
	n, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT")) // settings of the user's (git-config(1))
	return append(env, userVariable+"="+w.user.Username(), passwordVariable+"="+password,
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=", n),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n+1, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n+1, credentialHelper),
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+2))
}

// trust makes git trust the same CAs as this program, and use the same client certificate.
func (w *workTree) trust(env []string) []string {
	switch file := os.Getenv("SSL_CERT_FILE"); {
	case len(w.fetch.cfg.Identity.CAFiles) > 0:
		env = append(env, "GIT_SSL_CAINFO="+w.meta(authoritiesFile))
	case file != "" && os.Getenv("GIT_SSL_CAINFO") == "":
		env = append(env, "GIT_SSL_CAINFO="+file) // some TLS libraries of git ignore SSL_CERT_FILE
	}
	if w.fetch.cfg.Identity.CertFile != "" {
		// The paths must be absolute, because git runs in another directory.
		cert, _ := filepath.Abs(w.fetch.cfg.Identity.CertFile)
		key, _ := filepath.Abs(w.fetch.cfg.Identity.KeyFile)
		env = append(env, "GIT_SSL_CERT="+cert, "GIT_SSL_KEY="+key)
	}
	return env
}

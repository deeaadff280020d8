package fetch

import (
	"cmp"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// detect returns a URL as go-getter v1 reads it (detect.go, Detect): what has no scheme
// is a repository, a bucket or a file of this machine. It is not ok if it is none.
func detect(raw string) (located string, ok bool) {
	forced, rest := agent.SplitGetter(raw)
	rest, subdir := agent.SplitSubdir(rest)
	if u, err := parseURL(rest); err == nil && u.Scheme != "" {
		return raw, true
	}
	getter, found := detectSource(rest)
	if found == "" {
		return "", false
	}
	found, above := agent.SplitSubdir(found)
	if above != "" && subdir != "" {
		subdir = path.Join(above, subdir)
	}
	if subdir = cmp.Or(subdir, above); subdir != "" {
		u, err := parseURL(found)
		if err != nil {
			return "", false
		}
		// It may be a pattern, which escaped is none.
		u.Path += "//" + subdir
		u.RawPath = u.Path
		found = u.String()
	}
	if getter = cmp.Or(forced, getter); getter != "" {
		found = getter + "::" + found
	}
	return found, true
}

// sshForm is go-getter's sshPattern (detect_ssh.go).
var sshForm = lazyregexp.New("^(?:([^@]+)@)?([^:]+):/?(.+)$")

// detectSource returns the getter and the URL of a source without a scheme, or nothing.
// The order is go-getter's (detect.go, Detectors).
func detectSource(source string) (getter, found string) {
	parts := strings.Split(source, "/")
	host, _, hasPath := strings.Cut(source, "/")
	switch ssh := sshForm.FindStringSubmatch(source); {
	case hasPath && (host == "github.com" || host == "gitlab.com"):
		if len(parts) < 3 {
			return "", ""
		}
		return "git", repository(strings.Join(parts[:3], "/"), strings.Join(parts[3:], "/"))
	case ssh != nil && ssh[1] == "git":
		return "git", detectSSH(ssh[2], ssh[3])
	// go-getter asks api.bitbucket.org whether it is one of git or Mercurial, whoever
	// wants to know what a URL means. Since 2020 all are git's.
	case hasPath && host == "bitbucket.org":
		return "git", repository(source, "")
	case strings.Contains(source, ".amazonaws.com/"):
		return "s3", detectS3(strings.Split(host, "."), strings.Join(parts[1:], "/"))
	case strings.Contains(source, ".googleapis.com/"):
		if len(parts) < 5 {
			return "", ""
		}
		return "gcs", normal("https://www.googleapis.com/storage/" + strings.Join(parts[2:], "/"))
	case filepath.IsAbs(source) && runtime.GOOS == "windows":
		return "", "file://" + filepath.ToSlash(source)
	case filepath.IsAbs(source):
		return "", "file:///" + strings.TrimPrefix(source, "/")
	}
	return "", ""
}

// repository returns the URL of a repository, and of what is below it.
func repository(source, below string) string {
	u, err := url.Parse("https://" + source)
	if err != nil {
		return ""
	}
	if !strings.HasSuffix(u.Path, ".git") {
		u.Path += ".git"
	}
	if below != "" {
		u.Path += "//" + below
	}
	return u.String()
}

func detectSSH(host, rest string) string {
	u := url.URL{Scheme: "ssh", User: url.User("git"), Host: host}
	var query string
	u.Path, query, _ = strings.Cut(rest, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// detectS3 returns the URL of a bucket in its path's form: host/BUCKET/KEY.
func detectS3(host []string, path string) string {
	switch {
	case len(host) == 3:
		return normal("https://" + host[0] + ".amazonaws.com/" + path)
	case len(host) == 4:
		return normal("https://" + host[1] + ".amazonaws.com/" + host[0] + "/" + path)
	case len(host) == 5 && host[1] == "s3":
		return normal("https://s3." + host[2] + ".amazonaws.com/" + host[0] + "/" + path)
	}
	return ""
}

// normal returns a URL as [url.URL.String] writes it; empty if it is none.
func normal(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.String()
}

// parseURL reads a URL as go-getter does (helper/url): on Windows, one of a file may
// have a drive's letter for a host.
func parseURL(raw string) (*url.URL, error) {
	if runtime.GOOS != "windows" {
		return url.Parse(raw)
	}
	raw = filepath.ToSlash(raw)
	if len(raw) > 1 && raw[1] == ':' {
		raw = "file://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if len(u.Host) > 1 && u.Host[1] == ':' && strings.HasPrefix(raw, "file://") {
		u.Host, u.Path = "", u.Host+u.Path
	}
	if len(u.Path) > 2 && u.Path[0] == '/' && u.Path[2] == ':' {
		u.Path = u.Path[1:]
	}
	return u, nil
}

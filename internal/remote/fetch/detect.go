package fetch

import (
	"cmp"
	neturl "net/url"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hashicorp/go-getter/v2"
	"github.com/hashicorp/go-getter/v2/helper/url"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// detectors say what a source without a scheme is: a repository, a bucket or a file of
// this machine. The order is that of go-getter v1, which the agent has (detect.go,
// Detectors); those that v2 lacks, or has otherwise, follow below.
var detectors = []getter.Detector{
	&getter.GitHubDetector{}, &getter.GitLabDetector{}, &getter.GitDetector{},
	detector(detectBitbucket), detector(detectS3), detector(detectGCS), detector(detectFile),
}

// detector returns ok if the source is of its kind, and "" if it is a malformed one.
type detector func(source string, parts []string) (located string, ok bool)

func (d detector) Detect(source, _ string) (string, bool, error) {
	located, ok := d(source, strings.Split(source, "/"))
	return located, ok, nil
}

// detect returns a URL as go-getter v1 reads it (detect.go, Detect). It is not ok if it
// is none.
func detect(raw string) (located string, ok bool) {
	forced, rest := agent.SplitGetter(raw)
	rest, subdir := getter.SourceDirSubdir(rest)
	if u, err := url.Parse(rest); err == nil && u.Scheme != "" {
		return raw, true
	}
	found := detectSource(rest)
	if found == "" {
		return "", false
	}
	kind, found := agent.SplitGetter(found)
	found, above := getter.SourceDirSubdir(found)
	if above != "" && subdir != "" {
		subdir = path.Join(above, subdir)
	}
	if subdir = cmp.Or(subdir, above); subdir != "" {
		u, err := url.Parse(found)
		if err != nil {
			return "", false
		}
		// It may be a pattern, which escaped is none.
		u.Path += "//" + subdir
		u.RawPath = u.Path
		found = u.String()
	}
	if kind = cmp.Or(forced, kind); kind != "" {
		found = kind + "::" + found
	}
	return found, true
}

// detectSource returns the URL of a source without a scheme, or "".
func detectSource(source string) string {
	for _, d := range detectors {
		if located, ok, err := d.Detect(source, ""); ok || err != nil {
			return located
		}
	}
	return ""
}

// detectBitbucket takes all repositories for git's, which they are since 2020. go-getter
// asks api.bitbucket.org, whoever wants to know what a URL means.
func detectBitbucket(source string, _ []string) (located string, ok bool) {
	if !strings.HasPrefix(source, "bitbucket.org/") {
		return "", false
	}
	u, err := neturl.Parse("https://" + source)
	if err != nil {
		return "", true
	}
	u.Path = strings.TrimSuffix(u.Path, ".git") + ".git"
	return "git::" + u.String(), true
}

// detectS3 returns the URL of a bucket in its path's form: host/BUCKET/KEY.
func detectS3(source string, parts []string) (located string, ok bool) {
	if !strings.Contains(source, ".amazonaws.com/") {
		return "", false
	}
	host, key := strings.Split(parts[0], "."), strings.Join(parts[1:], "/")
	switch {
	case len(host) == 3:
		return normal("s3", host[0]+".amazonaws.com/"+key), true
	case len(host) == 4:
		return normal("s3", host[1]+".amazonaws.com/"+host[0]+"/"+key), true
	case len(host) == 5 && host[1] == "s3":
		return normal("s3", "s3."+host[2]+".amazonaws.com/"+host[0]+"/"+key), true
	}
	return "", true
}

func detectGCS(source string, parts []string) (located string, ok bool) {
	if !strings.Contains(source, ".googleapis.com/") {
		return "", false
	}
	if len(parts) < 5 {
		return "", true
	}
	return normal("gcs", "www.googleapis.com/storage/"+strings.Join(parts[2:], "/")), true
}

// normal returns a URL as [neturl.URL.String] writes it, with its getter; empty if it is none.
func normal(kind, rest string) string {
	u, err := neturl.Parse("https://" + rest)
	if err != nil {
		return ""
	}
	return kind + "::" + u.String()
}

func detectFile(source string, _ []string) (located string, ok bool) {
	switch {
	case !filepath.IsAbs(source):
		return "", false
	case runtime.GOOS == "windows":
		return "file://" + filepath.ToSlash(source), true
	}
	return "file:///" + strings.TrimPrefix(source, "/"), true
}

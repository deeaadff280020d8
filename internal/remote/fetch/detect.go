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

// detect returns a URL as go-getter v1 reads it (detect.go, Detect). It is not ok if raw is no URL.
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
		// The sub-directory may be a pattern, whose special characters must not be escaped.
		u.Path += "//" + subdir
		u.RawPath = u.Path
		found = u.String()
	}
	if kind = cmp.Or(forced, kind); kind != "" {
		found = kind + "::" + found
	}
	return found, true
}

// detectSource returns the URL for a source without a scheme (a repository, a bucket or a local
// file), or "". The order is that of go-getter v1, which the agent uses (detect.go, Detectors).
// go-getter v2 lacks the detectors from detectBitbucket on, or differs.
func detectSource(source string) string {
	for _, d := range []getter.Detector{&getter.GitHubDetector{}, &getter.GitLabDetector{}, &getter.GitDetector{}} {
		if located, ok, err := d.Detect(source, ""); ok || err != nil {
			return located
		}
	}
	switch parts := strings.Split(source, "/"); {
	case parts[0] == "bitbucket.org" && len(parts) > 1:
		return detectBitbucket(source)
	case strings.Contains(source, ".amazonaws.com/"):
		return detectS3(strings.Split(parts[0], "."), strings.Join(parts[1:], "/"))
	case strings.Contains(source, ".googleapis.com/") && len(parts) < 5:
		return ""
	case strings.Contains(source, ".googleapis.com/"):
		return normal("gcs", "www.googleapis.com/storage/"+strings.Join(parts[2:], "/"))
	case !filepath.IsAbs(source):
		return ""
	case runtime.GOOS == "windows":
		return "file://" + filepath.ToSlash(source)
	}
	return "file:///" + strings.TrimPrefix(source, "/")
}

// detectBitbucket takes all repositories for git repositories, as they are since 2020. go-getter
// would ask api.bitbucket.org for each such URL.
func detectBitbucket(source string) string {
	u, err := neturl.Parse("https://" + source)
	if err != nil {
		return ""
	}
	u.Path = strings.TrimSuffix(u.Path, ".git") + ".git"
	return "git::" + u.String()
}

// detectS3 returns the path-style URL of an object: HOST/BUCKET/KEY.
func detectS3(host []string, key string) string {
	switch {
	case len(host) == 3:
		return normal("s3", host[0]+".amazonaws.com/"+key)
	case len(host) == 4:
		return normal("s3", host[1]+".amazonaws.com/"+host[0]+"/"+key)
	case len(host) == 5 && host[1] == "s3":
		return normal("s3", "s3."+host[2]+".amazonaws.com/"+host[0]+"/"+key)
	}
	return ""
}

// normal returns a URL as [neturl.URL.String] writes it, with its getter; or "" if it is not valid.
func normal(kind, rest string) string {
	u, err := neturl.Parse("https://" + rest)
	if err != nil {
		return ""
	}
	return kind + "::" + u.String()
}

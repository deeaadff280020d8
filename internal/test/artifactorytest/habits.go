package artifactorytest

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// A Habit makes of an answer what a repository manager says instead.
type Habit func(m *Manager, r *http.Request, a *answer)

// Habits are what repository managers do, by name. They are written from public reports, which
// each names, or from what it stands for.
var Habits = map[string]Habit{
	// Artifactory has JSON for what it has not, an entity tag without quotes, and checksums in header
	// fields. It says that it sends ranges, and sends the whole (devopshq/artifactory#46,
	// pypa/pip#8723, prefix-dev/async_http_range_reader#5).
	"artifactory": func(_ *Manager, r *http.Request, a *answer) {
		if a.status != http.StatusOK {
			message := map[int]string{http.StatusUnauthorized: "Authentication is required", http.StatusNotFound: "File not found."}[a.status]
			a.become(a.status, "application/json;charset=ISO-8859-1", fmt.Sprintf("{\n  \"errors\" : [ {\n    \"status\" : %d,\n    \"message\" : %q\n  } ]\n}", a.status, message))
			return
		}
		a.header.Set("ETag", fmt.Sprintf("%x", sha1.Sum(a.body)))
		a.header.Set("X-Checksum-Sha1", fmt.Sprintf("%x", sha1.Sum(a.body)))
		a.header.Set("X-Checksum-Sha256", fmt.Sprintf("%x", sha256.Sum256(a.body)))
		a.header.Set("X-Checksum-Md5", fmt.Sprintf("%x", md5.Sum(a.body)))
		a.header.Set("X-Artifactory-Filename", path.Base(r.URL.Path))
		a.header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(r.URL.Path)))
		a.header.Set("Accept-Ranges", "bytes")
		a.whole = true
	},
	// Nexus has a web page for what it has not (dzikoysk/reposilite#799), and a scheme in capitals.
	"nexus": func(_ *Manager, _ *http.Request, a *answer) {
		if a.status == http.StatusUnauthorized {
			a.header.Set("WWW-Authenticate", `BASIC realm="Sonatype Nexus Repository Manager"`)
		}
		if a.status != http.StatusOK {
			a.become(a.status, "text/html", "<!DOCTYPE html>\n<html lang=\"en\"><head><title>404 - Nexus Repository</title></head><body>Not Found</body></html>\n")
			return
		}
		a.header.Set("ETag", fmt.Sprintf(`"{SHA1{%x}}"`, sha1.Sum(a.body)))
		a.header.Set("Content-Security-Policy", "sandbox allow-forms allow-modals allow-popups allow-presentation allow-scripts allow-top-navigation")
	},
	// A portal that has a page for people in every other case.
	"login": func(_ *Manager, _ *http.Request, a *answer) {
		if a.status != http.StatusOK {
			a.become(http.StatusOK, "text/html; charset=utf-8", "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>")
		}
	},
	// The same by way of a redirect.
	"portal": func(m *Manager, _ *http.Request, a *answer) {
		if a.status != http.StatusOK {
			a.become(http.StatusFound, "text/html", "")
			a.header.Set("Location", m.sign("/ui/login", answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<!DOCTYPE html><title>Sign in</title>")}))
		}
	},
	// A user who may not know whether a file exists gets 401.
	"hides": func(_ *Manager, _ *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			*a = *refusal()
		}
	},
	// Xray and Nexus Firewall withhold what has a vulnerability.
	"blocks": func(_ *Manager, r *http.Request, a *answer) {
		if strings.HasSuffix(r.URL.Path, ".tar.gz") {
			a.become(http.StatusForbidden, "application/json", `{"errors":[{"status":403,"message":"Artifact download request rejected: it was blocked by a policy due to a violation"}]}`)
		}
	},

	// The manager does not reach upstream, and what is before the manager says so.
	"cutoff": func(_ *Manager, _ *http.Request, a *answer) {
		a.become(http.StatusBadGateway, "text/html", "<html><head><title>502 Bad Gateway</title></head></html>")
	},

	// HEAD: not allowed; not there until somebody downloads it (jfrog/terraform-provider-artifactory#1121);
	// without a length, with that of something else, or of a page.
	"nohead":   onHead(func(a *answer) { a.become(http.StatusMethodNotAllowed, "text/html", "") }),
	"head404":  onHead(func(a *answer) { a.become(http.StatusNotFound, "application/json", "") }),
	"headzero": onHead(func(a *answer) { a.header.Set("Content-Length", "0") }),
	"headpage": onHead(func(a *answer) { a.become(http.StatusOK, "text/html", "<html></html>") }),
	"nolength": func(_ *Manager, _ *http.Request, a *answer) { a.unsized = true },

	// Ranges: none; or 416 for one that is longer than the file (conda/conda-package-streaming#132).
	"noranges": func(_ *Manager, _ *http.Request, a *answer) { a.whole = true },
	"badranges": func(_ *Manager, r *http.Request, a *answer) {
		if r.Header.Get("Range") != "" {
			a.become(http.StatusRequestedRangeNotSatisfiable, "application/json", "")
		}
	},

	// Content-Encoding by the name of the file, whose body is as it is (notatallshaw/nab#545,
	// bazelbuild/bazel#11686); and a reverse proxy that compresses text on the way.
	"coded": func(_ *Manager, r *http.Request, a *answer) {
		if ext := path.Ext(r.URL.Path); a.status == http.StatusOK && (ext == ".gz" || ext == ".tgz") {
			a.header.Set("Content-Encoding", "gzip")
			a.header.Set("Content-Type", "application/x-tar")
		}
	},
	"compresses": func(_ *Manager, r *http.Request, a *answer) {
		if ext := path.Ext(r.URL.Path); a.status == http.StatusOK && ext != ".gz" && ext != ".tgz" {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(a.body)
			_ = w.Close()
			a.body, a.whole = b.Bytes(), true
			a.header.Set("Content-Encoding", "gzip")
		}
	},

	// A signed URL of another host, which no credentials may reach (chef/artifactory-client#135), and
	// which is for GET only (artifact-keeper/artifact-keeper#3181).
	"signed": func(m *Manager, r *http.Request, a *answer) {
		if a.status == http.StatusOK {
			to := m.sign(r.URL.Path, *a)
			a.become(http.StatusFound, "text/plain", "")
			a.header.Set("Location", to)
		}
	},

	// Artifactory makes checksum files itself: none until it has the file, then its own
	// (rust-lang/rustup#2859).
	"sums": func(m *Manager, r *http.Request, a *answer) {
		of, is := strings.CutSuffix(r.URL.Path, ".sha256")
		if !is {
			return
		}
		a.become(http.StatusNotFound, "application/json", "")
		if m.had[of] {
			parts := strings.SplitN(of, "/", 4)
			whole := m.fetch(r, parts[2], "/"+parts[3])
			a.become(http.StatusOK, "application/x-checksum", fmt.Sprintf("%x", sha256.Sum256(whole.body)))
		}
	},

	// Charts: Nexus makes bare file names of the URLs in index.yaml
	// (sonatype-nexus-community/nexus-repository-helm#1), Artifactory its own
	// (jfrog/terraform-provider-artifactory#162).
	"barecharts": inIndex(func(_ *Manager, line string) string {
		return "- " + path.Base(line)
	}),
	"owncharts": inIndex(func(m *Manager, line string) string {
		return "- " + m.URL + "/artifactory/" + strings.TrimPrefix(line, "- https://")
	}),
}

// become makes something else of an answer.
func (a *answer) become(status int, contentType, body string) {
	authenticate := a.header.Get("WWW-Authenticate")
	*a = answer{status: status, header: http.Header{"Content-Type": {contentType}, "Content-Length": {strconv.Itoa(len(body))}}, body: []byte(body)}
	if authenticate != "" && status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", authenticate)
	}
}

func onHead(do func(a *answer)) Habit {
	return func(_ *Manager, r *http.Request, a *answer) {
		if r.Method == http.MethodHead && a.status == http.StatusOK {
			do(a)
		}
	}
}

// inIndex changes the lines of the index.yaml of charts that have a URL.
func inIndex(change func(m *Manager, line string) string) Habit {
	return func(m *Manager, r *http.Request, a *answer) {
		if a.status != http.StatusOK || path.Base(r.URL.Path) != "index.yaml" {
			return
		}
		lines := strings.SplitAfter(string(a.body), "\n")
		for i, line := range lines {
			if bare := strings.TrimSpace(line); strings.HasPrefix(bare, "- https://") {
				lines[i] = strings.Replace(line, bare, change(m, bare), 1)
			}
		}
		a.body = []byte(strings.Join(lines, ""))
	}
}

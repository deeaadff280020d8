// Package artifactorytest stands in for what companies have before the internet: Artifactory, Nexus
// and their like, by path prefixes and with a user and a password. See [Habits] for what they do.
package artifactorytest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// User and Password are those that a manager wants.
const User, Password = "builder", "s3cret-of-the-manager"

// Manager is a repository manager before an upstream: at /artifactory/HOST/ and /repository/HOST/
// it has the files of a host, at /git/HOST/ its git repositories, and its registry's repositories
// begin with HOST/.
type Manager struct {
	// URL is https://127.0.0.1:PORT; Host is it without the scheme.
	URL, Host string

	server, storage *httptest.Server
	upstream        http.Handler

	// seen is called with every request.
	seen func(*http.Request)

	mu     sync.Mutex
	habits []string
	// had has the paths of files that were downloaded.
	had map[string]bool
	// signed has what the storage host has, by the path.
	signed map[string]*answer
}

// Start starts a manager before an upstream, which tells hosts apart by the request's Host. Seen is
// called with every request.
func Start(upstream http.Handler, settings *tls.Config, seen func(*http.Request)) *Manager {
	m := &Manager{upstream: upstream, seen: seen, had: map[string]bool{}, signed: map[string]*answer{}}
	start := func(serve http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(serve)
		s.TLS, s.Config.ErrorLog = settings, log.New(io.Discard, "", 0)
		s.StartTLS()
		return s
	}
	m.server, m.storage = start(m.serve), start(m.serveStorage)
	m.URL, m.Host = m.server.URL, strings.TrimPrefix(m.server.URL, "https://")
	return m
}

// Close ends it.
func (m *Manager) Close() {
	m.server.Close()
	m.storage.Close()
}

// Take gives the manager other habits, and has it forget what it keeps. An unknown habit is an error.
func (m *Manager) Take(habits ...string) error {
	for _, name := range habits {
		if Habits[name] == nil {
			return fmt.Errorf("there is no habit %q", name)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.habits, m.had = habits, map[string]bool{}
	return nil
}

// answer is what the manager is about to say.
type answer struct {
	status int
	header http.Header
	body   []byte
	// whole says that no part of it is sent, unsized that its length is not told.
	whole, unsized bool
}

func (m *Manager) serve(w http.ResponseWriter, r *http.Request) {
	m.seen(r)
	_, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	host, file, _ := strings.Cut(rest, "/")
	switch {
	case strings.HasPrefix(r.URL.Path, "/v2/"):
		m.serveRegistry(w, r, rest)
	case r.URL.Path == tokenPath:
		m.giveToken(w, r)
	case !admitted(r):
		m.say(w, r, refusal())
	case strings.HasPrefix(r.URL.Path, "/git/"):
		m.upstream.ServeHTTP(w, behind(r, host, "/"+file))
	default:
		m.say(w, r, m.fetch(r, host, "/"+file))
	}
}

func admitted(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return user == User && password == Password
}

// behind is the request that the manager makes.
func behind(r *http.Request, host, file string) *http.Request {
	out := r.Clone(r.Context())
	out.Host, out.URL.Path, out.URL.RawPath = host, file, ""
	out.Header.Del("Authorization")
	return out
}

// fetch gets the whole of a file, wherever upstream leads.
func (m *Manager) fetch(r *http.Request, host, file string) *answer {
	query := ""
	for range 5 {
		out := behind(r, host, file)
		out.Method, out.URL.RawQuery, out.Header = http.MethodGet, query, http.Header{}
		got := httptest.NewRecorder()
		m.upstream.ServeHTTP(got, out)
		if to, err := url.Parse(got.Header().Get("Location")); err == nil && got.Code/100 == 3 {
			host, file, query = cmp.Or(to.Host, host), to.Path, to.RawQuery
			continue
		}
		a := &answer{status: got.Code, header: http.Header{"Content-Type": {"application/octet-stream"}}, body: got.Body.Bytes()}
		if kind := got.Header().Get("Content-Type"); strings.HasPrefix(kind, "text/html") {
			a.header.Set("Content-Type", kind)
		}
		if a.status == http.StatusOK {
			a.header.Set("Last-Modified", "Wed, 05 Apr 2023 06:07:08 GMT")
		}
		return a
	}
	return &answer{status: http.StatusBadGateway}
}

// refusal is for those who do not say who they are.
func refusal() *answer {
	a := &answer{status: http.StatusUnauthorized, header: http.Header{}}
	a.header.Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
	return a
}

// say answers, with the habits that the manager has.
func (m *Manager) say(w http.ResponseWriter, r *http.Request, a *answer) {
	m.mu.Lock()
	for _, name := range m.habits {
		Habits[name](m, r, a)
	}
	if a.status == http.StatusOK && r.Method == http.MethodGet {
		m.had[r.URL.Path] = true
	}
	m.mu.Unlock()
	a.write(w, r)
}

func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status == http.StatusOK && !a.whole && !a.unsized && a.header.Get("Content-Length") == "" {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
		return
	}
	if !a.unsized && a.header.Get("Content-Length") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body)
	}
}

// serveStorage has what the manager signed a URL for, for GET, and wants no credentials beside
// the signature: "Only one auth mechanism allowed" (jfrog/terraform-provider-artifactory#22).
func (m *Manager) serveStorage(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	a := m.signed[r.URL.Path]
	m.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		http.Error(w, "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>", http.StatusBadRequest)
	case a == nil || r.Method != http.MethodGet || r.URL.Query().Get("X-Amz-Signature") != signature(r.URL.Path):
		http.Error(w, "<Error><Code>SignatureDoesNotMatch</Code></Error>", http.StatusForbidden)
	default:
		a.write(w, r)
	}
}

func signature(file string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte("signed "+file))) }

// sign puts an answer at the storage host, under a name that does not tell what it is.
func (m *Manager) sign(file string, a answer) string {
	at := path.Join("/filestore", fmt.Sprintf("%x", sha256.Sum256([]byte(file)))[:40])
	m.signed[at] = &a
	return m.storage.URL + at + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=" + signature(at)
}

const tokenPath = "/artifactory/api/docker/token"

// serveRegistry passes on what is asked with the token for the repository by the name that it has
// here: strict token servers refuse the one that it has upstream (containerd/containerd#13412).
func (m *Manager) serveRegistry(w http.ResponseWriter, r *http.Request, rest string) {
	host, name, _ := strings.Cut(rest, "/")
	repository := rest
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/"} {
		repository, _, _ = strings.Cut(repository, kind)
	}
	scope := "repository:" + repository + ":pull"
	// Nexus gives tokens only with its Docker Bearer Token Realm.
	basic := m.has("nexus")
	if basic && !admitted(r) || !basic && r.Header.Get("Authorization") != "Bearer "+tokenOf(scope) {
		challenge := fmt.Sprintf(`Bearer realm="%s%s",service=%q`, m.URL, tokenPath, m.Host)
		if rest != "" {
			challenge += fmt.Sprintf(",scope=%q", scope)
		}
		if basic {
			challenge = `BASIC realm="Sonatype Nexus Repository Manager"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	if m.has("signed") && r.Method == http.MethodGet && strings.Contains(name, "/blobs/") {
		m.mu.Lock()
		to := m.sign(r.URL.Path, *m.fetch(r, host, "/v2/"+name))
		m.mu.Unlock()
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		return
	}
	m.upstream.ServeHTTP(w, behind(r, host, "/v2/"+name))
}

func (m *Manager) has(habit string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.habits, habit)
}

func (m *Manager) giveToken(w http.ResponseWriter, r *http.Request) {
	if !admitted(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"token":%q,"expires_in":3600}`, tokenOf(r.URL.Query().Get("scope")))
}

func tokenOf(scope string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte("token "+scope))) }

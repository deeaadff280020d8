package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/busytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// as has a user with a password ask.
func as(user, password string) func(context.Context, string, string) (registry.Credentials, error) {
	return func(context.Context, string, string) (registry.Credentials, error) {
		return registry.Credentials{Username: user, Password: password}, nil
	}
}

var login = as(registrytest.User, registrytest.Password)

// hasty is an idle timeout that stalls can be waited out with. On a machine that is
// busy, what does not stall may take as long.
const hasty = 500 * time.Millisecond

// newClient returns a client that is in a hurry.
func newClient(t testing.TB, cfg registry.Config) *registry.Client {
	t.Helper()
	if cfg.Credentials == nil {
		cfg.Credentials = as("", "")
	}
	if cfg.Retry.Backoff == 0 {
		cfg.Retry.Backoff = time.Millisecond
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 10 * time.Second
	}
	c := registry.New(cfg)
	t.Cleanup(c.Close)
	return c
}

func open(t testing.TB, c *registry.Client, host string, push bool) *registry.Repository {
	t.Helper()
	n, err := registry.ParseRepository(host + "/mirror/botkube")
	check(t, err)
	r, err := c.Repository(t.Context(), n, push)
	check(t, err)
	return r
}

func plain(t testing.TB, host string) *registry.Repository {
	t.Helper()
	return open(t, newClient(t, registry.Config{PlainHTTP: true}), host, true)
}

func content(t testing.TB, size int) (lock.Blob, []byte) {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	return lock.Blob{Size: int64(size), SHA256: lock.Sum(data)}, data
}

type file struct{ *bytes.Reader }

func (file) Close() error { return nil }

func opener(data []byte) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return file{bytes.NewReader(data)}, nil }
}

// inFile is [opener] for content in a file, which a connection without TLS sends from there.
func inFile(t testing.TB, data []byte) func() (io.ReadSeekCloser, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "blob")
	check(t, os.WriteFile(name, data, 0o600))
	return func() (io.ReadSeekCloser, error) { return os.Open(name) }
}

func newStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, fault.HintOf(err))
	}
}

// checkFails wants an error of a kind that says certain things, in its text or
// its hint, and no password.
func checkFails(t testing.TB, err error, kind fault.Kind, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind %d, want %d: %v", got, kind, err)
	}
	text := err.Error() + "\n" + fault.HintOf(err)
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("%q is not in %q", s, text)
		}
	}
	if strings.Contains(fmt.Sprintf("%s %+v %#v", text, err, err), registrytest.Password) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) {
		t.Errorf("the error has a password or control characters: %q", text)
	}
	t.Log(text)
}

// roundTrip pushes content and a manifest that names it, and pulls them back.
func roundTrip(t *testing.T, r *registry.Repository) {
	t.Helper()
	ctx := t.Context()
	blob, data := content(t, 1<<20)
	var done int64
	sent, err := r.Upload(ctx, blob, opener(data), func(n int64) { done = n })
	check(t, err)
	if sent != blob.Size || done != blob.Size {
		t.Errorf("sent %d, at %d, want %d", sent, done, blob.Size)
	}
	sent, err = r.Upload(ctx, blob, opener(data), nil)
	check(t, err)
	if sent != 0 {
		t.Errorf("sent %d bytes of what is there", sent)
	}
	config := lock.Sum([]byte("{}"))
	_, err = r.Upload(ctx, lock.Blob{Size: 2, SHA256: config}, opener([]byte("{}")), nil)
	check(t, err)
	size, ok, err := r.HasBlob(ctx, blob.SHA256)
	if err != nil || !ok || size != blob.Size {
		t.Errorf("HasBlob: %d, %v, %v", size, ok, err)
	}
	_, ok, err = r.HasBlob(ctx, lock.Sum([]byte("nothing")))
	if ok || err != nil {
		t.Errorf("HasBlob of nothing: %v, %v", ok, err)
	}

	doc := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/json","digest":"sha256:%s","size":2},`+
		`"layers":[{"mediaType":"application/octet-stream","digest":"sha256:%s","size":%d}]}`, manifestType, config, blob.SHA256, blob.Size)
	check(t, r.PutManifest(ctx, "v1.14.0", manifestType, doc))
	digest := "sha256:" + lock.Sum(doc).String()
	check(t, r.PutManifest(ctx, digest, manifestType, doc))
	for _, id := range []string{"v1.14.0", digest} {
		m, err := r.Manifest(ctx, id)
		check(t, err)
		if !bytes.Equal(m.Data, doc) || m.MediaType != manifestType || m.Digest != lock.Sum(doc) {
			t.Errorf("%s: %s %s", id, m.MediaType, m.Data)
		}
	}
	if _, err := r.Manifest(ctx, "absent"); !registry.IsNotFound(err) {
		t.Errorf("absent manifest: %v", err)
	} else {
		checkFails(t, err, fault.Upstream, "/mirror/botkube:absent", "MANIFEST_UNKNOWN")
	}
	pull(t, r, blob, data)
}

func pull(t testing.TB, r *registry.Repository, blob lock.Blob, data []byte) (transferred int64) {
	t.Helper()
	s := newStore(t)
	var done int64
	transferred, err := r.Fetch(t.Context(), blob, s, func(n int64) { done = n })
	check(t, err)
	got, err := s.ReadAll(blob.SHA256, blob.Size)
	check(t, err)
	if !bytes.Equal(got, data) || done != blob.Size {
		t.Errorf("%d bytes came back, at %d", len(got), done)
	}
	again, err := r.Fetch(t.Context(), blob, s, nil)
	if again != 0 || err != nil {
		t.Errorf("again: %d, %v", again, err)
	}
	return transferred
}

func TestPlain(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	r := plain(t, reg.Host)
	roundTrip(t, r)
	blob, _ := content(t, 0)
	_, err := r.Upload(t.Context(), blob, opener(nil), nil)
	check(t, err)
	pull(t, r, blob, nil)

	_, err = newClient(t, registry.Config{}).Repository(t.Context(), r.Name(), false)
	checkFails(t, err, fault.Usage, "asking "+reg.Host+" for access to mirror/botkube", "--plain-http")
}

func TestRelativeLocations(t *testing.T) {
	t.Parallel()
	roundTrip(t, plain(t, registrytest.Start(t, registrytest.Options{RelativeURLs: true}).Host))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{TLS: true, Auth: true})
	roundTrip(t, open(t, newClient(t, registry.Config{Credentials: login, Options: transfer.Options{TLS: trusting(t, reg.CAFile)}}), reg.Host, true))
	roundTrip(t, open(t, newClient(t, registry.Config{Insecure: true, Credentials: login}), reg.Host, true))

	n, err := registry.ParseRepository(reg.Host + "/x")
	check(t, err)
	_, err = newClient(t, registry.Config{Credentials: login}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Usage, "--ca-file", "--insecure-skip-verify")
	_, err = newClient(t, registry.Config{PlainHTTP: true, Credentials: login}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Usage, "leave out --plain-http")
}

func TestAuth(t *testing.T) {
	reg := registrytest.Start(t, registrytest.Options{Auth: true})
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	check(t, registrytest.WriteDockerConfig(dir, registrytest.User, registrytest.Password, reg.Host))
	roundTrip(t, open(t, registry.New(registry.Config{PlainHTTP: true}), reg.Host, true))

	blob, data := content(t, 10)
	for user, hint := range map[string]string{"": "log in first: docker login ", "somebody": "log in again: docker login "} {
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: as(user, user)}), reg.Host, true)
		_, err := r.Upload(t.Context(), blob, opener(data), nil)
		checkFails(t, err, fault.Upstream, "uploading sha256:", "401 Unauthorized", hint, "docker login "+reg.Host, "~/.docker/config.json (or config.json in $DOCKER_CONFIG)")
		_, err = r.Manifest(t.Context(), "latest")
		checkFails(t, err, fault.Upstream, "reading "+r.Name().String()+":latest", "UNAUTHORIZED", hint)
		if registry.IsNotFound(err) {
			t.Error("no right is not nothing")
		}
	}
}

func TestCredentialsUnreadable(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":{"127.0.0.1:1":{"auth":"`+registrytest.Password+`"}}`), 0o600))
	t.Setenv("DOCKER_CONFIG", dir)
	n, err := registry.ParseRepository("127.0.0.1:1/x")
	check(t, err)
	_, err = registry.New(registry.Config{}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Usage, "DOCKER_CONFIG")
}

// TestCredentialHelperFails has helpers that fail after they have written the
// password.
func TestCredentialHelperFails(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("HOME", dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	check(t, os.MkdirAll(filepath.Join(dir, ".docker"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, ".docker/config.json"), []byte("{}"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "config.json"),
		[]byte(`{"credHelpers":{"127.0.0.1:1":"broken","127.0.0.1:2":"chatty","127.0.0.1:3":"sly","127.0.0.1:4":"absent","127.0.0.1:5":"chatty","127.0.0.1:5/x/y":"sly"}}`), 0o600))
	for name, script := range map[string]string{
		"broken": "printf 'the password is " + registrytest.Password + "'; exit 3",
		"chatty": "printf '\"" + registrytest.Password + "\"'",
		"sly":    "printf 'x, out: " + registrytest.Password + ", out: '; exit 1",
	} {
		check(t, os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	for host, says := range map[string][]string{
		"127.0.0.1:1": {"docker-credential-broken failed: exit status 3", "echo 127.0.0.1:1 | docker-credential-broken get"},
		"127.0.0.1:2": {"docker-credential-chatty failed: its output is not valid JSON", "docker-credential-chatty get"},
		"127.0.0.1:3": {"docker-credential-sly failed: exit status 1", "docker-credential-sly get"},
		"127.0.0.1:4": {"docker-credential-absent", "executable file not found"},
		"127.0.0.1:5": {"docker-credential-sly failed: exit status 1", "echo 127.0.0.1:5/x/y | docker-credential-sly get"},
	} {
		n, err := registry.ParseRepository(host + "/x/y")
		check(t, err)
		_, err = registry.New(registry.Config{}).Repository(t.Context(), n, false)
		checkFails(t, err, fault.Usage, says...)
	}
}

func TestFlagPrefix(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for url, says := range map[string][]string{
		secure.URL: {"--source-ca-file", "--source-insecure-skip-verify"},
		plain.URL:  {"--source-plain-http"},
	} {
		_, host, _ := strings.Cut(url, "://")
		n, err := registry.ParseRepository(host + "/x")
		check(t, err)
		_, err = newClient(t, registry.Config{FlagPrefix: "source-"}).Repository(t.Context(), n, false)
		checkFails(t, err, fault.Usage, says...)
	}
}

// TestIdentifiers asks for what is neither a tag nor a digest.
func TestIdentifiers(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v2/" {
			t.Errorf("it is asked for %s", req.URL)
		}
	}))
	defer srv.Close()
	r := plain(t, strings.TrimPrefix(srv.URL, "http://"))
	for _, id := range []string{
		"", "../../x/manifests/y", "sha512:" + strings.Repeat("a", 128), "sha256:" + strings.Repeat("A", 64), "sha256:aa", "a b", "-a", "tag\n", strings.Repeat("a", 129),
	} {
		_, err := r.Manifest(t.Context(), id)
		checkFails(t, err, fault.Integrity, "neither a tag nor a sha256 digest")
		checkFails(t, r.PutManifest(t.Context(), id, manifestType, []byte("{}")), fault.Integrity, "neither a tag nor a sha256 digest")
	}
}

// trusting reads the certificate of an authority.
func trusting(t *testing.T, caFile string) *tls.Config {
	t.Helper()
	cfg, err := transfer.Identity{CAFiles: []string{caFile}}.TLS(t.Context())
	check(t, err)
	return cfg
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	ln.Close()
	n, err := registry.ParseRepository(ln.Addr().String() + "/x")
	check(t, err)
	var told []string
	c := newClient(t, registry.Config{Options: transfer.Options{Retry: transfer.Retry{Limit: 2}}, Retrying: func(subject string, err error, _ time.Duration) {
		told = append(told, subject+": "+err.Error())
	}})
	_, err = c.Repository(t.Context(), n, false)
	checkFails(t, err, fault.Upstream, "gave up after 3 attempts", "connection refused", "check that the registry is up")
	if len(told) != 2 {
		t.Error(told)
	}
}

// The distribution registry 2.8 loses a session whose PATCH broke: what was sent
// is sent again, whole. A later one may do better: see session.
func TestUploadCut(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	for _, at := range []int64{0, 1, 4096, 2 << 20, 4<<20 - 1} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			blob, data := content(t, 4<<20)
			p := reg.Proxy(t, registrytest.Fault{Method: "PATCH", Do: registrytest.CutRequest, At: at, Times: 1})
			r := plain(t, p.Host)
			sent, err := r.Upload(t.Context(), blob, opener(data), nil)
			check(t, err)
			if got, most := p.BytesIn("PATCH"), at+blob.Size; got < blob.Size || got > most {
				t.Errorf("%d bytes reached the registry, want %d to %d", got, blob.Size, most)
			}
			if got := len(p.Requests("GET", "/uploads/")); got != 1 {
				t.Errorf("asked %d times how much is there", got)
			}
			t.Logf("cut after %d: %d bytes handed over, %d of them passed", at, sent, p.BytesIn("PATCH"))
			pull(t, r, blob, data)
		})
	}
}

// Where the PATCH was answered, the session lives.
func TestUploadCommitLost(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	for name, f := range map[string]registrytest.Fault{
		"request":  {Method: "PUT", Path: "digest=", Do: registrytest.CutRequest, Times: 1},
		"refused":  {Method: "PUT", Path: "digest=", Status: 503, Times: 1},
		"response": {Method: "PUT", Path: "digest=", Do: registrytest.DropResponse, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			blob, data := content(t, 4<<20)
			p := reg.Proxy(t, f)
			sent, err := plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
			check(t, err)
			if sent != blob.Size || p.BytesIn("PATCH") != blob.Size {
				t.Errorf("sent %d bytes, %d of them passed, want %d", sent, p.BytesIn("PATCH"), blob.Size)
			}
			pull(t, plain(t, reg.Host), blob, data)
		})
	}
}

func TestUploadRetries(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 1<<20)
	p := reg.Proxy(t, registrytest.Fault{Method: "POST", Status: 503, Times: 2}, registrytest.Fault{Method: "PATCH", Status: 502, Times: 1})
	_, err := plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)

	blob, data = content(t, 1<<20)
	p = reg.Proxy(t, registrytest.Fault{Method: "PATCH", Status: 429, Times: 1, Header: http.Header{"Retry-After": {"1"}}})
	begun := time.Now()
	_, err = plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if d := time.Since(begun); d < time.Second {
		t.Errorf("came back after %s", d)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{Auth: true})
	for _, test := range []struct {
		status, attempts int
		body             string
		says             []string
	}{
		{400, 1, "", []string{"400 Bad Request"}},
		{403, 1, `{"errors":[{"code":"DENIED","message":"not\u001b[31m\r\nyours"}]}`, []string{"DENIED: not [31m  yours", "administrator for access"}},
		{404, 1, `{"errors":[{"code":"NAME_UNKNOWN","message":"` + strings.Repeat("long ", 1000) + `"}]}`, []string{"NAME_UNKNOWN: long long", "…"}},
		{413, 1, "<html>", []string{"client_max_body_size"}},
		{401, 1, `{"errors":[{"code":"UNAUTHORIZED","message":"` + registrytest.Password + ` is wrong"}]}`, []string{"UNAUTHORIZED: redacted is wrong"}},
		{429, 3, "", []string{"gave up after 3 attempts", "--parallel 1"}},
		{500, 3, `{"errors":[{"code":"UNKNOWN","message":"disk full"}]}`, []string{"UNKNOWN: disk full", "again later"}},
		{501, 1, "", []string{"501 Not Implemented"}},
	} {
		t.Run(fmt.Sprint(test.status), func(t *testing.T) {
			p := reg.Proxy(t, registrytest.Fault{Method: "POST", Path: "/uploads/", Status: test.status, Body: test.body},
				registrytest.Fault{Method: "PUT", Path: "/manifests/", Status: test.status, Body: test.body})
			r := open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login, Options: transfer.Options{Retry: transfer.Retry{Limit: 2}}}), p.Host, true)
			blob, data := content(t, 100)
			_, err := r.Upload(t.Context(), blob, opener(data), nil)
			checkFails(t, err, fault.Upstream, append(test.says, "uploading sha256:"+blob.SHA256.String()+" to "+r.Name().String())...)
			if n := len(p.Requests("POST", "")); n != test.attempts {
				t.Errorf("%d attempts, want %d", n, test.attempts)
			}
			err = r.PutManifest(t.Context(), "tag", manifestType, []byte("{}"))
			checkFails(t, err, fault.Upstream, append(test.says, "writing "+r.Name().String()+":tag")...)
		})
	}
}

// A proxy that refuses at once, while the client still sends, is heard.
func TestRefusedEarly(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Fault{Method: "PATCH", Status: 413})
	blob, data := content(t, 16<<20)
	_, err := plain(t, p.Host).Upload(t.Context(), blob, opener(data), nil)
	checkFails(t, err, fault.Upstream, "413", "client_max_body_size")
}

func TestUploadStall(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	p := reg.Proxy(t, registrytest.Fault{Method: "PATCH", Do: registrytest.StallRequest, At: 1000, Times: 1})
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{IdleTimeout: hasty}}), p.Host, true)
	blob, data := content(t, 32<<20) // more than the sockets hold
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if n := len(p.Requests("PATCH", "")); n < 2 { // more on a machine that is busy
		t.Errorf("%d attempts", n)
	}
}

func TestUploadWrongContent(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	r := plain(t, reg.Host)
	blob, data := content(t, 1<<20)
	flipped := bytes.Clone(data)
	flipped[100] ^= 1
	for name, of := range map[string]func([]byte) func() (io.ReadSeekCloser, error){
		"memory": opener,
		"a file": func(data []byte) func() (io.ReadSeekCloser, error) { return inFile(t, data) },
	} {
		t.Log("in " + name)
		_, err := r.Upload(t.Context(), blob, of(flipped), nil)
		checkFails(t, err, fault.Integrity, "another digest: sha256:"+lock.Sum(flipped).String())
		_, err = r.Upload(t.Context(), blob, of(data[:1000]), nil)
		checkFails(t, err, fault.Unexpected, "shorter")
	}
	_, err := r.Upload(t.Context(), blob, func() (io.ReadSeekCloser, error) { return nil, os.ErrPermission }, nil)
	checkFails(t, err, fault.Unexpected, "opening the content")
	if _, ok, err := r.HasBlob(t.Context(), blob.SHA256); ok || err != nil {
		t.Error("the registry has it", err)
	}
}

// However a registry refuses what it was sent, damage here is said to be that; the
// content is read again once at most, and not where it is not what is refused.
func TestUploadWrongContentRefused(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 1000)
	for _, test := range []struct {
		registrytest.Fault
		// reads are how often the content is opened if it is right, the attempts included.
		reads   int
		noticed bool
	}{
		{registrytest.Fault{Status: 400}, 2, true},
		{registrytest.Fault{Status: 404}, 4, true},
		{registrytest.Fault{Status: 409}, 2, true},
		{registrytest.Fault{Status: 416}, 4, true},
		{registrytest.Fault{Status: 422}, 2, true},
		{registrytest.Fault{Status: 500}, 2, true},
		{registrytest.Fault{Status: 502, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"}, 2, true},
		{registrytest.Fault{Status: 401}, 1, false},
		{registrytest.Fault{Status: 403}, 1, false},
		{registrytest.Fault{Status: 413}, 1, false},
		{registrytest.Fault{Status: 429}, 1, false},
	} {
		test.Method, test.Path = "PUT", "/blobs/"
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: 2}}}), reg.Proxy(t, test.Fault).Host, true)
		reads := 0
		_, err := r.Upload(t.Context(), blob, func() (io.ReadSeekCloser, error) { reads++; return opener(data)() }, nil)
		checkFails(t, err, fault.Upstream, strconv.Itoa(test.Status))
		if reads != test.reads {
			t.Errorf("%d: read %d times, want %d", test.Status, reads, test.reads)
		}
		flipped := bytes.Clone(data)
		flipped[100] ^= 1
		_, err = r.Upload(t.Context(), blob, opener(flipped), nil)
		if test.noticed {
			checkFails(t, err, fault.Integrity, "another digest: sha256:"+lock.Sum(flipped).String())
		} else {
			checkFails(t, err, fault.Upstream, strconv.Itoa(test.Status))
		}
	}
}

// A token server that does not know how to exchange an identity token is asked as it
// is for a user without one.
func TestIdentityTokenUnknown(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	for _, status := range []int{404, 405} {
		p := reg.Proxy(t, append([]registrytest.Fault{{Method: "POST", Path: "/token", Status: status}}, registrytest.Habits["token"]...)...)
		c := newClient(t, registry.Config{PlainHTTP: true, Credentials: func(context.Context, string, string) (registry.Credentials, error) {
			return registry.Credentials{IdentityToken: "x"}, nil
		}})
		open(t, c, p.Host, true)
		if n := len(p.Requests("POST", "/token")); n != 1 {
			t.Errorf("%d: exchanged %d times", status, n)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 32<<20)
	_, err := plain(t, reg.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	p := reg.Proxy(t, registrytest.Fault{Method: "PATCH", Do: registrytest.StallRequest, At: 1000},
		registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.StallResponse, At: 1000},
		registrytest.Fault{Method: "GET", Path: "/manifests/", Status: 503, Header: http.Header{"Retry-After": {"100"}}})
	r := plain(t, p.Host)
	s := newStore(t)
	other, otherData := content(t, 32<<20)
	for name, f := range map[string]func(context.Context) error{
		"upload":   func(ctx context.Context) error { _, err := r.Upload(ctx, other, opener(otherData), nil); return err },
		"download": func(ctx context.Context) error { _, err := r.Fetch(ctx, blob, s, nil); return err },
		"pause":    func(ctx context.Context) error { _, err := r.Manifest(ctx, "x"); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		begun := time.Now()
		err := f(ctx)
		if !errors.Is(err, context.Canceled) || time.Since(begun) > time.Minute {
			t.Errorf("%s: %v after %s", name, err, time.Since(begun))
		}
	}
}

func TestDownloadResumes(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 4<<20)
	_, err := plain(t, reg.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	const at = 3 << 20
	t.Run("within a call", func(t *testing.T) {
		p := reg.Proxy(t, registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.CutResponse, At: at, Times: 1})
		if n := pull(t, plain(t, p.Host), blob, data); n != blob.Size {
			t.Errorf("%d bytes came", n)
		}
		requests := p.Requests("GET", "/blobs/")
		if len(requests) != 2 || requests[1].Header.Get("Range") == "" || requests[1].Out >= blob.Size {
			t.Errorf("%+v", requests)
		}
	})
	t.Run("in another call", func(t *testing.T) {
		p := reg.Proxy(t, registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.CutResponse, At: at, Times: 1})
		s := newStore(t)
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: -1}}}), p.Host, false)
		first, err := r.Fetch(t.Context(), blob, s, nil)
		checkFails(t, err, fault.Upstream, "downloading "+r.Name().String()+"@sha256:", "the connection ended after")
		var least int64 = 1 << 40
		second, err := plain(t, reg.Host).Fetch(t.Context(), blob, s, func(n int64) { least = min(least, n) })
		check(t, err)
		if first == 0 || first+second != blob.Size || least != first {
			t.Errorf("%d and %d bytes came, from %d", first, second, least)
		}
	})
	t.Run("stall", func(t *testing.T) {
		p := reg.Proxy(t, registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.StallResponse, At: at, Times: 1})
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{IdleTimeout: hasty}}), p.Host, false)
		if n := pull(t, r, blob, data); n != blob.Size {
			t.Errorf("%d bytes came", n)
		}
	})
	t.Run("progress counts", func(t *testing.T) {
		p := reg.Proxy(t, registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.CutResponse, At: 512 << 10, Times: 7})
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: 1}}}), p.Host, false)
		pull(t, r, blob, data)
	})
	t.Run("damaged remainder", func(t *testing.T) {
		s := newStore(t)
		in, err := s.Ingest(t.Context(), "blob sha256:"+blob.SHA256.String(), nil)
		check(t, err)
		_, err = in.Write(make([]byte, 1<<20))
		check(t, err)
		check(t, in.Close())
		_, err = plain(t, reg.Host).Fetch(t.Context(), blob, s, nil)
		check(t, err)
	})
}

// A line on which next to nothing comes each time is given up, and one on which
// much comes is not, however often it drops.
func TestReadingGivesUp(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 4<<20)
	_, err := plain(t, reg.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	for at, gives := range map[int64]bool{1000: false, 300 << 10: true} {
		p := reg.Proxy(t, registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.CutResponse, At: at})
		err := read(t, open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{Retry: transfer.Retry{Limit: 2}}}), p.Host, false), blob)
		if gives {
			check(t, err)
			continue
		}
		checkFails(t, err, fault.Upstream, "gave up after 3 attempts")
	}
}

// A registry that gives something else than the rest has the bytes passed over that
// are there; one that gives more than the whole has it refused.
func TestDownloadRange(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	for name, answer := range map[string]func(w http.ResponseWriter){
		"ignored": func(w http.ResponseWriter) { _, _ = w.Write(data) },
		"refused": func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) },
		"another": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[5:])
		},
		"without": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[600<<10:])
		},
		"total unknown": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", 600<<10, len(data)-1))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data[600<<10:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
				n++
				switch {
				case n == 1:
					w.Header().Set("Content-Length", fmt.Sprint(len(data)))
					_, _ = w.Write(data[:600<<10])
					panic(http.ErrAbortHandler)
				case req.Header.Get("Range") != "":
					answer(w)
				default:
					_, _ = w.Write(data)
				}
			}))
			pull(t, r, blob, data)
			if most := map[bool]int{true: 3, false: 2}[name == "refused" || name == "another" || name == "without"]; n != most {
				t.Errorf("%d requests, want %d", n, most)
			}
		})
	}
	r := plain(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush() // no Content-Length
		_, _ = w.Write(append(data, 1))
	}))
	_, err := r.Fetch(t.Context(), blob, newStore(t), nil)
	checkFails(t, err, fault.Integrity, "more than the 1048576 bytes")
}

func TestDownloadWrong(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{})
	blob, data := content(t, 1<<20)
	_, err := plain(t, reg.Host).Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	flip := registrytest.Fault{Method: "GET", Path: "/blobs/", Do: registrytest.FlipResponse, At: 1000}
	s := newStore(t)
	_, err = plain(t, reg.Proxy(t, flip).Host).Fetch(t.Context(), blob, s, nil)
	checkFails(t, err, fault.Integrity, " is sha256:", "not sha256:"+blob.SHA256.String())
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), "*", "*.part")); len(left) > 0 {
		t.Error(left)
	}
	flip.Times = 1
	_, err = plain(t, reg.Proxy(t, flip).Host).Fetch(t.Context(), blob, s, nil)
	check(t, err)

	other := lock.Blob{Size: blob.Size - 1, SHA256: blob.SHA256}
	_, err = plain(t, reg.Host).Fetch(t.Context(), other, newStore(t), nil)
	checkFails(t, err, fault.Integrity, "1048576 bytes, not 1048575")
	absent, _ := content(t, 10)
	_, err = plain(t, reg.Host).Fetch(t.Context(), absent, s, nil)
	checkFails(t, err, fault.Upstream, "BLOB_UNKNOWN")
	if !registry.IsNotFound(err) {
		t.Error("it is there")
	}
}

// serve runs a registry that is whatever a handler makes of it.
func serve(t testing.TB, h http.HandlerFunc) (host string) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/" {
			return
		}
		h(w, req)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestManifestWrong(t *testing.T) {
	t.Parallel()
	doc := []byte(`{"mediaType":"application/vnd.oci.image.index.v1+json"}`)
	r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch filepath.Base(req.URL.Path) {
		case "large":
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat(" ", registry.MaxManifest+1)), 1<<30))
		case "header":
			w.Header().Set("Docker-Content-Digest", "sha256:"+lock.Sum(nil).String())
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(doc)
	}))
	_, err := r.Manifest(t.Context(), "large")
	checkFails(t, err, fault.Upstream, "more than the maximum of 4194304 bytes")
	_, err = r.Manifest(t.Context(), "header")
	checkFails(t, err, fault.Integrity, " is sha256:")
	_, err = r.Manifest(t.Context(), "sha256:"+lock.Sum(nil).String())
	checkFails(t, err, fault.Integrity, "@sha256:")
	m, err := r.Manifest(t.Context(), "tag")
	check(t, err)
	if m.MediaType != "application/vnd.oci.image.index.v1+json" {
		t.Error(m.MediaType)
	}
}

// Credentials stay with the registry; redirects lead elsewhere, but not from
// https to http.
func TestRedirect(t *testing.T) {
	t.Parallel()
	reg := registrytest.Start(t, registrytest.Options{Auth: true})
	blob, data := content(t, 1<<20)
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login}), reg.Host, true)
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)

	var seen http.Header
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = req.Header
		if strings.Contains(req.URL.Path, "gone") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(data)
	}))
	defer elsewhere.Close()
	redirect := func(to string) registrytest.Fault {
		return registrytest.Fault{Method: "GET", Path: "/blobs/", Status: 307, Header: http.Header{"Location": {to}}}
	}
	p := reg.Proxy(t, redirect(elsewhere.URL+"/here?X-Amz-Signature=abc"))
	r = open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login}), p.Host, false)
	pull(t, r, blob, data)
	if seen.Get("Authorization") != "" || p.Requests("GET", "/blobs/")[0].Header.Get("Authorization") == "" {
		t.Errorf("%v", seen)
	}
	p = reg.Proxy(t, redirect(elsewhere.URL+"/gone?X-Amz-Signature="+registrytest.Password))
	r = open(t, newClient(t, registry.Config{PlainHTTP: true, Credentials: login}), p.Host, false)
	_, err = r.Fetch(t.Context(), blob, newStore(t), nil)
	checkFails(t, err, fault.Upstream, strings.TrimPrefix(elsewhere.URL, "http://")+" answers 403")

	secure := registrytest.Start(t, registrytest.Options{TLS: true})
	for _, f := range []registrytest.Fault{redirect(elsewhere.URL), {Method: "POST", Status: 202, Header: http.Header{"Location": {elsewhere.URL}}}} {
		p := secure.Proxy(t, f)
		r := open(t, newClient(t, registry.Config{Options: transfer.Options{TLS: trusting(t, secure.CAFile)}}), p.Host, true)
		_, err := r.Fetch(t.Context(), blob, newStore(t), nil)
		says := "redirects from https to plain http"
		if f.Method == "POST" {
			_, err = r.Upload(t.Context(), blob, opener(data), nil)
			says = "redirects to plain http"
		}
		checkFails(t, err, fault.Upstream, says)
		if n := len(p.Requests(f.Method, f.Path)); n != 1 {
			t.Errorf("%d attempts", n)
		}
	}
	// The handshake, too.
	p = secure.Proxy(t, registrytest.Fault{Path: "/v2/", Status: 307, Header: http.Header{"Location": {elsewhere.URL + "/v2/"}}})
	n, err := registry.ParseRepository(p.Host + "/x")
	check(t, err)
	seen = nil
	_, err = newClient(t, registry.Config{Credentials: login, Options: transfer.Options{TLS: trusting(t, secure.CAFile)}}).Repository(t.Context(), n, false)
	checkFails(t, err, fault.Upstream, "plain http")
	if seen != nil {
		t.Error("plain http was spoken")
	}
}

// TestPowerCut has a partial blob whose middle, or end, never reached the
// disk, though its size did: what is before it is not fetched again.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 20<<20)
	var asked []string
	r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
		asked = append(asked, req.Header.Get("Range"))
		if len(asked)%2 == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(data)))
			_, _ = w.Write(data[:18<<20])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
	}))
	for _, hole := range []int64{9 << 20, 0, 18<<20 - 4096}[:tier.Pick(1, 3)] {
		t.Run(fmt.Sprint(hole), func(t *testing.T) {
			asked = nil
			s := newStore(t)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := r.Fetch(ctx, blob, s, func(done int64) {
				if done == 18<<20 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			parts, err := filepath.Glob(filepath.Join(s.Dir(), "ingest", "*.part"))
			check(t, err)
			f, err := os.OpenFile(parts[0], os.O_RDWR, 0)
			check(t, err)
			_, err = f.WriteAt(make([]byte, 4096), hole)
			check(t, err)
			check(t, f.Close())
			n, err := r.Fetch(t.Context(), blob, s, nil)
			check(t, err)
			if again := n - (blob.Size - hole); again < 0 || again > 1<<20 {
				t.Errorf("%d bytes came again; asked for %q", again, asked)
			}
		})
	}
}

// Whoever waits for another download of the same blob is told so.
func TestWaiting(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	told := make(chan string, 1)
	s := newStore(t)
	r := open(t, newClient(t, registry.Config{PlainHTTP: true, Waiting: func(subject string) { told <- subject }}),
		serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }), false)
	in, err := s.Ingest(t.Context(), "blob sha256:"+blob.SHA256.String(), nil)
	check(t, err)
	done := make(chan error)
	go func() {
		_, err := r.Fetch(t.Context(), blob, s, nil)
		done <- err
	}()
	if got := <-told; got != r.Name().String()+"@sha256:"+blob.SHA256.String() {
		t.Error(got)
	}
	check(t, in.Close())
	check(t, <-done)
}

// secure runs a registry that is whatever a handler makes of it, over HTTP/2.
func secure(t testing.TB, h http.HandlerFunc) (host, caFile string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ProtoMajor != 2 {
			t.Errorf("%s %s over %s", req.Method, req.URL, req.Proto)
		}
		if req.URL.Path != "/v2/" {
			h(w, req)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	return strings.TrimPrefix(srv.URL, "https://"), caFile
}

// Over HTTP/2, too, a transfer that breaks or stalls goes on.
func TestHTTP2(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	blob, data := content(t, 8<<20)
	const cut, stall = 3 << 20, 5 << 20
	var gets, patches int
	var stored []byte
	host, caFile := secure(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.Method {
		case http.MethodGet:
			gets++
			end := map[int]int{1: cut, 2: stall}[gets]
			from := 0
			if _, err := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-", &from); err == nil {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
				w.WriteHeader(http.StatusPartialContent)
			}
			if from >= end {
				_, _ = w.Write(data[from:])
				return
			}
			_, _ = w.Write(data[from:end])
			_ = http.NewResponseController(w).Flush()
			if end == stall {
				<-req.Context().Done()
			}
			panic(http.ErrAbortHandler)
		case http.MethodPost:
			w.Header().Set("Location", "/upload")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPatch:
			if patches++; patches == 1 {
				_, _ = io.ReadFull(req.Body, make([]byte, 1000))
				<-req.Context().Done()
				return
			}
			stored, _ = io.ReadAll(req.Body)
			w.Header().Set("Location", "/upload")
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	r := open(t, newClient(t, registry.Config{Options: transfer.Options{TLS: trusting(t, caFile), IdleTimeout: hasty}}), host, true)
	// On a machine that is busy, there may be more.
	if n := pull(t, r, blob, data); n != blob.Size || gets < 3 {
		t.Errorf("%d bytes came, in %d requests", n, gets)
	}
	_, err := r.Upload(t.Context(), blob, opener(data), nil)
	check(t, err)
	if patches < 2 || !bytes.Equal(stored, data) {
		t.Errorf("%d attempts, %d bytes", patches, len(stored))
	}
}

// A line that brings a little at a time is not cut, however long the whole takes.
func TestSlowDownload(t *testing.T) {
	tier.SkipUnlessThorough(t)
	t.Parallel()
	blob, data := content(t, 12)
	busytest.Try(t, func(idleTimeout time.Duration) error {
		var n int
		r := open(t, newClient(t, registry.Config{PlainHTTP: true, Options: transfer.Options{IdleTimeout: idleTimeout}}), serve(t, func(w http.ResponseWriter, _ *http.Request) {
			n++
			for i := range data {
				_, _ = w.Write(data[i : i+1])
				_ = http.NewResponseController(w).Flush()
				time.Sleep(idleTimeout / 6)
			}
		}), false)
		if pull(t, r, blob, data); n != 1 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
}

// A connection that is reset in the middle of an answer costs what was on its way.
func TestDownloadReset(t *testing.T) {
	t.Parallel()
	blob, data := content(t, 1<<20)
	var n int
	r := plain(t, serve(t, func(w http.ResponseWriter, req *http.Request) {
		if n++; n > 1 {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:300_000])
		conn, _, err := http.NewResponseController(w).Hijack()
		check(t, err)
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}))
	if got := pull(t, r, blob, data); got != blob.Size || n != 2 {
		t.Errorf("%d bytes came, in %d requests", got, n)
	}
}

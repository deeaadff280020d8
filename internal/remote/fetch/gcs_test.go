package fetch

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// googleServer answers as Google's servers do, to whom shows the token "tok" and has a
// certificate of its authority.
func googleServer(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("Authorization") == "Bearer tok"
	switch path := r.URL.Path; {
	case r.Host == "oauth2.googleapis.com":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token": "tok", "token_type": "Bearer", "expires_in": 3600}`)
	case r.Host != "storage.googleapis.com" || !token:
		w.WriteHeader(http.StatusForbidden)
	case path == "/bucket/absent":
		http.NotFound(w, r)
	case path == "/bucket/away":
		http.Redirect(w, r, "https://oauth2.googleapis.com/x", http.StatusFound)
	case path == "/storage/v1/b/bucket/o" && r.URL.Query().Get("prefix") == "private":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error": {"code": 403, "message": "of `+r.Header.Get("Authorization")+`", "errors": [{"reason": "forbidden"}]}}`)
	case path == "/storage/v1/b/bucket/o":
		_ = json.NewEncoder(w).Encode(map[string]any{"items": []map[string]string{{"name": "t/a.yaml"}, {"name": "t/"}, {"name": "t/b/b.yaml"}}})
	case path == "/bucket/private":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "of "+r.Header.Get("Authorization"))
	default:
		_, _ = io.WriteString(w, strings.TrimPrefix(path, "/bucket/")+r.URL.Query().Get("generation"))
	}
}

// TestGCSTrustsWhomWeTrust: --ca-file and --client-cert hold for Google's hosts, as
// where a proxy opens TLS.
func TestGCSTrustsWhomWeTrust(t *testing.T) {
	authority := tlstest.NewAuthority("private")
	s := httptest.NewUnstartedServer(http.HandlerFunc(googleServer))
	s.TLS, s.Config.ErrorLog = authority.Asking("storage.googleapis.com", "oauth2.googleapis.com"), log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	certPEM, keyPEM := authority.Client("joe", -time.Hour, time.Hour)
	known := transfer.Identity{CAFiles: []string{dir + "/ca"}, CertFile: dir + "/cert", KeyFile: dir + "/key"}
	for name, data := range map[string][]byte{"ca": authority.PEM(), "cert": certPEM, "key": keyPEM, "account": serviceAccount(t)} {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	t.Setenv("STORAGE_EMULATOR_HOST", "")
	t.Setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "tok")
	as := func(id transfer.Identity) *Client {
		trust, err := id.TLS(t.Context())
		must(t, err)
		blobs, err := store.Open(t.TempDir())
		must(t, err)
		t.Cleanup(func() { _ = blobs.Close() })
		c := New(Config{Store: blobs, Options: transfer.Options{TLS: trust, Retry: transfer.Retry{Limit: -1}}})
		c.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		}
		return c
	}
	get := func(c *Client, object string) (string, error) {
		r, err := c.Blob(t.Context(), Request{URL: "gcs::" + gcsURL(t, object).String()}, Observer{})
		if err != nil {
			return "", err
		}
		data, err := c.cfg.Store.ReadAll(r.SHA256, 1000)
		return string(data), err
	}
	getAll := func(dir, object string) error {
		return as(known).objects(t.Context(), "gcs", gcsURL(t, object), dir, Observer{})
	}
	for object, want := range map[string]string{"t/a.yaml": "t/a.yaml", "t/a.yaml#7": "t/a.yaml7"} {
		if got, err := get(as(known), object); err != nil || got != want {
			t.Errorf("%s: %q, %v", object, got, err)
		}
	}
	tree := filepath.Join(dir, "tree")
	must(t, getAll(tree, "t"))
	for _, name := range []string{"a.yaml", "b/b.yaml"} {
		if data, err := os.ReadFile(filepath.Join(tree, name)); err != nil || string(data) != "t/"+name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := get(as(known), "away"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("a redirect to another host: %v", err)
	}
	if _, err := get(as(known), "absent"); err == nil || !strings.Contains(fault.HintOf(err), "may have been removed") {
		t.Errorf("an object that is not there: %v; %s", err, fault.HintOf(err))
	}
	_, object := get(as(known), "private")
	directory := (&Client{}).failure("downloading", "gcs::", getAll(filepath.Join(dir, "private"), "private"))
	for kind, err := range map[string]error{"an object": object, "a directory": directory} {
		if err == nil || !strings.Contains(err.Error(), "answers 403 Forbidden") || strings.Contains(err.Error(), "tok") || !strings.Contains(fault.HintOf(err), "GOOGLE_") {
			t.Errorf("%s that may not be read: %v; %s", kind, err, fault.HintOf(err))
		}
	}
	_, err := get(as(transfer.Identity{CertFile: known.CertFile, KeyFile: known.KeyFile}), "t/a.yaml")
	if !strings.Contains(fault.HintOf(err), "--ca-file") || fault.KindOf(err) != fault.Upstream {
		t.Errorf("an unknown authority: %v; %s", err, fault.HintOf(err))
	}
	t.Setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "other")
	_, err = get(as(known), "t/a.yaml")
	if !strings.Contains(err.Error(), "403") || !strings.Contains(fault.HintOf(err), "GOOGLE_APPLICATION_CREDENTIALS") || fault.KindOf(err) != fault.Upstream {
		t.Errorf("with a token that does not do: %v; %s", err, fault.HintOf(err))
	}
	must(t, os.Unsetenv("GOOGLE_OAUTH_ACCESS_TOKEN"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", dir+"/account")
	if got, err := get(as(known), "t/a.yaml"); err != nil || got != "t/a.yaml" {
		t.Errorf("with a service account: %q, %v", got, err)
	}
}

func gcsURL(t *testing.T, object string) *url.URL {
	u, err := url.Parse("https://www.googleapis.com/storage/v1/bucket/" + object)
	must(t, err)
	return u
}

// serviceAccount returns a file of credentials.
func serviceAccount(t *testing.T) []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "p", "client_email": "x@p.iam.gserviceaccount.com", "private_key_id": "k",
		"private_key": string(tlstest.Encode("PRIVATE KEY", der)), "token_uri": "https://oauth2.googleapis.com/token",
	})
	must(t, err)
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParseGCS(t *testing.T) {
	for raw, want := range map[string]gcsObject{
		"https://www.googleapis.com/storage/v1/b/o/x":  {"b", "o/x", ""},
		"https://www.googleapis.com/storage/v1/b/o#12": {"b", "o", "12"},
		"https://www.googleapis.com/storage/v1/b/o#x":  {},
		"https://www.googleapis.com/storage/v1/b":      {},
		"https://www.googleapis.com/storage/v1//o":     {},
		"https://googleapis.com/storage/v1/b/o":        {},
		"https://www.example.com/storage/v1/b/o":       {},
	} {
		u, err := url.Parse(raw)
		must(t, err)
		if got, err := parseGCS(u); (err == nil) != (want != gcsObject{}) || err == nil && got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}

// TestTokenRefused: who gives out tokens has been shown what stands for the account.
func TestTokenRefused(t *testing.T) {
	o := &objects{store: googleStore}
	err := o.noCredentials(&url.Error{Op: "Get", URL: "https://storage.googleapis.com/x", Err: &oauth2.RetrieveError{
		Response: &http.Response{StatusCode: http.StatusUnauthorized, Status: "401 Unauthorized"}, Body: []byte("assertion secret"),
	}})
	if !strings.Contains(err.Error(), "answers 401") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestGCSCredentials has where Google's tools find credentials, but for those of
// TestGCSTrustsWhomWeTrust.
func TestGCSCredentials(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/computeMetadata/v1/instance/service-accounts/default/token":
			w.Header().Set("Metadata-Flavor", "Google")
			_, _ = io.WriteString(w, `{"access_token": "machine", "token_type": "Bearer", "expires_in": 3600}`)
		case r.URL.Path == "/token":
			must(t, r.ParseForm())
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token": "%s", "token_type": "Bearer", "expires_in": 3600}`, cmp.Or(r.PostForm.Get("refresh_token"), r.PostForm.Get("subject_token")))
		case r.URL.Path == "/refused":
			w.WriteHeader(http.StatusBadRequest)
		default:
			_, _ = io.WriteString(w, r.Header.Get("Authorization")+", "+r.Header.Get("X-Goog-User-Project"))
		}
	}))
	defer s.Close()
	external := `{"type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "https://sts.googleapis.com/token", "credential_source": {"file": "HOME/subject"}}`
	user := `{"type": "authorized_user", "client_id": "i", "client_secret": "x", "refresh_token": "user", "quota_project_id": "p"}`
	for name, test := range map[string]struct{ file, wellKnown, env, want string }{
		"a machine":            {want: "Bearer machine, "},
		"a user":               {wellKnown: user, want: "Bearer user, p"},
		"another project":      {wellKnown: user, env: "GOOGLE_CLOUD_QUOTA_PROJECT=q", want: "Bearer user, q"},
		"a workload elsewhere": {file: external, want: "Bearer subject, "},
		"no file":              {env: "GOOGLE_APPLICATION_CREDENTIALS=/absent"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			for _, v := range []string{"GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"} {
				t.Setenv(v, "")
				must(t, os.Unsetenv(v))
			}
			t.Setenv("STORAGE_EMULATOR_HOST", "")
			t.Setenv("HOME", home)
			t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.URL, "http://"))
			for path, text := range map[string]string{".config/gcloud/application_default_credentials.json": test.wellKnown, "file": test.file, "subject": "subject"} {
				if text == "" {
					continue
				}
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, path)), 0o700))
				must(t, os.WriteFile(filepath.Join(home, path), []byte(strings.ReplaceAll(text, "HOME", home)), 0o600))
			}
			if test.file != "" {
				t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(home, "file"))
			}
			if name, value, found := strings.Cut(test.env, "="); found {
				t.Setenv(name, value)
			}
			c := newClient(t)
			// All of Google's hosts are that server.
			c.transport.DialTLSContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
			}
			got, err := read(t, c, "gcs::https://www.googleapis.com/storage/v1/bucket/x")
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
			if err != nil && (!strings.Contains(fault.HintOf(err), "GOOGLE_APPLICATION_CREDENTIALS") || fault.KindOf(err) != fault.Upstream) {
				t.Errorf("%v; %s", err, fault.HintOf(err))
			}
		})
	}
}

// TestGCSDecoded: what the store decodes has no size that is known before, and no rest.
func TestGCSDecoded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Goog-Stored-Content-Encoding", "gzip")
		w.Header().Set("X-Goog-Generation", "1")
		_, _ = io.WriteString(w, "decoded"+r.Header.Get("Range"))
		http.NewResponseController(w).Flush()
	}))
	defer s.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", s.URL)
	o, err := newClient(t).openGCS(t.Context(), gcsURL(t, "x"))
	must(t, err)
	part, err := objectSource{o, "x", ""}.Open(t.Context(), 0, store.Origin{})
	must(t, err)
	defer part.Close()
	if !part.Origin.Decoded || part.Total != -1 || part.Origin.Validator != "1" {
		t.Errorf("%+v", part)
	}
}

package fetch_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// s3Server answers as an object store of a private cloud does, to whom signs as user
// "id" and has a certificate of its authority.
func s3Server(t *testing.T, keys ...string) (base string, files map[string]string) {
	t.Helper()
	authority := tlstest.NewAuthority("private")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, found := strings.CutPrefix(r.URL.Path, "/bucket/")
		switch {
		case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=id/") || !strings.Contains(r.Header.Get("Authorization"), "/eu-x/s3/"):
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>of %s</Message></Error>", r.Header.Get("Authorization"))
		case key == "away":
			http.Redirect(w, r, "https://localhost:"+r.Host[strings.LastIndexByte(r.Host, ':')+1:]+"/bucket/x", http.StatusTemporaryRedirect)
		case found && key != "":
			_, _ = io.WriteString(w, key+r.URL.Query().Get("versionId"))
		default:
			fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>`)
			for _, key := range keys {
				fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(key))
			}
			fmt.Fprint(w, "</ListBucketResult>")
		}
	}))
	s.TLS, s.Config.ErrorLog = authority.Asking("localhost"), log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	certPEM, keyPEM := authority.Client("joe", -time.Hour, time.Hour)
	files = map[string]string{}
	for name, data := range map[string][]byte{"ca": authority.PEM(), "cert": certPEM, "key": keyPEM} {
		files[name] = filepath.Join(t.TempDir(), name)
		check(t, os.WriteFile(files[name], data, 0o600))
	}
	return s.URL, files
}

// TestS3TrustsWhomWeTrust: --ca-file and --client-cert hold for an object store.
func TestS3TrustsWhomWeTrust(t *testing.T) {
	base, files := s3Server(t, "t/a.yaml", "t/", "t/b/b.yaml")
	as := func(id transfer.Identity) func(*fetch.Config) {
		trust, err := id.TLS(t.Context())
		check(t, err)
		return func(cfg *fetch.Config) { cfg.TLS, cfg.Identity, cfg.Retry.Limit = trust, id, -1 }
	}
	const user = "?aws_access_key_id=id&aws_access_key_secret=topsecret&region=eu-x"
	object, dir := fetch.Request{URL: "s3::" + base + "/bucket/t/a.yaml" + user}, templates("s3::"+base+"/bucket/t"+user)
	known := transfer.Identity{CAFiles: []string{files["ca"]}, CertFile: files["cert"], KeyFile: files["key"]}
	fixed(t, as(known)).want(t, object, []byte("t/a.yaml"))
	fixed(t, as(known)).want(t, fetch.Request{URL: object.URL + "&version=7"}, []byte("t/a.yaml7"))
	fixed(t, as(known)).wantTree(t, dir, map[string]string{"a.yaml": "t/a.yaml", "b/b.yaml": "t/b/b.yaml"})
	fixed(t, as(known)).wantFault(t, fetch.Request{URL: "s3::" + base + "/bucket/away" + user}, fault.Upstream, "307")
	err := fixed(t, as(known)).wantFault(t, fetch.Request{URL: strings.Replace(object.URL, "key_id=id", "key_id=other", 1)}, fault.Upstream, "403", "AccessDenied")
	if !strings.Contains(fault.HintOf(err), "AWS_ACCESS_KEY_ID") {
		t.Error(fault.HintOf(err))
	}
	if strings.Contains(err.Error(), "other") {
		t.Errorf("it quotes what the store says, which has been shown the credentials: %v", err)
	}
	for name, c := range map[string]struct {
		id   transfer.Identity
		hint string
	}{
		"unknown authority": {transfer.Identity{CertFile: files["cert"], KeyFile: files["key"]}, "--ca-file CA.pem"},
		"no certificate":    {transfer.Identity{CAFiles: []string{files["ca"]}}, "--client-cert CERT.pem --client-key KEY.pem"},
	} {
		for kind, req := range map[string]fetch.Request{"object": object, "directory": dir} {
			t.Run(name+", "+kind, func(t *testing.T) {
				err := fixed(t, as(c.id)).wantFault(t, req, fault.Upstream, "tls: ")
				if !strings.Contains(fault.HintOf(err), c.hint) || strings.Contains(err.Error(), "topsecret") {
					t.Errorf("%v\n%s", err, fault.HintOf(err))
				}
			})
		}
	}
	// What the SDK goes by counts as well.
	t.Setenv("AWS_CA_BUNDLE", files["ca"])
	fixed(t, as(transfer.Identity{CertFile: files["cert"], KeyFile: files["key"]})).want(t, object, []byte("t/a.yaml"))
	fixed(t, as(known)).want(t, object, []byte("t/a.yaml"))
	t.Setenv("AWS_CA_BUNDLE", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
	fixed(t, as(known)).want(t, fetch.Request{URL: "s3::" + base + "/bucket/t/a.yaml?region=eu-x"}, []byte("t/a.yaml"))
}

// TestBucketsKeepToTheLimit: what is read at a time is what a tenth of a second has.
func TestBucketsKeepToTheLimit(t *testing.T) {
	u := newUpstream(t, random(2000))
	t.Setenv("STORAGE_EMULATOR_HOST", u.URL)
	for _, raw := range []string{"s3::" + u.URL + "/bucket/x?aws_access_key_id=id&aws_access_key_secret=s", "gcs::https://www.googleapis.com/storage/v1/bucket/x"} {
		f := fixed(t, func(cfg *fetch.Config) { cfg.Limit = transfer.NewLimiter(5000) })
		most, all := 0, 0
		_, err := f.client.Blob(t.Context(), fetch.Request{URL: raw}, fetch.Observer{Received: func(n int) { most, all = max(most, n), all+n }})
		check(t, err)
		if most > 500 || all != 2000 {
			t.Errorf("%s: %d bytes at a time, %d in all", raw, most, all)
		}
	}
}

package fetch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// gcsObject is the object that a URL names. Generation is empty for the newest one.
type gcsObject struct {
	bucket, key string
	generation  string
}

// parseGCS reads a URL as go-getter does (get_gcs.go, parseURL).
func parseGCS(u *url.URL) (p gcsObject, err error) {
	parts := strings.SplitN(u.Path, "/", 5)
	if !strings.HasSuffix(u.Host, ".googleapis.com") || strings.Count(u.Host, ".") != 2 || len(parts) != 5 || parts[3] == "" || parts[4] == "" {
		return p, errors.New("the URL does not have the form of Google Cloud Storage: https://www.googleapis.com/storage/v1/BUCKET/OBJECT")
	}
	p.bucket, p.key = parts[3], parts[4]
	if u.Fragment != "" {
		_, err = strconv.ParseInt(u.Fragment, 10, 64)
		p.generation = u.Fragment
	}
	return p, err
}

// gcsBucket is a bucket of Google Cloud Storage.
type gcsBucket struct {
	gcsObject
	server url.URL
	// tokens is nil if requests need no credentials.
	tokens oauth2.TokenSource
	// project is the project that pays for requests; empty for the account's own.
	project string
}

// scope allows reading only (Cloud Storage documentation, OAuth 2.0 scopes).
const scope = "https://www.googleapis.com/auth/devstorage.read_only"

// openGCS opens the bucket of a URL, with the credentials that go-getter uses (get_gcs.go,
// getClient), or those of Google's tools.
func (c *Client) openGCS(ctx context.Context, u *url.URL) (*objects, error) {
	place, err := parseGCS(u)
	if err != nil {
		return nil, transfer.Permanent(err)
	}
	b := &gcsBucket{gcsObject: place, server: url.URL{Scheme: "https", Host: "storage." + cmp.Or(os.Getenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN"), "googleapis.com")}}
	o := &objects{
		Client: c, bucket: b, store: googleStore, key: place.key, close: func() {},
		http: transfer.NewClient(staying{c.transport}, googleStore, c.cfg.Options),
	}
	if emulator := os.Getenv("STORAGE_EMULATOR_HOST"); emulator != "" {
		scheme, host, found := strings.Cut(emulator, "://")
		if !found {
			scheme, host = "http", emulator
		}
		b.server = url.URL{Scheme: scheme, Host: strings.TrimSuffix(host, "/")}
		return o, nil
	}
	if token, given := os.LookupEnv("GOOGLE_OAUTH_ACCESS_TOKEN"); given {
		b.tokens = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
		return o, nil
	}
	// This client requests tokens, which are small, so one timeout is enough.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: c.transport, Timeout: c.cfg.IdleTimeout})
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return nil, o.noCredentials(err)
	}
	b.tokens = found.TokenSource
	var account struct {
		Project string `json:"quota_project_id"`
	}
	_ = json.Unmarshal(found.JSON, &account) // empty on a machine in Google's cloud
	b.project = cmp.Or(os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT"), account.Project)
	return o, nil
}

func (b *gcsBucket) sign(_ context.Context, req *http.Request) error {
	if b.tokens == nil {
		return nil
	}
	token, err := b.tokens.Token()
	if err != nil {
		return err
	}
	token.SetAuthHeader(req)
	if b.project != "" {
		req.Header.Set("X-Goog-User-Project", b.project)
	}
	return nil
}

func (b *gcsBucket) object(key, version string, _ http.Header) *url.URL {
	q := url.Values{}
	if version = cmp.Or(version, b.generation); version != "" {
		q.Set("generation", version)
	}
	return objectURL(b.server, "/"+b.bucket+"/"+key, q)
}

func (b *gcsBucket) versionOf(h http.Header) string { return h.Get("X-Goog-Generation") }

func (b *gcsBucket) page(after string) *url.URL {
	q := url.Values{"prefix": {b.key}, "fields": {"items/name,nextPageToken"}}
	if after != "" {
		q.Set("pageToken", after)
	}
	return objectURL(b.server, "/storage/v1/b/"+b.bucket+"/o", q)
}

// keys reads a page of objects (Cloud Storage JSON API, Objects: list).
func (b *gcsBucket) keys(page []byte) (keys []string, after string, err error) {
	var list struct {
		Items         []struct{ Name string }
		NextPageToken string
	}
	if err := json.Unmarshal(page, &list); err != nil {
		return nil, "", err
	}
	for _, o := range list.Items {
		keys = append(keys, o.Name)
	}
	return keys, list.NextPageToken, nil
}

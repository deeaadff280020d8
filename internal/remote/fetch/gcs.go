package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"golang.org/x/oauth2"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	apihttp "google.golang.org/api/transport/http"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// gcsGetter is go-getter's extension point, getter.Getter, over Google's SDK.
//
// It stands in for go-getter's own GCSGetter, for the reasons of [s3Getter]. What the
// URL says means the same (get_gcs.go).
type gcsGetter struct{ objectGetter }

// gcsPlace is what a URL names. Generation is 0 for the newest.
type gcsPlace struct {
	bucket, key string
	generation  int64
}

// parseGCS reads a URL as go-getter does (get_gcs.go, parseURL).
func parseGCS(u *url.URL) (p gcsPlace, err error) {
	parts := strings.SplitN(u.Path, "/", 5)
	if !strings.HasSuffix(u.Host, ".googleapis.com") || strings.Count(u.Host, ".") != 2 || len(parts) != 5 || parts[3] == "" || parts[4] == "" {
		return p, errors.New("the URL is not one of Google Cloud Storage: https://www.googleapis.com/storage/v1/BUCKET/OBJECT")
	}
	p.bucket, p.key = parts[3], parts[4]
	if u.Fragment != "" {
		p.generation, err = strconv.ParseInt(u.Fragment, 10, 64)
	}
	return p, err
}

// open reads a URL, and returns a client with the credentials that go-getter takes or
// the SDK finds, over our connections.
func (g *gcsGetter) open(u *url.URL) (gcsPlace, *storage.Client, error) {
	place, err := parseGCS(u)
	if err != nil {
		return place, nil, err
	}
	base := g.fetch.transport
	ctx := context.WithValue(g.client.Ctx, oauth2.HTTPClient, &http.Client{Transport: base}) // for tokens
	options := []option.ClientOption{option.WithScopes(storage.ScopeReadOnly)}
	switch token, given := os.LookupEnv("GOOGLE_OAUTH_ACCESS_TOKEN"); {
	case os.Getenv("STORAGE_EMULATOR_HOST") != "":
		options = append(options, option.WithoutAuthentication())
	case given:
		options = append(options, option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})))
	}
	signed, err := apihttp.NewTransport(ctx, base, options...)
	if err != nil {
		return place, nil, err
	}
	client, err := storage.NewClient(ctx, option.WithHTTPClient(&http.Client{Transport: signed, CheckRedirect: stay}))
	return place, client, err
}

// stay follows no redirect to another host: the transport would show the token there.
func stay(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; len(via) > 10 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// GetFile writes an object to a file.
func (g *gcsGetter) GetFile(dst string, u *url.URL) error {
	place, client, err := g.open(u)
	if err != nil {
		return err
	}
	defer client.Close()
	return g.object(client, place, dst)
}

func (g *gcsGetter) object(client *storage.Client, p gcsPlace, dst string) error {
	o := client.Bucket(p.bucket).Object(p.key)
	if p.generation != 0 {
		o = o.Generation(p.generation)
	}
	r, err := o.NewReader(g.client.Ctx)
	if err != nil {
		return err
	}
	return writeObject(g.client, dst, path.Base(p.key), r.Attrs.Size, r)
}

// Get writes the objects below what a URL names to a directory.
func (g *gcsGetter) Get(dst string, u *url.URL) error {
	g.err = g.get(dst, u)
	return g.err
}

func (g *gcsGetter) get(dst string, u *url.URL) error {
	place, client, err := g.open(u)
	if err != nil {
		return err
	}
	defer client.Close()
	objects := client.Bucket(place.bucket).Objects(g.client.Ctx, &storage.Query{Prefix: place.key})
	for range maxTreeEntries {
		o, err := objects.Next()
		if err == iterator.Done {
			return nil
		}
		if err != nil {
			return err
		}
		to, err := objectFile(place.key, o.Name, dst)
		if err == nil && to != "" {
			err = g.object(client, gcsPlace{bucket: place.bucket, key: o.Name}, to)
		}
		if err != nil {
			return err
		}
	}
	return transfer.Permanent(fmt.Errorf("it has more than %d objects", maxTreeEntries))
}

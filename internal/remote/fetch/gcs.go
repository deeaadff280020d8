package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"golang.org/x/oauth2"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	apihttp "google.golang.org/api/transport/http"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// gcsObject is what a URL names. Generation is 0 for the newest.
type gcsObject struct {
	bucket, key string
	generation  int64
}

// parseGCS reads a URL as go-getter does (get_gcs.go, parseURL).
func parseGCS(u *url.URL) (p gcsObject, err error) {
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

// gcsBucket is a bucket over Google's SDK.
//
// It stands in for go-getter's own GCSGetter, for the reasons of [s3Bucket]. What the
// URL says means the same (get_gcs.go).
type gcsBucket struct {
	gcsObject
	*storage.Client
}

// openGCS finds out what a URL names, with the credentials that go-getter takes or
// the SDK finds, over connections of this program.
func (c *Client) openGCS(ctx context.Context, u *url.URL) (bucket, string, error) {
	place, err := parseGCS(u)
	if err != nil {
		return nil, "", err
	}
	// For tokens, which are small. The client may outlive the watchdog of a request.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: c.transport, Timeout: c.options.IdleTimeout})
	options := []option.ClientOption{option.WithScopes(storage.ScopeReadOnly)}
	switch token, given := os.LookupEnv("GOOGLE_OAUTH_ACCESS_TOKEN"); {
	case os.Getenv("STORAGE_EMULATOR_HOST") != "":
		options = append(options, option.WithoutAuthentication())
	case given:
		options = append(options, option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})))
	}
	signed, err := apihttp.NewTransport(ctx, c.transport, options...)
	if err != nil {
		return nil, "", err
	}
	client, err := storage.NewClient(ctx, option.WithHTTPClient(&http.Client{Transport: signed, CheckRedirect: stay}))
	if err != nil {
		return nil, "", err
	}
	client.SetRetry(storage.WithPolicy(storage.RetryNever)) // [transfer.Retry] does
	return &gcsBucket{place, client}, place.key, nil
}

// stay follows no redirect to another host: the transport would show the token there.
func stay(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; len(via) > 10 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

func (b *gcsBucket) open(ctx context.Context, key string, offset int64, of store.Origin) (*transfer.Part, error) {
	o, generation := b.Bucket(b.bucket).Object(key), b.generation
	if offset > 0 && of.Validator != "" {
		generation, _ = strconv.ParseInt(of.Validator, 10, 64)
	}
	if generation != 0 {
		o = o.Generation(generation)
	}
	r, err := o.NewRangeReader(ctx, offset, -1)
	switch {
	case err != nil && offset > 0 && strings.Contains(err.Error(), "partial request not satisfied"):
		return nil, &transfer.ChangedError{Reason: "the object store cannot send a part of the object"}
	case err != nil:
		return nil, err
	}
	total := r.Attrs.Size
	if r.Attrs.Decompressed || total <= 0 {
		total = -1
	}
	part := &transfer.Part{ReadCloser: r, Start: r.Attrs.StartOffset, End: total, Total: total, Origin: store.Origin{Decoded: r.Attrs.Decompressed, Total: max(total, 0)}}
	if r.Attrs.Generation > 0 {
		part.Origin.Validator = strconv.FormatInt(r.Attrs.Generation, 10)
	}
	if part.Start != offset || of.Total > 0 && offset > 0 && total != of.Total {
		return nil, errors.Join(&transfer.ChangedError{Reason: "the object has changed"}, r.Close())
	}
	return part, nil
}

func (b *gcsBucket) list(ctx context.Context, visit func(key string) error) error {
	objects := b.Bucket(b.bucket).Objects(ctx, &storage.Query{Prefix: b.key})
	for {
		o, err := objects.Next()
		if err == iterator.Done {
			return nil
		}
		if err == nil {
			err = visit(o.Name)
		}
		if err != nil {
			return err
		}
	}
}

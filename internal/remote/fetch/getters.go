package fetch

import (
	"context"
	"errors"
	"net/url"

	"github.com/hashicorp/go-getter"
)

// getters returns go-getter's map of getters for one download.
func (d *download) getters() map[string]getter.Getter {
	web := &streamGetter{get: d.getHTTP}
	return map[string]getter.Getter{
		"http":  web,
		"https": web,
		"file":  &streamGetter{get: d.getFile},
		"s3":    &bucketGetter{Getter: &s3Getter{objectGetter{fetch: d.Client}}, d: d},
		"gcs":   &bucketGetter{Getter: &gcsGetter{objectGetter{fetch: d.Client}}, d: d},
	}
}

// streamGetter is go-getter's extension point, [getter.Getter], over a function
// that writes to a download's partial file.
//
// It stands in for go-getter's own HttpGetter, which asks for a range without
// If-Range and so may join two versions of a file, takes a destination that is
// long enough for complete, tells no status codes, and leaves hashing to a
// second read; and for its FileGetter, which copies without any of it.
type streamGetter struct {
	get func(ctx context.Context, u *url.URL) error
	ctx context.Context
}

// SetClient takes the context, which is go-getter's way to pass it.
func (g *streamGetter) SetClient(c *getter.Client) { g.ctx = c.Ctx }

// ClientMode says that every URL is a file's.
func (g *streamGetter) ClientMode(*url.URL) (getter.ClientMode, error) {
	return getter.ClientModeFile, nil
}

// GetFile gets u; dst is the partial file that the function has open.
func (g *streamGetter) GetFile(_ string, u *url.URL) error { return g.get(g.ctx, u) }

// Get is for directories, which are not downloaded.
func (g *streamGetter) Get(string, *url.URL) error { return errDirectory }

var errDirectory = errors.New("directories are not downloaded")

package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/aws-sdk-go-base/v2/endpoints"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// s3Place is what a URL names. Endpoint is empty for AWS itself.
type s3Place struct{ endpoint, region, bucket, key, version string }

var errNoS3 = errors.New("the URL is not one of S3: https://s3-REGION.amazonaws.com/BUCKET/KEY, https://BUCKET.s3.REGION.amazonaws.com/KEY, or https://HOST/BUCKET/KEY")

// parseS3 reads a URL as go-getter does (get_s3.go, parseUrl).
func parseS3(u *url.URL) (s3Place, error) {
	q := u.Query()
	p := s3Place{version: q.Get("version")}
	for _, partition := range endpoints.DefaultPartitions() {
		if host, found := strings.CutSuffix(u.Host, partition.DNSSuffix()); found {
			return p.ofAWS(strings.Split(host, "."), u.Path)
		}
	}
	p.endpoint, p.region = cmp.Or(u.Scheme, "https")+"://"+u.Host, cmp.Or(q.Get("region"), "us-east-1")
	return p.withPath(u.Path)
}

// ofAWS reads a host of AWS, of which the parts before the domain are given.
func (p s3Place) ofAWS(host []string, path string) (s3Place, error) {
	dashed := func(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "s3-"), "s3") }
	switch len(host) {
	case 2: // s3-REGION.
		p.region = cmp.Or(dashed(host[0]), "us-east-1")
		return p.withPath(path)
	case 3: // BUCKET.s3-REGION.
		p.bucket, p.region = host[0], dashed(host[1])
	case 4: // BUCKET.s3.REGION.
		p.bucket, p.region = host[0], host[2]
	}
	if p.key = strings.TrimPrefix(path, "/"); p.region == "" || p.key == "" {
		return p, errNoS3
	}
	return p, nil
}

// withPath reads a path that begins with the bucket.
func (p s3Place) withPath(path string) (s3Place, error) {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) < 3 || parts[1] == "" || parts[2] == "" {
		return p, errNoS3
	}
	p.bucket, p.key = parts[1], parts[2]
	return p, nil
}

// s3Bucket is a bucket over the AWS SDK.
//
// It stands in for go-getter's own S3Getter, whose client for HTTP is out of reach:
// that trusts nobody but the system's authorities, or those of AWS_CA_BUNDLE, shows
// no certificate, and knows no limit. What the URL says means the same (get_s3.go).
type s3Bucket struct {
	s3Place
	client *s3.Client
	conns  direct
}

// direct sends requests, and follows no redirect: the SDK's client would show the
// token of a session there. The signature is for one host anyway.
type direct struct{ *http.Transport }

func (d direct) Do(req *http.Request) (*http.Response, error) { return d.RoundTrip(req) }

// openS3 finds out what a URL names, and who asks: by the credentials of the URL, or by
// whatever the SDK finds.
func (c *Client) openS3(ctx context.Context, u *url.URL) (bucket, string, error) {
	place, err := parseS3(u)
	if err != nil {
		return nil, "", err
	}
	q := u.Query()
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(c.awsHTTP())}
	if profile := q.Get("aws_profile"); profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	} else {
		options = append(options, config.WithRegion(place.region))
		if q.Has("aws_access_key_id") || q.Has("aws_access_key_secret") || q.Has("aws_access_token") {
			options = append(options, config.WithCredentialsProvider(awscredentials.NewStaticCredentialsProvider(
				q.Get("aws_access_key_id"), q.Get("aws_access_key_secret"), q.Get("aws_access_token"))))
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, "", err
	}
	b := &s3Bucket{s3Place: place, conns: direct{c.transport}}
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // with the authorities of AWS_CA_BUNDLE
		b.conns.Transport = client.GetTransport()
	}
	b.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = b.conns
		o.DisableLogOutputChecksumValidationSkipped = true // it would be on standard error
		if place.endpoint != "" {
			o.UsePathStyle, o.BaseEndpoint = true, aws.String(place.endpoint)
		}
	})
	return b, place.key, nil
}

// awsHTTP returns the SDK's client over connections like those of this program. If AWS_CA_BUNDLE is
// set, the SDK adds its authorities.
func (c *Client) awsHTTP() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		own := c.transport
		t.Proxy, t.DialContext, t.OnProxyConnectResponse = own.Proxy, own.DialContext, own.OnProxyConnectResponse
		if own.TLSClientConfig != nil {
			t.TLSClientConfig = own.TLSClientConfig.Clone()
			if roots := t.TLSClientConfig.RootCAs; roots != nil {
				t.TLSClientConfig.RootCAs = roots.Clone()
			}
		}
	})
}

func (b *s3Bucket) Close() error {
	b.conns.CloseIdleConnections()
	return nil
}

func (b *s3Bucket) open(ctx context.Context, key string, offset int64, of store.Origin) (*transfer.Part, error) {
	in := &s3.GetObjectInput{Bucket: &b.bucket, Key: &key}
	if b.version != "" {
		in.VersionId = &b.version
	}
	var options []func(*s3.Options)
	if offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
		if of.Validator != "" {
			in.IfMatch = &of.Validator
		}
		// A checksum of the whole says nothing of a part.
		options = append(options, func(o *s3.Options) { o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired })
	}
	out, err := b.client.GetObject(ctx, in, options...)
	if err != nil {
		return nil, err
	}
	total := int64(-1)
	if out.ContentLength != nil {
		total = *out.ContentLength
	}
	etag := aws.ToString(out.ETag)
	part := &transfer.Part{ReadCloser: out.Body, End: total, Total: total, Origin: store.Origin{ETag: etag, Total: max(total, 0)}}
	if strings.HasPrefix(etag, `"`) {
		part.Origin.Validator = etag
	}
	reason := ""
	if start, end, size, ok := transfer.ContentRange(http.Header{"Content-Range": {aws.ToString(out.ContentRange)}}); ok {
		part.Start, part.End, part.Total = start, end+1, size
	}
	switch changed := etag != of.ETag; {
	case offset == 0 && part.Start == 0, part.Start == offset && !changed:
	case part.Start == 0 && changed:
		part.Void = "the object has changed"
	case part.Start == 0: // the rest of the same object follows what is there
	case changed:
		reason = "the object has changed"
	default:
		reason = "the object store sends another range than it was asked for"
	}
	if reason != "" {
		return nil, errors.Join(&transfer.ChangedError{Reason: reason}, out.Body.Close())
	}
	return part, nil
}

func (b *s3Bucket) list(ctx context.Context, visit func(key string) error) error {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &b.key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			if err := visit(aws.ToString(o.Key)); err != nil {
				return err
			}
		}
	}
	return nil
}

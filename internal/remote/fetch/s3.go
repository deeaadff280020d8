package fetch

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/logging"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// s3Place is what a URL names. For AWS itself, domain is that of its partition, and
// endpoint is empty.
type s3Place struct{ domain, endpoint, region, bucket, key, version string }

// awsDomains are those of AWS's partitions (botocore/data/partitions.json).
var awsDomains = []string{
	"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov",
}

var errNoS3 = errors.New("the URL is not one of S3: https://s3-REGION.amazonaws.com/BUCKET/KEY, https://BUCKET.s3.REGION.amazonaws.com/KEY, or https://HOST/BUCKET/KEY")

// parseS3 reads a URL as go-getter does (get_s3.go, parseUrl).
func parseS3(u *url.URL) (s3Place, error) {
	q := u.Query()
	p := s3Place{version: q.Get("version")}
	for _, domain := range awsDomains {
		if host, found := strings.CutSuffix(u.Host, domain); found {
			p.domain = domain
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

// s3Bucket is a bucket of AWS, or of a store that speaks as it does.
type s3Bucket struct {
	s3Place
	// server is where the bucket is, or the path of the bucket if it has no host of its own.
	server url.URL
	// credentials find out who asks, and remember it.
	credentials aws.CredentialsProvider
}

// openS3 finds out what a URL names (go-getter get_s3.go), and who asks: by the
// credentials of the URL, or by whatever AWS's SDK finds.
func (c *Client) openS3(ctx context.Context, u *url.URL) (*objects, error) {
	place, err := parseS3(u)
	if err != nil {
		return nil, transfer.Permanent(err)
	}
	q := u.Query()
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(c.awsHTTP()),
		config.WithLogger(logging.Nop{}), // it would write to standard error
	}
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
		return nil, fault.New(fault.Usage, "the configuration of AWS's tools cannot be used: %w", transfer.WithoutURL(err))
	}
	place.region = cmp.Or(cfg.Region, place.region)
	b := &s3Bucket{s3Place: place, credentials: cfg.Credentials}
	if err := b.locate(ctx, cfg); err != nil {
		return nil, err
	}
	transport := c.transport
	if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok { // with the authorities of AWS_CA_BUNDLE
		transport = client.GetTransport()
	}
	return &objects{
		Client: c, bucket: b, store: objectStore, key: place.key, close: transport.CloseIdleConnections,
		http: transfer.NewClient(staying{transport}, objectStore, c.cfg.IdleTimeout),
	}, nil
}

// ownHost has the buckets that may be a part of a host's name, whose certificate is for
// one label (Amazon S3 User Guide, Virtual hosting of general purpose buckets).
var ownHost = lazyregexp.New(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// locate finds out where the bucket is, as AWS's SDK does (service/s3, endpoints.go).
func (b *s3Bucket) locate(ctx context.Context, cfg aws.Config) error {
	endpoint, service := s3Settings(ctx, cfg)
	endpoint = cmp.Or(b.endpoint, endpoint, "https://"+service+"."+b.region+"."+b.domain)
	server, err := url.Parse(endpoint)
	if err != nil || server.Host == "" {
		return fault.New(fault.Usage, "the address of the object store, %q, is not a URL", transfer.Printable(endpoint, 300))
	}
	b.server = url.URL{Scheme: server.Scheme, Host: server.Host, Path: server.Path}
	if b.endpoint == "" && ownHost.MatchString(b.bucket) && net.ParseIP(server.Hostname()) == nil {
		b.server.Host = b.bucket + "." + server.Host
		return nil
	}
	b.server.Path = strings.TrimSuffix(server.Path, "/") + "/" + b.bucket
	return nil
}

// s3Settings reads AWS_ENDPOINT_URL_S3, AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT,
// or a profile's: an endpoint, or how the names of AWS's own begin.
func s3Settings(ctx context.Context, cfg aws.Config) (endpoint, service string) {
	endpoint = aws.ToString(cfg.BaseEndpoint)
	var fips aws.FIPSEndpointState
	var dual aws.DualStackEndpointState
	ignored, _, _ := config.GetIgnoreConfiguredEndpoints(ctx, cfg.ConfigSources)
	// The environment comes before the profile.
	for _, source := range slices.Backward(cfg.ConfigSources) {
		s, ok := source.(interface {
			GetUseFIPSEndpoint(context.Context) (aws.FIPSEndpointState, bool, error)
			GetUseDualStackEndpoint(context.Context) (aws.DualStackEndpointState, bool, error)
			GetServiceBaseEndpoint(ctx context.Context, service string) (string, bool, error)
		})
		if !ok {
			continue
		}
		if value, found, _ := s.GetUseFIPSEndpoint(ctx); found {
			fips = value
		}
		if value, found, _ := s.GetUseDualStackEndpoint(ctx); found {
			dual = value
		}
		if value, found, _ := s.GetServiceBaseEndpoint(ctx, "S3"); found && !ignored {
			endpoint = value
		}
	}
	service = "s3"
	if fips == aws.FIPSEndpointStateEnabled {
		service += "-fips"
	}
	if dual == aws.DualStackEndpointStateEnabled {
		service += ".dualstack"
	}
	return endpoint, service
}

// awsHTTP returns the SDK's client over connections like those of this program. The SDK
// adds the authorities of AWS_CA_BUNDLE.
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

// emptySHA256 is that of a request without a body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (b *s3Bucket) sign(ctx context.Context, req *http.Request) error {
	who, err := b.credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	return v4.NewSigner().SignHTTP(ctx, who, req, emptySHA256, "s3", b.region, time.Now(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // S3 escapes once only
	})
}

func (b *s3Bucket) object(key, version string, h http.Header) *url.URL {
	if version != "" {
		h.Set("If-Match", version)
	}
	q := url.Values{}
	if b.version != "" {
		q.Set("versionId", b.version)
	}
	return objectURL(b.server, "/"+key, q)
}

// versionOf returns a strong entity tag.
func (b *s3Bucket) versionOf(h http.Header) string {
	if etag := h.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	return ""
}

func (b *s3Bucket) page(after string) *url.URL {
	q := url.Values{"list-type": {"2"}, "prefix": {b.key}}
	if after != "" {
		q.Set("continuation-token", after)
	}
	return objectURL(b.server, "/", q)
}

// keys reads a page of ListObjectsV2 (Amazon S3 API Reference).
func (b *s3Bucket) keys(page []byte) (keys []string, after string, err error) {
	var list struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []struct{ Key string }
	}
	if err := xml.Unmarshal(page, &list); err != nil {
		return nil, "", err
	}
	for _, o := range list.Contents {
		keys = append(keys, o.Key)
	}
	if list.IsTruncated && list.NextContinuationToken == "" {
		return nil, "", errors.New("there is no next page")
	}
	return keys, list.NextContinuationToken, nil
}

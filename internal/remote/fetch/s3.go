package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// s3Place is an object or a directory that a URL names. For AWS itself, domain is the partition's
// domain and endpoint is empty.
type s3Place struct{ domain, endpoint, region, bucket, key, version string }

// awsDomains are the domains of AWS's partitions (botocore/data/partitions.json).
var awsDomains = []string{
	"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov",
}

var errNoS3 = errors.New("the URL does not have a form of S3: https://s3-REGION.amazonaws.com/BUCKET/KEY, https://BUCKET.s3.REGION.amazonaws.com/KEY, or https://HOST/BUCKET/KEY")

// regionName matches a valid region. The region becomes a part of the name of the host that gets
// credentials, so a foreign index must not choose it freely.
var regionName = lazyregexp.New(`^[A-Za-z0-9._-]+$`)

var errNoRegion = errors.New("the region in the URL has characters other than letters, digits, dots, hyphens and underscores")

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

// ofAWS reads a URL of AWS itself. Host has the labels before the domain.
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

// s3Bucket is a bucket of AWS, or of another store with S3's API.
type s3Bucket struct {
	s3Place
	// server is the bucket's URL, virtual-hosted or path-style.
	server url.URL
	// credentials gets the credentials.
	credentials func(context.Context) (credentials.Value, error)
}

// openS3 opens the bucket of a URL (go-getter get_s3.go). The credentials come from the URL, or from
// where AWS's tools find them.
func (c *Client) openS3(_ context.Context, u *url.URL) (*objects, error) {
	place, err := parseS3(u)
	if err == nil && !regionName.MatchString(place.region) {
		err = errNoRegion
	}
	if err != nil {
		return nil, transfer.Permanent(err)
	}
	settings, err := readAWSSettings(u.Query().Get("aws_profile"))
	if err != nil {
		return nil, err
	}
	if settings.named {
		place.region = cmp.Or(settings.get("region", "AWS_REGION", "AWS_DEFAULT_REGION"), place.region)
	}
	b := &s3Bucket{s3Place: place}
	if err := b.locate(settings); err != nil {
		return nil, err
	}
	transport, err := c.awsTransport(settings)
	if err != nil {
		return nil, err
	}
	from, issuer := settings.credentialsFor(u.Query(), place.region), c.issuer(transport)
	remembered := credentials.New(from)
	b.credentials = func(ctx context.Context) (credentials.Value, error) { return from.retrieve(ctx, remembered, issuer) }
	return &objects{
		Client: c, bucket: b, store: objectStore, key: place.key,
		close: func() {
			transport.CloseIdleConnections()
			issuer.CloseIdleConnections()
		},
		http: transfer.NewClient(staying{transport}, objectStore, c.cfg.Options),
	}, nil
}

// ownHost matches the buckets that can be a label of a host name. A bucket with dots cannot: the
// certificate is for one label (Amazon S3 User Guide, Virtual hosting of general purpose buckets).
var ownHost = lazyregexp.New(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

// locate sets the bucket's URL as AWS's SDK does (service/s3, endpoints.go).
func (b *s3Bucket) locate(settings awsSettings) error {
	service := "s3"
	if settings.is("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT") {
		service += "-fips"
	}
	if settings.is("use_dualstack_endpoint", "AWS_USE_DUALSTACK_ENDPOINT") {
		service += ".dualstack"
	}
	endpoint := cmp.Or(b.endpoint, "https://"+service+"."+b.region+"."+b.domain)
	if b.endpoint == "" && !settings.is("ignore_configured_endpoint_urls", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
		endpoint = cmp.Or(settings.get("endpoint_url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), endpoint)
	}
	server, err := url.Parse(endpoint)
	if err != nil || server.Host == "" {
		return fault.New(fault.Usage, "the object store's address %q is not a URL", transfer.Printable(endpoint, 300))
	}
	b.server = url.URL{Scheme: server.Scheme, Host: server.Host, Path: server.Path}
	if b.endpoint == "" && ownHost.MatchString(b.bucket) && net.ParseIP(server.Hostname()) == nil {
		b.server.Host = b.bucket + "." + server.Host
		return nil
	}
	b.server.Path = strings.TrimSuffix(server.Path, "/") + "/" + b.bucket
	return nil
}

// awsTransport returns this program's transport with the CAs of AWS_CA_BUNDLE. They replace the
// system's, as with AWS's tools.
func (c *Client) awsTransport(settings awsSettings) (*http.Transport, error) {
	t := c.transport.Clone()
	file := settings.get("ca_bundle", "AWS_CA_BUNDLE")
	if file == "" {
		return t, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the certificates in AWS_CA_BUNDLE: %w", err)
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	roots := x509.NewCertPool()
	if own := t.TLSClientConfig.RootCAs; own != nil {
		roots = own.Clone()
	}
	if !roots.AppendCertsFromPEM(data) {
		return nil, fault.New(fault.Usage, "reading the certificates in AWS_CA_BUNDLE: %s has no certificate in PEM", file)
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

// emptySHA256 is the sha256 of an empty request body.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (b *s3Bucket) sign(ctx context.Context, req *http.Request) error {
	who, err := b.credentials(ctx)
	if err != nil {
		return err
	}
	req.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	signer.SignV4(*req, who.AccessKeyID, who.SecretAccessKey, who.SessionToken, b.region) // changes req.Header
	return nil
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

// versionOf returns a strong entity tag, or "".
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

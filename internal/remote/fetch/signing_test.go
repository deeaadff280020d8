package fetch

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tlstest"
)

// noAWS has a test find no settings of AWS's tools but its own.
func noAWS(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			must(t, os.Unsetenv(name))
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
	return home
}

// TestS3Signature has the examples of the Amazon S3 API Reference (Authenticating Requests: Using
// the Authorization Header, Signature Calculation).
func TestS3Signature(t *testing.T) {
	t.Parallel()
	for _, example := range []struct {
		url, byteRange, headers, signature string
	}{
		{"https://examplebucket.s3.amazonaws.com/test.txt", "bytes=0-9", "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"https://examplebucket.s3.amazonaws.com/?lifecycle", "", "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "", "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)))
			req, err := http.NewRequest(http.MethodGet, example.url, nil)
			must(t, err)
			if example.byteRange != "" {
				req.Header.Set("Range", example.byteRange)
			}
			b := &s3Bucket{s3Place: s3Place{region: "us-east-1"}}
			b.credentials = func(context.Context) (credentials.Value, error) {
				return credentials.Value{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, nil
			}
			must(t, b.sign(t.Context(), req))
			want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=" + example.headers + ", Signature=" + example.signature
			if got := req.Header.Get("Authorization"); got != want {
				t.Errorf("%s:\n%s, want\n%s", example.url, got, want)
			}
		})
	}
}

// signedBy returns the key id that signed a request as it came, with a secret that is "secret"; or
// empty. It follows the documentation of AWS, not its library.
func signedBy(r *http.Request) string {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	fields := strings.Split(rest, ", ")
	if !ok || len(fields) != 3 {
		return ""
	}
	scope := strings.Split(fields[0], "/")
	names, signature := strings.TrimPrefix(fields[1], "SignedHeaders="), strings.TrimPrefix(fields[2], "Signature=")
	path, query, _ := strings.Cut(r.RequestURI, "?")
	parameters := strings.Split(query, "&")
	slices.Sort(parameters)
	canonical := r.Method + "\n" + path + "\n" + strings.Join(parameters, "&") + "\n"
	for name := range strings.SplitSeq(names, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + names + "\n" + r.Header.Get("X-Amz-Content-Sha256")
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4secret")
	for _, part := range append(scope[1:], strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != signature {
		return ""
	}
	return scope[0]
}

// newClient returns a client with a store.
func newClient(t *testing.T) *Client {
	t.Helper()
	blobs, err := store.Open(t.TempDir())
	must(t, err)
	c := New(Config{Store: blobs, Options: transfer.Options{Retry: transfer.Retry{Limit: -1}}})
	t.Cleanup(func() {
		c.Close()
		_ = blobs.Close()
	})
	return c
}

// read downloads what is small.
func read(t *testing.T, c *Client, raw string) (string, error) {
	t.Helper()
	r, err := c.Blob(t.Context(), Request{URL: raw}, Observer{})
	if err != nil {
		return "", err
	}
	data, err := c.cfg.Store.ReadAll(r.SHA256, 1000)
	must(t, err)
	return string(data), nil
}

// oddKeys are keys that mean something else in a path or a query.
var oddKeys = []string{"a b", "a+b", "a%20b", "a%2Fb", "a/b//c", "ä/ö", "a=b&c", "(a)*!'~", "a:b@c,d;e$", "a[b]", "a|b^c`d\"e", "a\\b"}

// TestOddKeys: a key is asked for as it is, and what is signed is what is sent.
func TestOddKeys(t *testing.T) {
	noAWS(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" && signedBy(r) != "id" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, strings.TrimPrefix(r.URL.Path, "/bucket/"))
	}))
	defer s.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", s.URL)
	c := newClient(t)
	for _, key := range oddKeys {
		escaped := (&url.URL{Path: key}).EscapedPath()
		for _, raw := range []string{
			"s3::" + s.URL + "/bucket/x/" + escaped + "?aws_access_key_id=id&aws_access_key_secret=secret",
			"gcs::https://www.googleapis.com/storage/v1/bucket/x/" + escaped,
		} {
			if strings.Contains(key, "//") {
				continue // go-getter takes it for a sub-directory; a list may have it
			}
			if got, err := read(t, c, raw); err != nil || got != "x/"+key {
				t.Errorf("%s: %q, %v", raw, got, err)
			}
		}
	}
	for _, getter := range []string{"s3", "gcs"} {
		u := map[string]string{"s3": s.URL + "/bucket/x?aws_access_key_id=id&aws_access_key_secret=secret", "gcs": "https://www.googleapis.com/storage/v1/bucket/x"}[getter]
		at, err := url.Parse(u)
		must(t, err)
		o, err := c.openObjects(t.Context(), getter, at)
		must(t, err)
		for _, key := range oddKeys {
			part, err := objectSource{o, key, ""}.Open(t.Context(), 0, store.Origin{})
			if err != nil {
				t.Errorf("%s, %s: %v", getter, key, err)
				continue
			}
			data, err := io.ReadAll(part)
			if err != nil || string(data) != key {
				t.Errorf("%s, %s: %q, %v", getter, key, data, err)
			}
			part.Close()
		}
		o.close()
	}
}

// TestS3Endpoints: what is asked for the forms of a URL and the settings of AWS's tools.
func TestS3Endpoints(t *testing.T) {
	const settings = "[profile eu]\nregion = eu-central-1\nuse_fips_endpoint = True\n[profile own]\nregion = x\nendpoint_url = https://gw.example.com/s3/\n" +
		"[profile parts]\nregion = x\nservices = of\nendpoint_url = https://other.example.com\n[services of]\ns3 =\n  endpoint_url = https://s3.example.com\nsts =\n  endpoint_url = https://sts.example.com\n"
	c := newClient(t)
	for name, test := range map[string]struct{ url, env, want string }{
		"path":                {url: "https://s3.amazonaws.com/b-1/k/x", want: "https://b-1.s3.us-east-1.amazonaws.com/k/x"},
		"path with region":    {url: "https://s3-eu-west-1.amazonaws.com/b-1/k", want: "https://b-1.s3.eu-west-1.amazonaws.com/k"},
		"host with dash":      {url: "https://b-1.s3-eu-west-1.amazonaws.com/k", want: "https://b-1.s3.eu-west-1.amazonaws.com/k"},
		"host":                {url: "https://b-1.s3.eu-west-1.amazonaws.com/k?version=7", want: "https://b-1.s3.eu-west-1.amazonaws.com/k?versionId=7"},
		"China":               {url: "https://s3-cn-north-1.amazonaws.com.cn/b-1/k", want: "https://b-1.s3.cn-north-1.amazonaws.com.cn/k"},
		"dots in the name":    {url: "https://s3-eu-west-1.amazonaws.com/b.example.com/k", want: "https://s3.eu-west-1.amazonaws.com/b.example.com/k"},
		"capitals":            {url: "https://s3-eu-west-1.amazonaws.com/Bucket/k", want: "https://s3.eu-west-1.amazonaws.com/Bucket/k"},
		"another store":       {url: "http://minio:9000/b-1/k?region=x", want: "http://minio:9000/b-1/k"},
		"dualstack by name":   {url: "https://s3.dualstack.eu-west-1.amazonaws.com/b-1/k", want: "https://s3.eu-west-1.amazonaws.com/s3/b-1/k"}, // go-getter takes s3 for the bucket
		"dual stack":          {url: "https://s3-eu-west-1.amazonaws.com/b-1/k", env: "AWS_USE_DUALSTACK_ENDPOINT=TRUE", want: "https://b-1.s3.dualstack.eu-west-1.amazonaws.com/k"},
		"FIPS":                {url: "https://s3-us-gov-west-1.amazonaws.com/b-1/k", env: "AWS_USE_FIPS_ENDPOINT=true", want: "https://b-1.s3-fips.us-gov-west-1.amazonaws.com/k"},
		"an endpoint":         {url: "https://s3.amazonaws.com/b-1/k", env: "AWS_ENDPOINT_URL=http://gw.example.com:9000", want: "http://b-1.gw.example.com:9000/k"},
		"an endpoint of S3":   {url: "https://s3.amazonaws.com/b-1/k", env: "AWS_ENDPOINT_URL_S3=http://10.0.0.1:9000/x", want: "http://10.0.0.1:9000/x/b-1/k"},
		"not another's":       {url: "http://minio:9000/b-1/k", env: "AWS_ENDPOINT_URL_S3=http://10.0.0.1:9000", want: "http://minio:9000/b-1/k"},
		"of a profile":        {url: "https://s3-eu-west-1.amazonaws.com/b-1/k?aws_profile=eu", want: "https://b-1.s3-fips.eu-central-1.amazonaws.com/k"},
		"a profile's own":     {url: "https://s3.amazonaws.com/B/k?aws_profile=own", want: "https://gw.example.com/s3/B/k"},
		"a service's":         {url: "https://s3.amazonaws.com/B/k?aws_profile=parts", want: "https://s3.example.com/B/k"},
		"environment first":   {url: "https://s3.amazonaws.com/b-1/k?aws_profile=eu", env: "AWS_USE_FIPS_ENDPOINT=false", want: "https://b-1.s3.eu-central-1.amazonaws.com/k"},
		"a profile's, unused": {url: "https://s3.amazonaws.com/B/k?aws_profile=own", env: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", want: "https://s3.x.amazonaws.com/B/k"},
		"no such profile":     {url: "https://s3.amazonaws.com/B/k?aws_profile=none", want: ""},
		"no endpoint":         {url: "https://s3.amazonaws.com/B/k", env: "AWS_ENDPOINT_URL_S3=gw", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(noAWS(t), "config"), []byte(settings), 0o600))
			if name, value, found := strings.Cut(test.env, "="); found {
				t.Setenv(name, value)
			}
			u, err := url.Parse(test.url)
			must(t, err)
			o, err := c.openS3(t.Context(), u)
			if test.want == "" {
				if fault.KindOf(err) != fault.Usage {
					t.Errorf("%v", err)
				}
				return
			}
			must(t, err)
			if got := o.object(o.key, "", http.Header{}).String(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			object, _, _ := strings.Cut(test.want, "?")
			prefix := "?list-type=2&prefix=" + url.QueryEscape(o.key)
			if got, want := o.page("").String(), strings.TrimSuffix(object, o.key)+prefix; got != want {
				t.Errorf("the list is %s, want %s", got, want)
			}
		})
	}
}

// TestBrokenAWSFile: the line that cannot be read may be a secret.
func TestBrokenAWSFile(t *testing.T) {
	must(t, os.WriteFile(filepath.Join(noAWS(t), "credentials"), []byte("[default]\naws_secret_access_key topsecret\n"), 0o600))
	_, err := read(t, newClient(t), "s3::https://s3.amazonaws.com/b/k")
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "credentials: a line is neither") || strings.Contains(err.Error(), "topsecret") {
		t.Error(err)
	}
}

// TestStuckProcess: a command of a profile does not outlive who waits for it.
func TestStuckProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := (&processCredentials{command: "exec sleep 100"}).RetrieveWithCredContext(&credentials.CredContext{Context: ctx}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Error(err)
	}
}

// TestNoHome: the working directory may hold the files of anybody.
func TestNoHome(t *testing.T) {
	dir := noAWS(t)
	must(t, os.Mkdir(filepath.Join(dir, ".aws"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, ".aws", "config"), []byte("[default]\nendpoint_url = https://evil.example.com\n"), 0o600))
	t.Chdir(dir)
	for _, name := range []string{"HOME", "USERPROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "")
	}
	if settings, err := readAWSSettings(""); err != nil || settings.keys != nil {
		t.Errorf("%v, %v", settings.keys, err)
	}
}

// TestTokensStay: what proves who asks for credentials goes to no host that an index or
// an answer names, nor to another machine without TLS.
func TestTokensStay(t *testing.T) {
	const another = "192.0.2.1:80"
	refuse := func(t *testing.T, url string) {
		c := newClient(t)
		c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(addr); host != "127.0.0.1" {
				t.Errorf("%s is asked", addr)
				return nil, errors.New("asked")
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		if _, err := read(t, c, url); err == nil || strings.Contains(err.Error(), "identity") {
			t.Error(err)
		}
	}
	identity := func(t *testing.T) string {
		file := filepath.Join(noAWS(t), "token")
		must(t, os.WriteFile(file, []byte("identity"), 0o600))
		return file
	}
	t.Run("region", func(t *testing.T) {
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", identity(t))
		refuse(t, "s3::https://127.0.0.1:1/bucket/x?region=evil.example.com/%23")
	})
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := httptest.NewServer(http.RedirectHandler("http://"+another, status))
			defer s.Close()
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", identity(t))
			t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
			refuse(t, "s3::https://127.0.0.1:1/bucket/x")
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", identity(t))
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"+another+"/x")
		refuse(t, "s3::https://127.0.0.1:1/bucket/x")
	})
}

// TestListsGoOn: a list may have several pages.
func TestListsGoOn(t *testing.T) {
	noAWS(t)
	pages := map[string][2]string{
		"":       {`<IsTruncated>true</IsTruncated><NextContinuationToken>a/+= b</NextContinuationToken><Contents><Key>x/1</Key></Contents>`, `{"items": [{"name": "x/1"}], "nextPageToken": "a/+= b"}`},
		"a/+= b": {`<IsTruncated>true</IsTruncated><NextContinuationToken>c</NextContinuationToken>`, `{"nextPageToken": "c"}`},
		"c":      {`<Contents><Key>x/&lt;2&gt; &amp;</Key></Contents><Contents><Key>x/3</Key></Contents>`, `{"items": [{"name": "x/<2> &"}, {"name": "x/3"}]}`},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		page, found := pages[cmp.Or(q.Get("continuation-token"), q.Get("pageToken"))]
		switch {
		case !found || q.Get("prefix") != "x":
			w.WriteHeader(http.StatusBadRequest)
		case r.Header.Get("Authorization") == "":
			_, _ = io.WriteString(w, page[1])
		case signedBy(r) != "id":
			w.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprintf(w, `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</ListBucketResult>`, page[0])
		}
	}))
	defer s.Close()
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(s.URL, "http://"))
	c := newClient(t)
	list := func(getter, raw string) ([]string, error) {
		u, err := url.Parse(raw)
		must(t, err)
		o, err := c.openObjects(t.Context(), getter, u)
		must(t, err)
		defer o.close()
		return o.list(t.Context())
	}
	both := map[string]string{"s3": s.URL + "/bucket/x?aws_access_key_id=id&aws_access_key_secret=secret", "gcs": "https://www.googleapis.com/storage/v1/bucket/x"}
	for getter, u := range both {
		if keys, err := list(getter, u); err != nil || !slices.Equal(keys, []string{"x/1", "x/<2> &", "x/3"}) {
			t.Errorf("%s: %q, %v", getter, keys, err)
		}
	}
	for what, page := range map[string][2]string{
		"never ends":    {`<IsTruncated>true</IsTruncated><NextContinuationToken>c</NextContinuationToken>`, `{"nextPageToken": "c"}`},
		"no next page":  {`<IsTruncated>true</IsTruncated>`, `[]`},
		"no list":       {`<x>`, `<html>`},
		"all too large": {strings.Repeat(" ", maxPage), `"` + strings.Repeat(" ", maxPage) + `"`},
	} {
		pages["c"] = page
		for getter, u := range both {
			if keys, err := list(getter, u); err == nil || transfer.Transient(err, 1) {
				t.Errorf("%s, %s: %q, %v", getter, what, keys, err)
			}
		}
	}
}

// TestAnotherRegion: the refusal says where the bucket is.
func TestAnotherRegion(t *testing.T) {
	noAWS(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
		w.WriteHeader(http.StatusMovedPermanently)
		_, _ = io.WriteString(w, "<Error><Code>PermanentRedirect</Code><Message>nobody's</Message></Error>")
	}))
	defer s.Close()
	_, err := read(t, newClient(t), "s3::"+s.URL+"/bucket/x?aws_access_key_id=id&aws_access_key_secret=secret")
	if err == nil || !strings.Contains(err.Error(), "301 Moved Permanently (PermanentRedirect, the bucket is in eu-west-1)") || !strings.Contains(fault.HintOf(err), "https://s3-REGION.amazonaws.com/") || strings.Contains(err.Error(), "nobody's") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
}

// authorities gives out credentials as AWS's services do, each with a key id of its own.
func authorities(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		must := r.ParseForm()
		action := r.PostForm.Get("Action")
		if must != nil || action != "AssumeRole" && action != "AssumeRoleWithWebIdentity" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>%[1]s</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action)
		return
	}
	keys := func(id string) map[string]any {
		return map[string]any{"Code": "Success", "AccessKeyId": id, "SecretAccessKey": "secret", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
	}
	switch r.URL.Path {
	case "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "100")
		_, _ = io.WriteString(w, "imds")
	case "/latest/meta-data/iam/security-credentials/":
		_, _ = io.WriteString(w, "role")
	case "/latest/meta-data/iam/security-credentials/role":
		_ = json.NewEncoder(w).Encode(keys("instance"))
	case "/container":
		_ = json.NewEncoder(w).Encode(keys("container" + r.Header.Get("Authorization")))
	case "/federation/credentials":
		_ = json.NewEncoder(w).Encode(map[string]any{"roleCredentials": map[string]any{"accessKeyId": "sso", "secretAccessKey": "secret", "sessionToken": "t", "expiration": 4070908800000}})
	default:
		http.NotFound(w, r)
	}
}

// TestS3Credentials has where AWS's tools find credentials, but for the URL: see
// TestS3TrustsWhomWeTrust.
func TestS3Credentials(t *testing.T) {
	from := httptest.NewServer(http.HandlerFunc(authorities))
	defer from.Close()
	const portal = "portal.sso.x.amazonaws.com"
	authority := tlstest.NewAuthority("Amazon")
	sso := httptest.NewUnstartedServer(http.HandlerFunc(authorities))
	sso.TLS = authority.Server(portal)
	sso.StartTLS()
	defer sso.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who := signedBy(r); who != "" {
			_, _ = io.WriteString(w, who+strings.TrimPrefix(r.URL.Path, "/bucket/x"))
			return
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer s.Close()
	keys := "aws_access_key_id = %s\naws_secret_access_key = secret\n"
	for name, test := range map[string]struct {
		env                        []string
		config, credentials, query string
		want, hint                 string
	}{
		"environment":             {env: []string{"AWS_ACCESS_KEY_ID=env", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=t"}, want: "env"},
		"credentials file":        {credentials: "[default]\n" + fmt.Sprintf(keys, "file"), want: "file"},
		"configuration file":      {config: "[default]\n" + fmt.Sprintf(keys, "configured"), want: "configured"},
		"a profile by name":       {env: []string{"AWS_PROFILE=p"}, credentials: "[default]\n" + fmt.Sprintf(keys, "file") + "[p]\n" + fmt.Sprintf(keys, "named"), want: "named"},
		"a profile of the URL":    {query: "?aws_profile=p", credentials: "[p]\n" + fmt.Sprintf(keys, "profile"), want: "profile"},
		"a role of a profile":     {config: "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = p\n", credentials: "[p]\n" + fmt.Sprintf(keys, "source"), hint: `eval "$(aws configure export-credentials --profile default --format env)"`},
		"web identity":            {env: []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/r"}, want: "AssumeRoleWithWebIdentity"},
		"a container":             {env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + from.URL + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN=-with-token"}, want: "container-with-token"},
		"a pod":                   {env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + from.URL + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=HOME/token"}, want: "container-identity"},
		"an instance":             {env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + from.URL}, want: "instance"},
		"a process":               {config: "[default]\ncredential_process = cat HOME/process\n", want: "process"},
		"a process of a shell":    {config: "[default]\ncredential_process = cat \"HOME/process\"; true\n", want: "process"},
		"a process that fails":    {config: "[default]\ncredential_process = echo identity >&2; false\n", hint: "--profile default --format env"},
		"a process without keys":  {config: "[default]\ncredential_process = echo '{\"Version\": 1, \"identity\": 1}'\n", hint: "--profile default --format env"},
		"SSO":                     {config: "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n[sso-session s]\nsso_region = x\nsso_start_url = https://sso\n", want: "sso"},
		"SSO that is not begun":   {env: []string{"AWS_PROFILE=q"}, config: "[profile q]\nsso_start_url = https://sso\nsso_account_id = 1\nsso_role_name = r\nsso_region = x\n", hint: "--profile q --format env"},
		"half a profile":          {config: "[default]\naws_access_key_id = id\n", hint: "--profile default --format env"},
		"a role with keys":        {config: "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n" + fmt.Sprintf(keys, "source"), hint: "--profile default --format env"},
		"half of the URL":         {env: []string{"AWS_ACCESS_KEY_ID=env", "AWS_SECRET_ACCESS_KEY=secret"}, query: "?aws_access_key_id=id"},
		"none":                    {env: []string{"AWS_EC2_METADATA_DISABLED=true"}},
		"none, and no instance":   {env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + s.URL}},
		"a role that is not ours": {env: []string{"AWS_ENDPOINT_URL_STS=" + s.URL, "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/r"}},
	} {
		t.Run(name, func(t *testing.T) {
			home := noAWS(t)
			cached := sha1.Sum([]byte("s"))
			for path, text := range map[string]string{
				"config": test.config, "credentials": test.credentials, "token": "-identity",
				"process": `{"Version": 1, "AccessKeyId": "process", "SecretAccessKey": "secret"}`,
				filepath.Join(".aws", "sso", "cache", hex.EncodeToString(cached[:])+".json"): `{"accessToken": "a", "expiresAt": "2099-01-01T00:00:00Z"}`,
			} {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, path)), 0o700))
				must(t, os.WriteFile(filepath.Join(home, path), []byte(strings.ReplaceAll(text, "HOME", home)), 0o600))
			}
			for _, v := range append([]string{"AWS_ENDPOINT_URL_STS=" + from.URL}, test.env...) {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, strings.ReplaceAll(value, "HOME", home))
			}
			t.Setenv("HOME", home)
			c := newClient(t)
			c.transport.TLSClientConfig = &tls.Config{RootCAs: authority.Pool()}
			c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == portal+":443" {
					addr = sso.Listener.Addr().String()
				}
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}
			got, err := read(t, c, "s3::"+s.URL+"/bucket/x"+test.query)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
			if !strings.Contains(fault.HintOf(err), test.hint) {
				t.Errorf("%s", fault.HintOf(err))
			}
			if err != nil && (!strings.Contains(fault.HintOf(err), "AWS_ACCESS_KEY_ID") || fault.KindOf(err) != fault.Upstream || strings.Contains(err.Error(), "identity")) {
				t.Errorf("%v; %s", err, fault.HintOf(err))
			}
		})
	}
}

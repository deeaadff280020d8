package fetch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"gopkg.in/ini.v1"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// awsSettings has the settings of AWS's tools, from the environment and from one profile (AWS SDKs
// and Tools Reference Guide, Settings reference).
type awsSettings struct {
	// profile is the name of the profile.
	profile string
	// named reports whether a URL names the profile.
	named bool
	// keys has the profile's settings; nil if there is no such profile.
	keys map[string]string
}

// readAWSSettings reads the named profile, or that of AWS_PROFILE, or the default one.
func readAWSSettings(named string) (awsSettings, error) {
	s := awsSettings{profile: cmp.Or(named, os.Getenv("AWS_PROFILE"), "default"), named: named != ""}
	home, _ := os.UserHomeDir()
	section := "profile " + s.profile
	if s.profile == "default" {
		section = s.profile
	}
	// The second file wins over the first.
	for _, file := range []struct{ path, name, section string }{
		{os.Getenv("AWS_CONFIG_FILE"), "config", section},
		{os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), "credentials", s.profile},
	} {
		if file.path == "" && home == "" {
			continue // never read a file in the working directory: it may be another user's
		}
		file.path = cmp.Or(file.path, filepath.Join(home, ".aws", file.name))
		parsed, err := ini.LoadSources(ini.LoadOptions{Loose: true, AllowNestedValues: true, SpaceBeforeInlineComment: true}, file.path)
		if err != nil {
			if !transfer.Is[*fs.PathError](err) {
				err = errors.New("a line is neither [PROFILE] nor KEY = VALUE") // ini's error quotes the line, which may be a secret
			}
			return s, fault.New(fault.Usage, "reading the configuration of AWS's tools in %s: %w", file.path, err)
		}
		if !parsed.HasSection(file.section) {
			continue
		}
		if s.keys == nil {
			s.keys = map[string]string{}
		}
		for key, value := range parsed.Section(file.section).KeysHash() {
			s.keys[key] = value
		}
		for _, nested := range parsed.Section("services " + s.keys["services"]).Key("s3").NestedValues() {
			if key, value, _ := strings.Cut(nested, "="); strings.TrimSpace(key) == "endpoint_url" {
				s.keys["endpoint_url"] = strings.TrimSpace(value)
			}
		}
	}
	if s.named && s.keys == nil {
		return s, fault.New(fault.Usage, "the URL names the profile %q, which the configuration of AWS's tools does not have", transfer.Printable(named, 100)).
			WithHint("list the profiles: aws configure list-profiles")
	}
	return s, nil
}

// get returns the value of the first variable that is set, or else of a key of the profile.
func (s awsSettings) get(key string, variables ...string) string {
	for _, name := range variables {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return s.keys[key]
}

// is reports whether a variable is "true", or a key of the profile if the variable is not set.
func (s awsSettings) is(key, variable string) bool {
	return strings.EqualFold(s.get(key, variable), "true")
}

// awsCredentials gets credentials from one source.
type awsCredentials struct {
	credentials.Provider
	// profile is the profile for hints, or empty.
	profile string
	// role is true if the profile's credentials are for assuming a role.
	role bool
	// last is true if the source is EC2's metadata service, the last one that is tried. On other
	// machines, its address does not exist.
	last bool
}

// credentialsFor returns the source of credentials: the URL, or else what AWS's tools would use.
func (s awsSettings) credentialsFor(q url.Values, region string) (c awsCredentials) {
	container := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != ""
	switch {
	case !s.named && (q.Has("aws_access_key_id") || q.Has("aws_access_key_secret") || q.Has("aws_access_token")):
		c.Provider = &credentials.Static{Value: credentials.Value{
			AccessKeyID: q.Get("aws_access_key_id"), SecretAccessKey: q.Get("aws_access_key_secret"), SessionToken: q.Get("aws_access_token"),
		}}
	case !s.named && os.Getenv("AWS_ACCESS_KEY_ID") != "" && os.Getenv("AWS_SECRET_ACCESS_KEY") != "":
		c.Provider = &credentials.EnvAWS{}
	case !s.named && os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		c.Provider = &credentials.IAM{Endpoint: os.Getenv("AWS_ENDPOINT_URL_STS"), Region: region}
	case s.named || s.hasCredentials():
		c.Provider, c.profile = &credentials.FileAWSCredentials{Profile: s.profile}, s.profile
		if command := s.keys["credential_process"]; command != "" && cmp.Or(s.keys["aws_access_key_id"], s.keys["aws_secret_access_key"], s.keys["sso_role_name"]) == "" {
			c.Provider = &processCredentials{command: command}
		}
		c.role = s.keys["role_arn"] != "" && cmp.Or(s.keys["source_profile"], s.keys["credential_source"]) != ""
	case container:
		c.Provider = &credentials.IAM{}
	case strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true"):
		c.Provider, c.last = &credentials.Static{}, true
	default:
		c.Provider, c.last = &credentials.IAM{Endpoint: os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")}, true
	}
	return c
}

// hasCredentials reports whether the profile has credentials or says where they are.
func (s awsSettings) hasCredentials() bool {
	for _, key := range []string{"aws_access_key_id", "aws_secret_access_key", "credential_process", "sso_session", "sso_start_url", "role_arn", "login_session"} {
		if s.keys[key] != "" {
			return true
		}
	}
	return false
}

// processCredentials runs a profile's credential_process (AWS SDKs and Tools Reference Guide, Process
// credential provider). It runs in a shell, as with AWS's tools; minio-go would split it at blanks.
type processCredentials struct {
	credentials.Expiry
	command string
}

func (p *processCredentials) Retrieve() (credentials.Value, error) {
	return p.RetrieveWithCredContext(&credentials.CredContext{Context: context.Background()})
}

func (p *processCredentials) RetrieveWithCredContext(c *credentials.CredContext) (who credentials.Value, err error) {
	shell, option := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, option = "cmd.exe", "/C"
	}
	process := exec.CommandContext(c.Context, shell, option, p.command)
	process.WaitDelay = time.Second // its children may keep the pipe open
	out, err := process.Output()
	if c.Context.Err() != nil {
		return who, errors.New("credential_process did not end in time")
	}
	if err != nil {
		return who, fmt.Errorf("credential_process: %w", err)
	}
	var answer struct {
		Version                                    int
		AccessKeyID, SecretAccessKey, SessionToken string
		Expiration                                 time.Time
	}
	if json.Unmarshal(out, &answer) != nil || answer.Version != 1 {
		return who, errors.New("credential_process printed no JSON with credentials of version 1")
	}
	if answer.Expiration.IsZero() {
		answer.Expiration = time.Now().AddDate(1, 0, 0)
	}
	p.SetExpiration(answer.Expiration, credentials.DefaultExpiryWindow)
	return credentials.Value{AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.SecretAccessKey, SessionToken: answer.SessionToken}, nil
}

// metadataTimeout is how long EC2's metadata service may take to answer. It is on the machine's own
// host, or does not exist.
const metadataTimeout = 5 * time.Second

// credentialsIssuer is a transport to the service that issues credentials.
type credentialsIssuer struct {
	*http.Transport
	// status is the HTTP status of the last answer, or 0.
	status int
}

// maxCredentials is how many bytes of an answer with credentials are read at most.
const maxCredentials = 1 << 20

func (i *credentialsIssuer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && req.Header.Get("Authorization") != "" && !isNear(req.Context(), req.URL.Hostname()) {
		return nil, errors.New("the token for AWS_CONTAINER_CREDENTIALS_FULL_URI would go to another machine unencrypted")
	}
	resp, err := i.Transport.RoundTrip(req)
	i.status = 0
	if err == nil {
		i.status = resp.StatusCode
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxCredentials), resp.Body}
	}
	return resp, err
}

// metadataPrefix has the IPv6 addresses of AWS's services for a machine (Amazon EC2 User Guide,
// Instance metadata; Amazon EKS User Guide, EKS Pod Identity).
var metadataPrefix = netip.MustParsePrefix("fd00:ec2::/32")

// near reports whether an address belongs to this machine or to its host.
func near(ip netip.Addr) bool {
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || metadataPrefix.Contains(ip)
}

func isNear(ctx context.Context, host string) bool {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && !slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !near(ip.Unmap()) })
}

// issuer returns a transport that connects to this machine and its host without a proxy, because a
// proxy may run on another host.
func (c *Client) issuer(of *http.Transport) *credentialsIssuer {
	t := of.Clone()
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil && near(ip) {
				return nil, nil
			}
			return proxy(req)
		}
	}
	return &credentialsIssuer{Transport: t}
}

// errNoCredentials means that no source has credentials for the object store.
var errNoCredentials = errors.New("no credentials")

// refusedCredentials means that the service for credentials refused, with an HTTP status.
type refusedCredentials struct{ status int }

func (e *refusedCredentials) Error() string { return http.StatusText(e.status) }

// unusableProfile means that this program cannot use the credentials of a profile.
type unusableProfile struct {
	profile string
	err     error
}

func (e *unusableProfile) Error() string {
	if e.err == nil {
		return "the profile " + e.profile + " has no keys"
	}
	return "the profile " + e.profile + ": " + e.err.Error()
}
func (e *unusableProfile) Unwrap() error { return e.err }

// errRole means that a profile's credentials are only for assuming its role.
var errRole = errors.New("its role_arn is not supported")

// retrieve gets the credentials. Its errors do not quote a server. It does not follow redirects,
// because net/http would send tokens to another host.
func (c awsCredentials) retrieve(ctx context.Context, from *credentials.Credentials, by *credentialsIssuer) (credentials.Value, error) {
	if c.role {
		return credentials.Value{}, &unusableProfile{c.profile, errRole}
	}
	if c.last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, metadataTimeout)
		defer cancel()
	}
	by.status = 0
	who, err := from.GetWithContext(&credentials.CredContext{Client: &http.Client{Transport: staying{by}}, Context: ctx})
	switch {
	case err == nil && who.AccessKeyID != "" && who.SecretAccessKey != "":
		return who, nil
	case c.last:
		return who, errNoCredentials
	case by.status >= http.StatusMultipleChoices:
		return who, &refusedCredentials{by.status}
	case by.status != 0:
		return who, errors.New("the service for credentials sent an answer that is not valid")
	case transfer.Is[*url.Error](err): // from net/http: no answer
		e, _ := errors.AsType[*url.Error](err)
		return who, fmt.Errorf("asking for credentials: %w", e.Err)
	case c.profile != "":
		return who, &unusableProfile{c.profile, err}
	}
	return who, cmp.Or(err, errNoCredentials)
}

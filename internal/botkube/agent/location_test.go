package agent

import (
	"net/url"
	"strings"
	"testing"
)

func TestParseLocation(t *testing.T) {
	t.Parallel()
	sum := "e617ea50d5b6983ed19b2d56d42339e2c169ac577b7680bd7417756a72163931"
	sha := &Checksum{Algorithm: "sha256", Hex: sum}
	tests := []struct {
		raw  string
		want Location
	}{
		{"https://dl.k8s.io/release/v1.28.1/bin/linux/amd64/kubectl", Location{URL: "https://dl.k8s.io/release/v1.28.1/bin/linux/amd64/kubectl"}},
		{"https://e.com/x.tar.gz", Location{URL: "https://e.com/x.tar.gz", Format: "tar.gz", autoDetect: true}},
		{"https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz//linux-amd64", Location{URL: "https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz", Format: "tar.gz", Subdir: "linux-amd64"}},
		{"https://e.com/gh.zip//gh_2/bin?a=1&checksum=" + sum, Location{URL: "https://e.com/gh.zip?a=1", Format: "zip", Subdir: "gh_2/bin", Checksum: sha}},
		{"https://e.com/x?checksum=sha256:" + sum, Location{URL: "https://e.com/x", Checksum: sha}},
		{"https://e.com/x?checksum=file:https://e.com/SUMS", Location{URL: "https://e.com/x", ChecksumFile: "https://e.com/SUMS"}},
		{"https://e.com/x.tgz?archive=false", Location{URL: "https://e.com/x.tgz", autoDetect: true}},
		{"https://e.com/download?archive=tgz&filename=y", Location{URL: "https://e.com/download", Format: "tgz"}},
		{"https://e.com/x.tar.gz?archive=nonsense", Location{URL: "https://e.com/x.tar.gz", autoDetect: true}},
		{"s3::https://s3.amazonaws.com/bucket/x.tar.xz", Location{URL: "s3::https://s3.amazonaws.com/bucket/x.tar.xz", Format: "tar.xz"}},
		{"file:///opt/x.txz//*/bin", Location{URL: "file:///opt/x.txz", Format: "txz", Subdir: "*/bin"}},
		{"https://e.com/x.gz", Location{URL: "https://e.com/x.gz", Format: "gz", autoDetect: true}},
		{"https://e.com/x.zip//sub#part", Location{URL: "https://e.com/x.zip", Format: "zip", Subdir: "sub"}},
		{"git::https://e.com/x.git//sub?ref=v1", Location{URL: "git::https://e.com/x.git?ref=v1", Format: "tar", Subdir: "sub", IsGit: true}},
		{"git::ssh://git@e.com/x?filename=y", Location{URL: "git::ssh://git@e.com/x", Format: "tar", IsGit: true}},
		{"https://e.com/x?z=1&b=2", Location{URL: "https://e.com/x?b=2&z=1"}},
	}
	for _, tt := range tests {
		got, err := ParseLocation(tt.raw)
		if err != nil {
			t.Errorf("ParseLocation(%q): %v", tt.raw, err)
			continue
		}
		if (got.Checksum == nil) != (tt.want.Checksum == nil) || got.Checksum != nil && *got.Checksum != *tt.want.Checksum {
			t.Errorf("ParseLocation(%q): checksum %v, want %v", tt.raw, got.Checksum, tt.want.Checksum)
		}
		got.Checksum, tt.want.Checksum, got.Normalized = nil, nil, ""
		if got != tt.want {
			t.Errorf("ParseLocation(%q)\n got %+v\nwant %+v", tt.raw, got, tt.want)
		}
	}
}

func TestParseLocationRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"https://e.com/x.tar.gz//../../etc", "https://e.com/x.tar.gz//a/../..", "https://e.com/x.tgz//[",
		"git::https://e.com/x.git/y.zip", "git::https://e.com/x.git?archive=tar.gz", "git::https://e.com/x.git?checksum=sha256:" + strings.Repeat("0", 64),
		"https://e.com/%zz", "https://e.com/x?checksum=sha256:00", "https://e.com/x?checksum=crc32:00000000", "https://e.com/x?checksum=file:", ":",
	} {
		if l, err := ParseLocation(raw); err == nil {
			t.Errorf("ParseLocation(%q) = %+v, want an error", raw, l)
		}
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	const binary = "r/executor_v1_x"
	for raw, want := range map[string]Member{
		"https://e.com/x.tar.gz":        {First: true},
		"https://e.com/x.tar.gz//bin":   {Dir: "bin", Name: "executor_v1_x", First: true},
		"https://e.com/get?archive=zip": {Name: "executor_v1_x", First: true},
		"git::https://e.com/x.git//bin": {Dir: "bin", Name: "executor_v1_x", First: true},
	} {
		l, err := ParseLocation(raw)
		if got := l.PluginMember(binary); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", raw, got, err, want)
		}
	}
	l, err := ParseLocation("https://e.com/x.tar.gz//bin")
	if got, want := l.DependencyMember("jq"), (Member{Dir: "bin", Name: "jq"}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestResolveLocation(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://user:secret@e.com/plugins/index.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		"https://other.com/x":                "https://other.com/x",
		"archives/x.tar.gz":                  "https://user:secret@e.com/plugins/archives/x.tar.gz",
		"../x.tar.gz//sub/dir?archive=zip":   "https://user:secret@e.com/x.tar.gz//sub/dir?archive=zip",
		"https://u:p@f.com/x":                "https://u:p@f.com/x",
		"//f.com/x":                          "https://user:secret@e.com/plugins/index.yaml//f.com/x",
		"/top":                               "https://user:secret@e.com/top",
		"git::https://e.com/x.git":           "git::https://e.com/x.git",
		"github.com/kubeshop/botkube//cmd":   "github.com/kubeshop/botkube//cmd",
		"bucket.s3.amazonaws.com/x":          "bucket.s3.amazonaws.com/x",
		"x?checksum=file:https://e.com//sum": "https://user:secret@e.com/plugins/x?checksum=file:https://e.com//sum",
	} {
		if got, err := ResolveLocation(base, raw); err != nil || got != want {
			t.Errorf("ResolveLocation(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestGitRefusals(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"git::https://e.com/x.git":                                                    "",
		"git::https://e.com/x.git/y.zip":                                              "archives in git repositories are not supported",
		"git::https://e.com/x.git?archive=false":                                      "archives in git repositories are not supported",
		"git::https://u:s3cret@e.com/x?checksum=md5:00000000000000000000000000000000": `URL "git::https://e.com/x?checksum=md5%3A00000000000000000000000000000000": a git repository cannot have a checksum`,
		"git::https://e.com/x?checksum=file:https://e.com/s":                          "a git repository cannot have a checksum",
	} {
		_, err := ParseLocation(raw)
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://user:pass@e.com/x@y":                              "https://e.com/x@y",
		"s3::https://key:secret@e.com/x":                           "s3::https://e.com/x",
		"https://e.com/a?u=b@c":                                    "https://e.com/a?u=b@c",
		"https://a@b@e.com/":                                       "https://e.com/",
		"https://e.com/a?x=1&X-Amz-Signature=abc&token=t&tokens=3": "https://e.com/a?x=1&X-Amz-Signature=redacted&token=redacted&tokens=3",
		"https://@e.com/x":                                         "https://e.com/x",
		"file:///a@b":                                              "file:///a@b",
		"path/with@at":                                             "path/with@at",
		"s3::https://e.com/k?aws_access_key_secret=abc&x=1":        "s3::https://e.com/k?aws_access_key_secret=redacted&x=1",
		// What is not escaped ends the host too early.
		"https://user:pa/ss@e.com/x":         "https://e.com/x",
		"https://user:pa?ss@e.com/x":         "https://e.com/x",
		"https://user:pa#s@s@e.com/x":        "https://e.com/x",
		"https://user:1/2@e.com:80/x":        "https://user:1/2@e.com:80/x", // is the path of a host
		"https://e.com:8443/@scope/x":        "https://e.com:8443/@scope/x",
		"https://[::1]:8443/@scope/x":        "https://[::1]:8443/@scope/x",
		"https://[::1]/@scope/x":             "https://[::1]/@scope/x",
		"https://user:pa/ss@e.com/x?token=t": "https://e.com/x?token=redacted",
		// URLs in parameters.
		"https://e.com/x?checksum=file:https://user:pass@e.com/s&a=1":                "https://e.com/x?checksum=file:https://e.com/s&a=1",
		"https://e.com/x?a=1&checksum=file%3Ahttps%3A%2F%2Fuser%3Apass%40e.com%2Fs":  "https://e.com/x?a=1&checksum=file%3Ahttps%3A%2F%2Fe.com%2Fs",
		"https://e.com/x?checksum=file%3Ahttps%3A%2F%2Fe.com%2Fs%3Ftoken%3Dt&b=%2f+": "https://e.com/x?checksum=file%3Ahttps%3A%2F%2Fe.com%2Fs%3Ftoken%3Dredacted&b=%2f+",
		"https://e.com/x?u=https://e.com/%zz":                                        "https://e.com/x?u=https://e.com/%zz",
	} {
		got := Redact(raw)
		if got != want {
			t.Errorf("Redact(%q) = %q, want %q", raw, got, want)
		}
		if again := Redact(got); again != got {
			t.Errorf("Redact(%q) = %q", got, again)
		}
	}
}

func TestRedactURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no URL":                                                 "no URL",
		`asking "https://u:p@e.com/x":	no`:                       `asking "https://e.com/x":	no`,
		"https://u:p@e.com\nhttp://t@e.com/?a=b":                 "https://e.com\nhttp://e.com/?a=b",
		`at https://e.com/?token=s3cret: "no"`:                   `at https://e.com/?token=redacted: "no"`,
		"x=https://u:p@e.com, s3::https://u:p@e.com and u@e.com": "x=https://e.com, s3::https://e.com and u@e.com",
	} {
		if got := RedactURLs(text); got != want {
			t.Errorf("RedactURLs(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestUnreadableURLs(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"https://u:s3cret/x@e.com/y", "https://u:s3c%ret@e.com/y", "https://s3cret@e.com:port/y"} {
		_, err := ParseLocation(raw)
		_, err2 := ResolveLocation(&url.URL{Scheme: "https", Host: "e.com"}, raw)
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), "s3c") {
				t.Errorf("%s: %v", raw, err)
			}
		}
	}
}

func TestParseChecksum(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"D41D8CD98F00B204E9800998ECF8427E":                                        "md5:d41d8cd98f00b204e9800998ecf8427e",
		"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709":                           "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		if got, err := ParseChecksum(s); err != nil || got.String() != want {
			t.Errorf("ParseChecksum(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "zz", "00", "sha256:00", "sha3:00", "md5:"} {
		if got, err := ParseChecksum(s); err == nil {
			t.Errorf("ParseChecksum(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, seed := range []string{
		"https://e.com/x.tar.gz//sub/dir?checksum=sha256:00&archive=zip", "git::ssh://git@e.com/x", "file:///x.zip//*/bin",
		"https://a:b@e.com//x//y?z=//", "x", "%", "s3::https://s3.amazonaws.com/b/k?archive=false",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, err := ParseLocation(raw)
		if err != nil {
			return
		}
		again, err := ParseLocation(l.URL)
		if err != nil {
			t.Fatalf("%q gives the URL %q, which cannot be read: %v", raw, l.URL, err)
		}
		if again.Checksum != nil || again.ChecksumFile != "" {
			t.Fatalf("%q gives the URL %q, which still has parameters of go-getter", raw, l.URL)
		}
		for _, part := range []string{l.Subdir} {
			if part == ".." || len(part) > 2 && (part[:3] == "../" || part[0] == '/') {
				t.Fatalf("%q gives the sub-directory %q", raw, part)
			}
		}
	})
}

// Only letters and digits at the beginning name a getter.
func TestSplitGetter(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][2]string{
		"http://[::1]:8080/x.tar.gz":       {"", "http://[::1]:8080/x.tar.gz"},
		"https://h/a::b/x":                 {"", "https://h/a::b/x"},
		"https://h/x?y=a::b":               {"", "https://h/x?y=a::b"},
		"s3::https://h/b/k":                {"s3", "https://h/b/k"},
		"git::https://[::1]/r.git":         {"git", "https://[::1]/r.git"},
		"http::http://[fe80::1%25eth0]/x":  {"http", "http://[fe80::1%25eth0]/x"},
		"::x":                              {"", "::x"},
		"a-b::x":                           {"", "a-b::x"},
		"[::1]:8080/x":                     {"", "[::1]:8080/x"},
		"user@host::path":                  {"", "user@host::path"},
		"https://h/a::b/x.tar.gz//c::d/?e": {"", "https://h/a::b/x.tar.gz//c::d/?e"},
	} {
		if getter, rest := SplitGetter(raw); getter != want[0] || rest != want[1] {
			t.Errorf("%s: %q, %q", raw, getter, rest)
		}
	}
}

func TestAddressesInLocations(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Location{
		"http://[::1]:8080/x.tar.gz":              {URL: "http://[::1]:8080/x.tar.gz", Format: "tar.gz"},
		"http://[fe80::1%25eth0]:8080/a::b/x.zip": {URL: "http://[fe80::1%25eth0]:8080/a::b/x.zip", Format: "zip"},
		"http://[::1]/a::b/x.tgz//c::d":           {URL: "http://[::1]/a::b/x.tgz", Format: "tgz", Subdir: "c::d"},
		"s3::http://[::1]:9000/b/k.tar.xz":        {URL: "s3::http://[::1]:9000/b/k.tar.xz", Format: "tar.xz"},
	} {
		got, err := ParseLocation(raw)
		if err != nil || got.URL != want.URL || got.Format != want.Format || got.Subdir != want.Subdir {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	index, _ := url.Parse("http://[::1]:8080/a::b/index.yaml")
	for raw, want := range map[string]string{
		"x.tar.gz":            "http://[::1]:8080/a::b/x.tar.gz",
		"c/d::e.tar.gz":       "http://[::1]:8080/a::b/c/d::e.tar.gz",
		"/x.tar.gz//sub::dir": "http://[::1]:8080/x.tar.gz//sub::dir",
	} {
		if got, err := ResolveLocation(index, raw); err != nil || got != want {
			t.Errorf("%s: %s, %v", raw, got, err)
		}
	}
}

func TestAddressesWithoutBrackets(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"http://fd00:43::604a/my-nodes.iso": true, "http://::1:8080/x": true, "https://u:p@fe80::1%25eth0/x": true, "s3::http://::1/b/k": true,
		"http://[fd00:43::604a]/x": false, "http://h:80/x": false, "http://h/a::b": false, "https://u:p@h:80/x": false, "s3::https://h/b/k": false, "file:///a::b": false, "a::b": false,
	} {
		if got := HasUnbracketedIPv6(raw); got != want {
			t.Errorf("%s: %t", raw, got)
		}
	}
	if _, err := ParseLocation("http://fd00:43::604a/x.tar.gz"); err == nil || !strings.Contains(err.Error(), "in brackets") {
		t.Error(err)
	}
}

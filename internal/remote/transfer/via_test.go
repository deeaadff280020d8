package transfer

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

func TestVia(t *testing.T) {
	t.Parallel()
	v, err := ParseVia([]string{
		"https://github.com/=https://nexus.example.com/repository/github/",
		"https://GitHub.com:443/kubeshop=https://user:topsecret@art.example.com:8443/a%2Fb",
		"http://plain.example=https://tls.example",
		"docker://ghcr.io=docker://nexus.example.com:8083/ghcr",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range [][2]string{
		{"https://github.com/x/y?a=b%2Fc&d=", "https://nexus.example.com/repository/github/x/y?a=b%2Fc&d="},
		{"https://github.com", "https://nexus.example.com/repository/github"},
		{"https://github.com/", "https://nexus.example.com/repository/github/"},
		{"https://GITHUB.com:443/x%2Fy%20z", "https://nexus.example.com/repository/github/x%2Fy%20z"},
		{"https://me:mine@github.com/x", "https://nexus.example.com/repository/github/x"},
		{"https://github.com/kubeshop", "https://user:topsecret@art.example.com:8443/a%2Fb"},
		{"https://github.com/kubeshop/x", "https://user:topsecret@art.example.com:8443/a%2Fb/x"},
		{"https://github.com/kubeshop-labs/x", "https://nexus.example.com/repository/github/kubeshop-labs/x"},
		{"http://plain.example/x", "https://tls.example/x"},
		{"docker://ghcr.io/kubeshop/botkube", "docker://nexus.example.com:8083/ghcr/kubeshop/botkube"},
		{"http://github.com/x", ""},
		{"https://github.com:8443/x", ""},
		{"https://github.com.example/x", ""},
		{"https://github.com/a/../../other/x", ""},
		{"https://github.com/%2e%2E/other/x", ""},
		{"https://github.com/a%2f..%2f..%2fother", ""},
		{`https://github.com/a/..\..\other`, ""},
		{"https://github.com/a/%252e%252e/%252E./x", ""},
		{"https://github.com/a/%252e%252e/%25zz", ""},
		{"https://github.com/a/100%25", "https://nexus.example.com/repository/github/a/100%25"},
		{"https://github.com/a/..;b/..;/x", ""},
		{"https://github.com/a/...;b/..c/100%2525", "https://nexus.example.com/repository/github/a/...;b/..c/100%2525"},
		{"s3::https://github.com/x", ""},
	} {
		u, err := url.Parse(test[0])
		if err != nil {
			t.Fatal(err)
		}
		asked := v.URL(u)
		if got := asked.String(); got != test[1] && !(asked == u && test[1] == "") {
			t.Errorf("%s: %s", u, got)
		}
		if back := v.Canonical(asked); test[1] != "" && v.URL(back).String() != test[1] || back.User != nil && asked != u {
			t.Errorf("%s is %s", asked, back)
		}
		if instead := v.Instead(u); (instead != "") != (test[1] != "") || strings.Contains(instead+v.Hint(u), "secret") || (v.Through(u) == "") != (instead == "") {
			t.Errorf("%s: %q", u, instead)
		}
	}
	for meant, asked := range map[string]string{
		"https://github.com/x%2Fy/z?a=b":          "https://nexus.example.com/repository/github/x%2Fy/z?a=b",
		"https://github.com/kubeshop/x":           "https://art.example.com:8443/a%2Fb/x",
		"https://nexus.example.com/repository/gh": "https://nexus.example.com/repository/gh",
		"docker://ghcr.io/kubeshop/botkube":       "docker://nexus.example.com:8083/ghcr/kubeshop/botkube",
	} {
		u, err := url.Parse(asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Canonical(u).String(); got != meant {
			t.Errorf("%s stands for %s, not %s", asked, got, meant)
		}
	}
	var none *Via
	if u := (&url.URL{Host: "x"}); none.URL(u) != u || none.redirect(u) != u || none.Canonical(u) != u || none.Unused() != nil || none.Hint(u) != "" {
		t.Error("no rules do something")
	}
}

func TestViaUnused(t *testing.T) {
	t.Parallel()
	v, err := ParseVia([]string{"https://a.example=https://user:secret@z.example", "https://b.example=https://z.example/b", "docker://ghcr.io=docker://z.example"})
	if err != nil || len(v.Unused()) != 0 {
		t.Fatalf("before anything is asked: %v, %v", v.Unused(), err)
	}
	v.URL(&url.URL{Scheme: "https", Host: "b.example", Path: "/x"})
	if got := v.Unused(); !slices.Equal(got, []string{"https://a.example=https://z.example"}) {
		t.Errorf("%q", got)
	}
	v.URL(&url.URL{Scheme: "docker", Host: "quay.io", Path: "/x"})
	if got := v.Unused(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestViaRefusals(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]string{
		"https://a.example":                 "the rule has no =",
		"":                                  "the rule has no =",
		"a.example=https://b.example":       "the left side is not a URL",
		"https://a.example=":                "the right side is not a URL",
		"https://a.example=nexus/x":         "the right side is not a URL",
		"https://a.example=ftp://b.example": "the right side does not begin with",
		"git::https://a.example=https://b.example":                                           "the left side",
		"https://a.example/?x=https://b.example":                                             "the left side has a ?",
		"https://a.example=https://b.example/x?y=z":                                          "the right side has a ?",
		"https://a.example=https://b.example/x/../y":                                         "has . or ..",
		"docker://ghcr.io=https://b.example":                                                 "one side is a registry",
		"https://ghcr.io=docker://b.example":                                                 "one side is a registry",
		"docker://ghcr.io=docker://u:secret@b.example":                                       "the right side has a user",
		"https://a.example=https://b.example;https://c.example=https://u:secret@d.example":   "the right side contains another rule",
		"https://a.example=https://b.example/\thttps://c.example=https://u:secret@d.example": "",
		"https://a.example=https://b.example/%0Ahttps://c.example=https://d.example":         "the right side contains another rule",
		"https://a.example=https://b.example/https://u:secret@c.example":                     "the right side contains another rule",
		"https://a.example=https://u:secret":                                                 "--via https://a.example=…: the right side is not a URL",
		"https://a.example=http://u:secret@b.example":                                        "would go over plain http",
		"secret": "the rule has no =",
		"https://u:secret@a.example=https://b.example":                             "the left side has a user",
		"https://u:sec=ret@a.example=https://b.example":                            "",
		"https://a.example=https://u:se/cret@b.example":                            "",
		"https://a.example/=https://a.example":                                     "both sides are the same",
		"https://a.example=https://b.example https://A.example/=https://c.example": "two rules for https://a.example",
	} {
		_, err := ParseVia(strings.Split(rules, " "))
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", rules, err)
		}
		if shown := err.Error() + fault.HintOf(err); strings.Contains(shown, "secret") || strings.Contains(shown, "cret@") || strings.Contains(shown, "sec=") {
			t.Errorf("%s shows a password: %s", rules, shown)
		}
	}
}

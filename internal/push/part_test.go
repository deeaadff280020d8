package push

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
)

func TestRepositories(t *testing.T) {
	for _, test := range []struct{ prefix, chart, says, hint string }{
		{"registry.example/mirror", "", "", ""},
		{"docker://registry.example:5000", "", "", ""},
		{"registry.example/mirror/", "botkube-chart", "", ""},
		{"docker.io/acme", "botkube-chart", "", ""},
		{"registry.example/mirror:v1", "", "a repository must not have a tag", "write registry.example/mirror"},
		{"registry.example:5000/mirror@sha256:" + strings.Repeat("0", 64), "", "a tag or a digest", "registry.example:5000/mirror"},
		{"https://registry.example/mirror", "", "must not have a scheme", ""},
		{"registry.example/Mirror", "", "the path is malformed", "lower-case"},
		{"registry.example/mirror", "botkube", "is the repository of the agent-image", "botkube-chart"},
		{"registry.example/mirror", "/botkube", "the path is malformed", ""},
		{"registry.example/mirror", "../botkube", "the path is malformed", ""},
		{"registry-1.docker.io/acme", "", "USER/NAME", "--chart-path botkube-chart"},
		{"docker.io/acme/mirror", "x", "USER/NAME", "docker.io/USER"},
		{"docker.io", "x", "USER/NAME", "docker.io/USER"},
		{"", "", "REGISTRY/PREFIX, is empty", "if it comes from a variable, set that"},
	} {
		o := Options{Prefix: test.prefix, ChartPath: test.chart}
		var names map[Part]registry.Name
		err := o.Check()
		if err == nil {
			names, err = o.repositories(Parts)
		}
		switch {
		case test.says == "" && (err != nil || len(names) != len(Parts)):
			t.Errorf("%+v: %v", test, err)
		case test.says == "":
		case err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(fault.HintOf(err), test.hint) || fault.KindOf(err) != fault.Usage:
			t.Errorf("%+v: %v, %s", test, err, fault.HintOf(err))
		}
	}
}

func TestECRRegion(t *testing.T) {
	for host, want := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":           "eu-west-1",
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":  "us-gov-west-1",
		"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn":       "cn-north-1",
		"123456789012.dkr-ecr.eu-west-1.on.aws":                  "eu-west-1",
		"public.ecr.aws":                                         "",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test": "",
		"registry.example":                                       "",
	} {
		if got := ecrRegion(host); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}

package registry

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in      []string
		offers  []string
		spoken  string
		service string
	}{
		{[]string{`Basic realm="x"`}, []string{"Basic"}, "Basic", ""},
		{[]string{`Negotiate`, `Basic realm="x"`}, []string{"Negotiate", "Basic"}, "Basic", ""},
		{[]string{`Negotiate, Basic realm="a, b"`}, []string{"Negotiate", "Basic"}, "Basic", ""},
		{[]string{`Basic realm="x"`, `Bearer realm="https://h/t",service="s"`}, []string{"Basic", "Bearer"}, "Bearer", "s"},
		{[]string{`Basic realm="x", Bearer realm="https://h/t", service="s,t", scope="repository:x:pull,push"`}, []string{"Basic", "Bearer"}, "Bearer", "s,t"},
		{[]string{`bearer realm="https://h/\"t",Service=s`}, []string{"bearer"}, "bearer", "s"},
		{[]string{`Bearer service="s"`, `Basic realm="x"`}, []string{"Bearer", "Basic"}, "Basic", ""},
		{[]string{`Negotiate`, `NTLM`}, []string{"Negotiate", "NTLM"}, "", ""},
		{[]string{`Negotiate, NTLM`}, []string{"Negotiate", "NTLM"}, "", ""},
		{[]string{`Bearer service="s"`}, []string{"Bearer"}, "", ""},
		{[]string{``, `,,`, `a="b`, `=`}, nil, "", ""},
		{nil, nil, "", ""},
	} {
		var offers []string
		all := challengesIn(http.Header{"Www-Authenticate": test.in})
		for _, c := range all {
			offers = append(offers, c.scheme)
		}
		c, ok := preferred(all)
		if !slices.Equal(offers, test.offers) || c.scheme != test.spoken || ok != (test.spoken != "") || c.params["service"] != test.service {
			t.Errorf("%q: %q, %+v", test.in, offers, c)
		}
	}
}

// A token server with a private address must have that of the registry.
func TestTokenServerAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host, realm string
		refused     bool
	}{
		{"10.0.0.5:5050", "https://10.0.0.5/jwt/auth", false},
		{"10.0.0.5:5050", "https://10.0.0.5:5050/t", false},
		{"[fd00::1]:5050", "https://[fd00::1]:8443/t?a=b", false},
		{"registry.example:5050", "https://auth.example/t", false},
		{"registry.example:5050", "https://192.0.2.1/t", false},
		{"10.0.0.5:5050", "https://10.0.0.6/t", true},
		{"10.0.0.5:5050", "https://169.254.169.254/t", true},
		{"registry.example", "https://[::ffff:127.0.0.1]/t", true},
		{"registry.example", "https://[fe80::1%25eth0]/t", true},
		{"registry.example", "https://127.1/t", true},
		{"registry.example", "https://0x7f000001/t", true},
		{"registry.example", "https://2130706433/t", true},
	} {
		u, err := url.Parse(test.realm)
		if err != nil {
			t.Fatal(err)
		}
		l := &login{Repository: &Repository{host: test.host}}
		if err := l.checkServer(u); (err != nil) != test.refused {
			t.Errorf("%s of %s: %v", test.realm, test.host, err)
		}
	}
}

package registry

import (
	"net/http"
	"slices"
	"testing"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, want []string }{
		{[]string{`Basic realm="x"`}, []string{`Basic realm="x"`}},
		{[]string{`Negotiate`, `Basic realm="x"`}, []string{`Basic realm="x"`}},
		{[]string{`Negotiate, Basic realm="a, b"`}, []string{`Basic realm="a, b"`}},
		{[]string{`Basic realm="x"`, `Bearer realm="https://h/t",service="s"`}, []string{`Bearer realm="https://h/t",service="s"`, `Basic realm="x"`}},
		{[]string{`Basic realm="x", Bearer realm="https://h/t", service="s,t", scope="repository:x:pull,push"`}, []string{`Bearer realm="https://h/t",service="s,t",scope="repository:x:pull,push"`, `Basic realm="x"`}},
		{[]string{`bearer realm="https://h/\"t"`}, []string{`bearer realm="https://h/\"t"`}},
		{[]string{`Bearer service="s"`, `Basic realm="x"`}, []string{`Basic realm="x"`}},
		// What is not spoken stays as it is, for the message.
		{[]string{`Negotiate`, `NTLM`}, []string{`Negotiate`, `NTLM`}},
		{[]string{`Bearer service="s"`}, []string{`Bearer service="s"`}},
		{[]string{``, `,,`, `"`, `a="b`}, []string{``, `,,`, `"`, `a="b`}},
		{nil, nil},
	} {
		h := http.Header{"Www-Authenticate": slices.Clone(test.in)}
		sortChallenges(h)
		if got := h.Values("WWW-Authenticate"); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.in, got, test.want)
		}
	}
	if got := schemes(http.Header{"Www-Authenticate": {`Negotiate, NTLM`}}); !slices.Equal(got, []string{"Negotiate", "NTLM"}) {
		t.Error(got)
	}
}

// A token server is moved only at the registry's own address.
func TestMoveRealm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, in, want, at string }{
		{"10.0.0.5:5050", `Bearer realm="https://10.0.0.5/jwt/auth",service="s"`, `Bearer realm="https://10.0.0.5:5050/jwt/auth",service="s"`, "https://10.0.0.5/jwt/auth"},
		{"[fd00::1]:5050", `Bearer realm="https://[fd00::1]:8443/t?a=b"`, `Bearer realm="https://[fd00::1]:5050/t?a=b"`, "https://[fd00::1]:8443/t?a=b"},
		{"10.0.0.5:5050", `Bearer realm="https://10.0.0.5:5050/t"`, "", ""},
		{"10.0.0.5:5050", `Bearer realm="https://10.0.0.6/t"`, "", ""},
		{"10.0.0.5:5050", `Bearer realm="http://169.254.169.254/t"`, "", ""},
		{"registry.example:5050", `Bearer realm="https://registry.example/t"`, "", ""},
		{"10.0.0.5:5050", `Bearer realm="https://10.0.0.5/v2/"`, "", ""},
		{"10.0.0.5:5050", `Basic realm="x"`, "", ""},
	} {
		h := http.Header{"Www-Authenticate": {test.in}}
		at := moveRealm(h, test.host)
		want := test.want
		if want == "" {
			want = test.in
		}
		if got := h.Get("WWW-Authenticate"); got != want || (at == nil) != (test.at == "") || at != nil && at.String() != test.at {
			t.Errorf("%+v: %s, %v", test, got, at)
		}
	}
}

package transfer

import (
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
)

func TestPlainReason(t *testing.T) {
	t.Parallel()
	closed := &net.OpError{Op: "readfrom", Net: "tcp", Err: net.ErrClosed}
	for want, err := range map[string]error{
		"the server closed the connection": &url.Error{Op: "Patch", URL: "https://user:secret@example.com", Err: closed},
		"the answer is not HTTP":           &url.Error{Op: "Get", URL: "https://example.com", Err: textproto.ProtocolError("malformed secret")},
		"something else":                   &url.Error{Op: "Get", URL: "https://example.com?token=secret", Err: errors.New("something else")},
	} {
		if got := PlainReason(err); got.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestReasonHidesSecrets(t *testing.T) {
	t.Parallel()
	const secret = "signature-of-somebody"
	for _, err := range []error{
		&url.Error{Op: "Get", URL: "https://h/?sig=" + secret, Err: errors.New("cut")},
		errors.New(`refusing token-server redirect to "https://u:` + secret + `@h/?X-Amz-Signature=` + secret + `": no`),
		&url.Error{Op: "Get", URL: "x", Err: errors.New("failed to parse Location header \"" + secret)},
	} {
		got := PlainReason(err)
		if strings.Contains(got.Error(), secret) {
			t.Error(got)
		}
	}
	if got := PlainReason(errors.New(strings.Repeat("\x1b", 10000))).Error(); strings.Contains(got, "\x1b") || len(got) > 2*maxReason {
		t.Errorf("%q", got)
	}
}

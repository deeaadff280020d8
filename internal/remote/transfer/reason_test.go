package transfer

import (
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"testing"
)

func TestPlainReason(t *testing.T) {
	t.Parallel()
	closed := &net.OpError{Op: "readfrom", Net: "tcp", Err: net.ErrClosed}
	for want, err := range map[string]error{
		"the other side closed the connection": &url.Error{Op: "Patch", URL: "https://user:secret@example.com", Err: closed},
		"the answer is not HTTP":               &url.Error{Op: "Get", URL: "https://example.com", Err: textproto.ProtocolError("malformed secret")},
		"something else":                       &url.Error{Op: "Get", URL: "https://example.com?token=secret", Err: errors.New("something else")},
	} {
		if got := PlainReason(err); got.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

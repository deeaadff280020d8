// Package transfer is what every transfer over HTTP has in common, whoever is
// at the other end: how patient it is, how fast, how it is repeated and resumed,
// and what its failures mean.
package transfer

import (
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"strings"
)

// WithoutURL drops the URL, which may hold credentials, from a url.Error.
func WithoutURL(err error) error {
	for {
		e, ok := err.(*url.Error)
		if !ok {
			return err
		}
		err = e.Err
	}
}

// PlainReason returns an error of net/http without what may be secret in it.
func PlainReason(err error) error {
	err = WithoutURL(err)
	if strings.HasPrefix(err.Error(), "failed to parse Location header") {
		return &RedirectError{Reason: "the server redirects to something that is not a URL"}
	}
	if Is[textproto.ProtocolError](err) {
		// Its text quotes header fields.
		return errors.New("the answer is not HTTP")
	}
	if errors.Is(err, net.ErrClosed) {
		// The transport has closed it, for the other side had.
		return errors.New("the other side closed the connection")
	}
	return err
}

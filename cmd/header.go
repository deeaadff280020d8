package cmd

import (
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// fromVariable begins a value that is in the environment.
const fromVariable = "env:"

// headers parses the values of --header. No message quotes what may be a secret.
func (g *global) headers(values []string) ([]resolve.Header, error) {
	var headers []resolve.Header
	for i, v := range values {
		target, value, found := strings.Cut(v, "=")
		colon := strings.LastIndex(target, ":")
		if !found || colon < 1 || !resolve.IsHeaderName(target[colon+1:]) {
			return nil, fault.New(fault.Usage, "--header, number %d of them, is not of the form NAME:KEY=VALUE", i+1).
				WithHint("NAME is the repository's, KEY that of the header field, and VALUE env:VARIABLE, so that no secret stands on a command line: --header cloud:X-API-Key=env:BOTKUBE_API_KEY")
		}
		h := resolve.Header{Repository: target[:colon], Name: target[colon+1:], Value: value}
		if variable, ok := strings.CutPrefix(value, fromVariable); ok {
			if h.Value, _ = g.env.LookupEnv(variable); h.Value == "" {
				return nil, fault.New(fault.Usage, "--header %s: the environment variable %q is not set, or is empty", target, variable).
					WithHint("export it, or name another one")
			}
		}
		if err := h.Check(); err != nil {
			return nil, fault.New(fault.Usage, "--header %s: %w", target, err)
		}
		headers = append(headers, h)
	}
	return headers, nil
}

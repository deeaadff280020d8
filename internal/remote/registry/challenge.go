package registry

import (
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// challenge is one way to prove who asks, as a registry offers it in the header
// field WWW-Authenticate (RFC 9110, section 11.6.1).
type challenge struct{ scheme, params string }

func (c challenge) is(scheme string) bool { return strings.EqualFold(c.scheme, scheme) }

// known reports whether the handshake speaks it.
func (c challenge) known() bool {
	return c.is("basic") || c.is("bearer") && strings.Contains(strings.ToLower(c.params), "realm=")
}

// challengesIn returns all that an answer offers, several in one field included.
func challengesIn(h http.Header) (all []challenge) {
	for _, field := range h.Values("WWW-Authenticate") {
		for _, part := range outsideQuotes(field) {
			word, rest, _ := strings.Cut(part, " ")
			switch {
			case word == "":
			case !strings.Contains(word, "="):
				all = append(all, challenge{word, strings.TrimSpace(rest)})
			case len(all) > 0:
				last := &all[len(all)-1]
				last.params = strings.TrimPrefix(last.params+","+part, ",")
			}
		}
	}
	return all
}

// outsideQuotes parts a field at its commas, but for those in quotes.
func outsideQuotes(field string) (parts []string) {
	quoted, escaped, from := false, false, 0
	for i, r := range field {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			parts = append(parts, strings.TrimSpace(field[from:i]))
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(field[from:]))
}

// sortChallenges leaves in an answer the challenges that the handshake speaks,
// each in a field of its own, and tokens before passwords, as docker prefers them: the
// library takes the first of a field, and the first field.
func sortChallenges(h http.Header) {
	all := challengesIn(h)
	if !slices.ContainsFunc(all, challenge.known) {
		return
	}
	h.Del("WWW-Authenticate")
	for _, scheme := range []string{"bearer", "basic"} {
		for _, c := range all {
			if c.is(scheme) && c.known() {
				h.Add("WWW-Authenticate", strings.TrimSpace(c.scheme+" "+c.params))
			}
		}
	}
}

// realmField is the parameter with the token server's URL.
var realmField = regexp.MustCompile(`(?i)\brealm="([^"]*)"`)

// moveRealm puts a token server at the registry's own IP address, but at another
// port, where the library wants it: at the registry's port. It returns where it
// really is; nil if nothing was changed. GitLab and Harbor without names are such; the library
// refuses every other private address, against forged requests, though this one
// is the user's own.
func moveRealm(h http.Header, host string) *url.URL {
	fields := h.Values("WWW-Authenticate")
	for i, field := range fields {
		m := realmField.FindStringSubmatchIndex(field)
		if m == nil {
			continue
		}
		u, err := url.Parse(field[m[2]:m[3]])
		asked := url.URL{Host: host}
		if err != nil || u.Host == host || u.Hostname() != asked.Hostname() || net.ParseIP(u.Hostname()) == nil || u.Path == "/v2/" {
			continue
		}
		at := *u
		u.Host = host
		fields[i] = field[:m[2]] + u.String() + field[m[3]:]
		return &at
	}
	return nil
}

// schemes returns the names of what an answer offers.
func schemes(h http.Header) (names []string) {
	for _, c := range challengesIn(h) {
		names = append(names, c.scheme)
	}
	return names
}

// lacksScope reports whether an answer says that a token is good, but not for this
// (RFC 6750, section 3.1).
func lacksScope(h http.Header) bool {
	return slices.ContainsFunc(challengesIn(h), func(c challenge) bool { return strings.Contains(c.params, "insufficient_scope") })
}

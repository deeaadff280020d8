package registry

import (
	"net/http"
	"slices"
	"strings"
)

// challenge is one authentication scheme in a header field WWW-Authenticate (RFC 9110, section
// 11.6.1).
type challenge struct {
	scheme string
	// params has the parameters by their names in lower case.
	params map[string]string
}

func (c challenge) is(scheme string) bool { return strings.EqualFold(c.scheme, scheme) }

// challengesIn returns all challenges of an answer. One field may have several.
func challengesIn(h http.Header) (all []challenge) {
	for _, field := range h.Values("WWW-Authenticate") {
		for _, part := range outsideQuotes(field) {
			if word, rest, _ := strings.Cut(part, " "); word != "" && !strings.Contains(word, "=") {
				all = append(all, challenge{word, map[string]string{}})
				part = rest
			}
			if name, value, ok := strings.Cut(part, "="); ok && len(all) > 0 {
				all[len(all)-1].params[strings.ToLower(strings.TrimSpace(name))] = unquote(strings.TrimSpace(value))
			}
		}
	}
	return all
}

// outsideQuotes splits a field at the commas that are not in quotes.
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

// unquote reads a value, which may be a quoted string (RFC 9110, section 5.6.4).
func unquote(value string) string {
	inner, ok := strings.CutPrefix(value, `"`)
	if !ok {
		return value
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(inner, `"`))
}

// preferred returns the challenge to answer: like docker, one for a token before one for a password.
func preferred(offers []challenge) (c challenge, ok bool) {
	for _, scheme := range []string{"bearer", "basic"} {
		for _, c := range offers {
			if c.is(scheme) && (scheme == "basic" || c.params["realm"] != "") {
				return c, true
			}
		}
	}
	return challenge{}, false
}

// lacksScope reports whether an answer says that the token is valid but does not allow this request
// (RFC 6750, section 3.1).
func lacksScope(h http.Header) bool {
	return slices.ContainsFunc(challengesIn(h), func(c challenge) bool { return c.params["error"] == "insufficient_scope" })
}

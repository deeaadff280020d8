package resolve

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Header is a header field for requests of one repository's index.
type Header struct{ Repository, Name, Value string }

// ownFields are the fields that this program or net/http sets.
var ownFields = []string{
	"Accept-Encoding", "Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection",
	"Range", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// Check returns an error if a request cannot have the field. The error does not quote the value.
func (h Header) Check() error {
	switch {
	case !IsHeaderName(h.Name):
		return errors.New("this is not the name of a header field")
	case slices.Contains(ownFields, http.CanonicalHeaderKey(h.Name)):
		return fmt.Errorf("the header field %s cannot be set", h.Name)
	case h.Value == "":
		return errors.New("the value is empty")
	case strings.TrimSpace(h.Value) != h.Value:
		return errors.New("the value begins or ends with a space or a line break")
	case strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return errors.New("the value has a line break or another control character")
	}
	return nil
}

// IsHeaderName reports whether a name is valid for a header field (RFC 9110, section 5.6.2).
func IsHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// addHeaders adds header fields to repositories, in place. They replace configured ones of the same
// name.
func addHeaders(repositories []agent.Repository, headers []Header) error {
	var names, given []string
	for i, r := range repositories {
		names = append(names, r.Name)
		repositories[i].Headers = maps.Clone(r.Headers)
		if r.Headers == nil {
			repositories[i].Headers = map[string]string{}
		}
	}
	for _, h := range headers {
		i := slices.IndexFunc(repositories, func(r agent.Repository) bool { return r.Name == h.Repository })
		if i < 0 {
			e := fault.New(fault.Usage, "--header %s:%s: %w", h.Repository, h.Name, index.UnknownName("", "repository", h.Repository, names))
			if nearest := spelling.Nearest(h.Repository, names); nearest != "" {
				return e.WithHint("did you mean --header %s:%s=…?", nearest, h.Name)
			}
			return e
		}
		field := h.Repository + ":" + http.CanonicalHeaderKey(h.Name)
		if slices.Contains(given, field) {
			return fault.New(fault.Usage, "--header %s is given twice", field)
		}
		given = append(given, field)
		maps.DeleteFunc(repositories[i].Headers, func(name, _ string) bool { return strings.EqualFold(name, h.Name) })
		repositories[i].Headers[h.Name] = h.Value
	}
	for _, r := range repositories {
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			if err := (Header{Name: name, Value: r.Headers[name]}).Check(); err != nil {
				return fault.New(fault.Usage, "the header field %q of repository %q: %w", name, r.Name, err)
			}
		}
	}
	return nil
}

// header returns the header of the request for a repository's index.
func header(repo agent.Repository) (http.Header, error) {
	h := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(repo.Headers)) {
		if strings.Contains(repo.Headers[name], "{{") {
			return nil, fault.New(fault.Usage, "the header field %s is a template for the agent's identity in Botkube Cloud", name).
				WithHint("put the value into a variable, and add --header %s:%s=env:%s", repo.Name, name, variable(name, repo.Headers[name]))
		}
		h.Set(name, repo.Headers[name])
	}
	return h, nil
}

// variable returns a name for the variable in a hint: the agent fills in .Remote.APIKey and
// .Remote.Identifier (pkg/plugin/manager.go).
func variable(name, template string) string {
	switch {
	case strings.Contains(template, ".APIKey"):
		return "BOTKUBE_API_KEY"
	case strings.Contains(template, ".Identifier"):
		return "BOTKUBE_IDENTIFIER"
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// indexError returns the error for an index that cannot be read, with a hint for its credentials.
func (r *Resolver) indexError(repo *repository, err error) error {
	err = fmt.Errorf("index of repository %q: %w", repo.Name, err)
	var hint string
	switch {
	case r.Fetch.Instead(repo.URL) != "":
		return err
	case fetch.IsNotFound(err) && repo.url.Scheme == "file":
		hint = "check the path"
	case fetch.IsNotFound(err):
		hint = "check the URL and the version: Botkube's versions are at https://github.com/kubeshop/botkube/releases"
	case !fetch.IsUnauthorized(err, repo.url):
		return err
	case len(repo.Headers) > 0:
		hint = "check the value of the header field " + strings.Join(slices.Sorted(maps.Keys(repo.Headers)), ", ") + ": it may be wrong or expired"
	case repo.url.User != nil:
		hint = "check the user and the password in the URL: they may be wrong or expired"
	default:
		hint = fmt.Sprintf("send credentials in a header field: --header %s:KEY=env:VARIABLE\nor add a line to .netrc: machine %s login USER password PASSWORD", repo.Name, repo.url.Host)
	}
	return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
}

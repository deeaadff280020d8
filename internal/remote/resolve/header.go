package resolve

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// header returns the header fields of the request for a repository's index. What
// the agent fills in itself, only the user knows here.
func header(repo agent.Repository) (http.Header, error) {
	h := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(repo.Headers)) {
		if strings.Contains(repo.Headers[name], "{{") {
			return nil, fault.New(fault.Usage, "the header field %s is a template, which the agent fills in with its identity in Botkube Cloud", name).
				WithHint("give the value: --header %s:%s=env:%s", repo.Name, name, variable(name, repo.Headers[name]))
		}
		h.Set(name, repo.Headers[name])
	}
	return h, nil
}

// variable suggests where a user may put what an agent fills in
// (pkg/plugin/manager.go: .Remote.APIKey and .Remote.Identifier).
func variable(name, template string) string {
	switch {
	case strings.Contains(template, ".APIKey"):
		return "BOTKUBE_API_KEY"
	case strings.Contains(template, ".Identifier"):
		return "BOTKUBE_IDENTIFIER"
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// indexError says of an index that cannot be had how one shows who asks.
func indexError(repo *repository, err error) error {
	err = fmt.Errorf("reading the index of repository %q: %w", repo.Name, err)
	if fetch.IsNotFound(err) {
		step := "is the URL right, and is there such a version? those of Botkube are at https://github.com/kubeshop/botkube/releases"
		if repo.url.Scheme == "file" {
			step = "check the path"
		}
		return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", step)
	}
	if !fetch.IsUnwelcome(err, repo.url) {
		return err
	}
	e := fault.New(fault.KindOf(err), "%w", err)
	if len(repo.Headers) > 0 {
		return e.WithHint("%s was sent, which is not what the host wants: is the value right, and not expired?",
			strings.Join(slices.Sorted(maps.Keys(repo.Headers)), ", "))
	}
	if repo.url.User != nil {
		return e.WithHint("the user and the password in the URL were sent, which is not what the host wants: are they right, and not expired?")
	}
	return e.WithHint("show who asks: with a header field, --header %s:KEY=env:VARIABLE\nor with a line of .netrc: machine %s login USER password PASSWORD", repo.Name, repo.url.Host)
}

package site

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// Form is the web root from which agents download.
var Form = &form.Form{
	Kind: "site",
	Name: "site",
	Outputs: []form.Output{{
		Prefix: "site", TakesBaseURL: true,
		Check: checkOutput,
		Open:  openOutput,
		Next:  next,
	}},
}

func checkOutput(_ string, o form.WriteOptions) error {
	if o.BaseURL == "" {
		return fault.New(fault.Usage, "a site is wanted, but not where it will be served").
			WithHint("give its URL: --base-url https://mirror.example.com/botkube")
	}
	return CheckBaseURL(o.BaseURL)
}

// output is a site that is written of artifacts.
type output struct {
	*Writer
	baseURL string
}

func openOutput(ctx context.Context, root string, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	w, err := Open(ctx, root, l, Options{BaseURL: o.BaseURL, Blobs: from.Blobs, Waiting: o.Waiting, Displaced: o.Displaced})
	if err != nil {
		return nil, err
	}
	return &output{w, o.BaseURL}, nil
}

// Commit writes the documents.
func (out *output) Commit(ctx context.Context, l *lock.Lock) (w form.Written, err error) {
	// Once it has begun, it is better brought to its end.
	if w.Changed, err = out.Writer.Commit(context.WithoutCancel(ctx), l); err != nil {
		return w, err
	}
	if w.Tag, err = l.Tag(); err != nil {
		return w, err
	}
	if w.Templates, err = Templates(out.baseURL, l); err != nil {
		return w, err
	}
	w.Indexes = map[string]string{}
	for _, r := range l.Repositories {
		if w.Indexes[r.Name], err = IndexURL(out.baseURL, l, r.Name); err != nil {
			return w, err
		}
	}
	return w, nil
}

func next(root string, w form.Written, _ []agent.Platform, _ string) string {
	return fmt.Sprintf("next: serve it, and have the agent ask for it; botkube-mirror values %s/%s --values YOURS.yaml prints the Helm values, among them\n", root, w.Tag) +
		Settings(w.Indexes, w.Templates)
}

// Settings lists the Helm values with which an agent uses a site, a line each: the URLs
// of the indexes, by repository, and of the templates.
func Settings(indexes map[string]string, templates []form.Template) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(indexes)) {
		fmt.Fprintf(&out, "  plugins.repositories.%s.url: %s\n", name, indexes[name])
	}
	for _, t := range templates {
		fmt.Fprintf(&out, "  templates[].ref of %s/%s, in place of %s: %s\n", t.Plugin.Repository, t.Plugin.Name, t.Ref, t.URL)
	}
	return out.String()
}

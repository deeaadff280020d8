package chart

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/gitops"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

type input struct {
	files   []*gitops.File
	objects objects
	release *gitops.Release
	// empty are the names of files to which nothing was written.
	empty []string
}

func readFiles(files []File) (*input, error) {
	in := new(input)
	var plain []*gitops.File
	for _, f := range files {
		if len(f.Data) > agent.MaxConfig {
			return nil, fmt.Errorf("%s: it has %d bytes, and the limit is %d", f.Name, len(f.Data), agent.MaxConfig)
		}
		text, err := gitops.Text(f.Name, f.Data)
		if err != nil {
			return nil, err
		}
		found, err := manifest.Read(f.Name, text)
		if err != nil {
			return nil, err
		}
		file := &gitops.File{Name: f.Name, Data: text, Objects: found}
		in.files, in.objects.all = append(in.files, file), append(in.objects.all, found...)
		if len(found) == 0 {
			plain = append(plain, file)
		}
	}
	var err error
	if in.release, err = gitops.Find(in.objects.all, plain); err != nil {
		return nil, err
	}
	return in, in.objects.take()
}

// values merges the Helm values of all files; nil if there are none. A release's values count
// where its document stands, and files that this names nowhere else.
func (in *input) values() (merged map[string]any, err error) {
	for _, f := range in.files {
		var values map[string]any
		switch {
		case in.release != nil && slices.Contains(f.Objects, in.release.Object):
			values = in.release.Values
		case len(f.Objects) > 0 || f.Referenced:
			continue
		default:
			if values, err = f.Values(); err != nil {
				return nil, err
			}
			if len(bytes.TrimSpace(f.Data)) == 0 {
				in.empty = append(in.empty, f.Name)
			}
		}
		merged = helmvalues.Merge(merged, values)
	}
	return merged, nil
}

func (in *input) releaseVersion() string {
	if in.release == nil {
		return ""
	}
	return in.release.Version
}

func (in *input) version(asked string) (string, error) {
	if v := cmp.Or(asked, in.releaseVersion()); v != "" {
		return v, nil
	}
	if in.release == nil {
		return "", NoVersion()
	}
	return "", fault.New(fault.Usage, "%w", in.release.Object.Errorf("the version of the chart is %.200q, not one version", in.release.VersionText)).
		WithHint("give the installed version: --version v1.14.0")
}

func (in *input) notes() []string {
	var notes []string
	if in.release != nil {
		notes = append(notes, in.release.Notes...)
	}
	for _, name := range in.empty {
		notes = append(notes, name+" is empty: did the command that wrote it fail?")
	}
	if in.objects.environment != nil {
		notes = append(notes, "the agent's Deployment is not read, as Helm values are given too: to use it, give all objects that the chart rendered, and no values")
	}
	return notes
}

// unreadValues refuses an object with Helm values that no document takes from it.
func (in *input) unreadValues() error {
	if in.release != nil {
		return nil
	}
	for _, o := range in.objects.all {
		if o.Kind != "ConfigMap" && o.Kind != "Secret" {
			continue
		}
		entries, err := o.Entries()
		if err != nil {
			return err
		}
		for _, e := range entries {
			if holdsValues(e) {
				return fault.New(fault.Usage, "%w", o.Errorf("it has the Helm values %.200q, but no given HelmRelease uses them", e.Key)).
					WithHint("give the HelmRelease too, or the values in a separate file; or leave it out if it is not Botkube's")
			}
		}
	}
	return nil
}

// holdsValues reports whether an object has Helm values, by their name or content. What the
// chart renders is none.
func holdsValues(e manifest.Entry) bool {
	if e.Key == globalKey || e.Key == communicationsKey || strings.HasPrefix(e.Key, "_") || e.Err != nil {
		return false
	}
	if strings.HasSuffix(e.Key, "values.yaml") || strings.HasSuffix(e.Key, "values.yml") {
		return true
	}
	values, err := helmvalues.Parse([]byte(e.Text))
	return err == nil && (within(map[string]any{chartName: values}) != "" || within(values) != "")
}

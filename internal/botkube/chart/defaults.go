package chart

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"
	"sigs.k8s.io/yaml"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// defaults has the relevant part of the chart's values.yaml, one file for each version that changed it.
// It is cut from helm/botkube/values.yaml at the tags of github.com/kubeshop/botkube. {version} stands
// for the chart's version, and {release} for the version without a pre-release suffix.
//
//go:embed defaults/*.yaml
var defaults embed.FS

// Newest is the newest version whose defaults are known.
const Newest = "v1.14.0"

// DefaultValues returns the chart's own values for a version of the form v1.14.0, as far as they
// decide anything here. A note says if they are another version's.
func DefaultValues(v string) (values map[string]any, notes []string, err error) {
	if v == "" {
		return nil, nil, NoVersion()
	}
	wanted, err := version.NewVersion(v)
	if err != nil {
		return nil, nil, fmt.Errorf("%q is not a version of the chart", v)
	}
	known, err := knownDefaults()
	if err != nil {
		return nil, nil, err
	}
	at := -1
	for i, k := range known {
		if k.LessThanOrEqual(wanted.Core()) {
			at = i
		}
	}
	if at < 0 {
		return nil, nil, fmt.Errorf("%[2]s is too old: the chart's defaults are known from %[1]s on", tag(known[0]), v)
	}
	minor := func(v *version.Version) []int { return v.Segments()[:2] }
	if newest := known[len(known)-1]; slices.Compare(minor(wanted), minor(newest)) > 0 {
		notes = []string{fmt.Sprintf("the defaults of chart %s are unknown, so those of %s are used: to be sure, give what helm template renders", v, tag(newest))}
	}
	data, err := defaults.ReadFile(path.Join("defaults", tag(known[at])+".yaml"))
	if err != nil {
		return nil, nil, err
	}
	err = yaml.Unmarshal([]byte(strings.NewReplacer("{version}", v, "{release}", agent.WithoutPrerelease(v)).Replace(string(data))), &values)
	return values, notes, err
}

func tag(v *version.Version) string { return "v" + v.String() }

func knownDefaults() ([]*version.Version, error) {
	entries, err := defaults.ReadDir("defaults")
	if err != nil {
		return nil, err
	}
	var known []*version.Version
	for _, e := range entries {
		v, err := version.NewVersion(strings.TrimSuffix(e.Name(), ".yaml"))
		if err != nil {
			return nil, err
		}
		known = append(known, v)
	}
	slices.SortFunc(known, (*version.Version).Compare)
	return known, nil
}

package chart

import (
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// UnknownPlatforms returns the settings of chat platforms that are configured, and that
// agents of a version do not have, sorted. The agent passes over them. What only another
// version has, and is not enabled, may be a rest of the chart's own values.
func (v *Values) UnknownPlatforms(version string) []string {
	var all []string
	known := agent.PlatformNames(version)
	for group, g := range v.Communications {
		for name, platform := range mapping(g) {
			enabled := mapping(platform)["enabled"]
			off := enabled == nil || enabled == false || enabled == "false"
			if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) || off {
				continue
			}
			all = append(all, "communications."+group+"."+name)
		}
	}
	slices.Sort(all)
	return all
}

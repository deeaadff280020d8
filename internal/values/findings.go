package values

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Verdict says in a few words whether the agent starts offline, and why not.
func (c *Checked) Verdict() (state string, details []string) {
	settings, missing := 0, 0
	for _, p := range c.Problems {
		if p.Kind == audit.KindMissing {
			missing++
		} else {
			settings++
		}
	}
	if missing > 0 {
		details = append(details, count(missing, "missing plugin or template", "missing plugins or templates"))
	}
	if settings > 0 {
		details = append(details, count(settings, "setting to change", "settings to change"))
	}
	switch {
	case c.Refused:
		return "refuses its configuration", details
	case missing > 0:
		return "does not start offline", details
	case settings > 0:
		return "would call out", details
	case len(c.Undecided) > 0:
		return "may not start offline", []string{"it depends on " + strings.Join(c.Undecided, ", ")}
	case !c.Alone:
		return "starts offline once the mirror is complete", nil
	}
	return "starts offline", []string{count(len(c.Executors), "executor", "executors"), count(len(c.Sources), "source", "sources")}
}

func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func inGroups(names []string) string {
	if len(names) == 1 {
		return "group " + names[0]
	}
	return "groups " + strings.Join(names, ", ")
}

// Failure returns an error if it is unknown whether the agent starts offline.
func (c *Checked) Failure(target string) error {
	if len(c.Undecided) == 0 {
		return nil
	}
	return fault.New(fault.Incomplete, "%s: with these values, the agent may not start offline: it depends on %s", target, strings.Join(c.Undecided, ", ")).
		WithHint("give that too with --values: everything that helm template renders, or kubectl get configmap,secret,deployment -o yaml prints in the agent's namespace")
}

// Remedy returns the hints for values that do not suit the mirror.
func (c *Checked) Remedy(target string) string {
	var steps []string
	if c.Values.Remote() {
		steps = append(steps, `set config.provider.identifier: "" in your values: otherwise Botkube Cloud decides what the agent starts`)
	}
	missing := 0
	for _, p := range c.Problems {
		if p.Kind == audit.KindMissing {
			missing++
		}
	}
	if missing > 0 {
		steps = append(steps, c.mirrorIt(), "or disable it in the values, or correct its name")
	}
	if c.nodes != "" {
		steps = append(steps, "if the nodes are "+c.nodes+", pull again with --platform "+c.nodes+" and internet access")
	}
	if len(c.Refusals) > 0 {
		steps = append(steps, "correct the settings that the agent refuses, also those of disabled plugins: the agent checks them too")
	}
	if len(c.variables) > 0 {
		steps = append(steps, "remove from extraEnv, which overrides all values: "+strings.Join(c.variables, ", "))
	}
	if len(c.Problems) > missing+len(c.variables)+c.refusedByValues {
		steps = append(steps, fmt.Sprintf("add to your values what this prints: botkube-mirror values %s --values YOURS.yaml, with --pvc, --seed-from, --image or --base-url", target))
	}
	if c.elsewhere != "" {
		steps = append(steps, "if botkube-mirror serve answers at the URL in your values, add --served --base-url "+c.elsewhere)
	}
	return strings.Join(steps, "\n")
}

// mirrorIt says how to mirror what is missing. Values of a mirror do not say where to pull from.
func (c *Checked) mirrorIt() string {
	keys := strings.Join(slices.Compact(slices.Sorted(slices.Values(c.lacking))), ", ")
	switch {
	case !c.laidOver:
		return "mirror what these values enable: pull again with the same --values and internet access"
	case c.inOne: // there is nothing to leave out
		return "with internet access, repeat the pull that made the mirror, and add --plugin " + strings.ReplaceAll(keys, ", ", ",") + "; then print the values again"
	}
	return "mirror " + keys + ": with internet access, pull again with your own --values, without the file that botkube-mirror values printed; then print that file again"
}

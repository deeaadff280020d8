package values

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Lines say what the agent starts, whom it calls, and whether it starts alone. They hold text
// from outside.
func (c *Checked) Lines() []string {
	starts := "starts"
	if c.Refused {
		starts = "does not start at all; if it took them, it would start"
	}
	lines := []string{fmt.Sprintf("an agent with these values %s %s and %s", starts, count(len(c.Executors), "executor"), count(len(c.Sources), "source"))}
	for _, p := range c.All() {
		lines = append(lines, fmt.Sprintf("  %s %s (%s)", p.Type, p.Key, strings.Join(p.Groups, ", ")))
	}
	lines = append(lines, c.Agent.Lines()...)
	for _, e := range c.Egress {
		lines = append(lines, egressLine(e))
	}
	switch {
	case c.Alone:
		lines = append(lines, "it starts from the mirror alone"+c.afterwards())
	case len(c.Undecided) > 0:
		lines = append(lines, "whether it starts from the mirror alone depends on what is not given: "+strings.Join(c.Undecided, ", "))
	}
	return lines
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func egressLine(e agent.Egress) string {
	who, note := "it calls", ""
	switch {
	case e.ByNode:
		who = "its node calls"
	case e.Plugin != "":
		who = e.Plugin + " calls"
	}
	if e.OnRequest {
		note = ", on request"
	}
	if e.Proxy != "" {
		note += ", through the proxy of " + e.Proxy
	}
	switch {
	case e.InCluster:
		note += ", within the cluster"
	case e.Stop != "":
		note += "; what stops it: " + e.Stop
	}
	return fmt.Sprintf("%s %s for %s (%s)%s", who, e.Destination, e.Purpose, e.Setting, note)
}

func (c *Checked) afterwards() string {
	switch calls := slices.ContainsFunc(c.Egress, func(e agent.Egress) bool { return !e.ByNode }); {
	case calls && len(c.Unknown) > 0:
		return "; whom it calls then, besides the API server, is above, but for plugins that are not Botkube's own"
	case calls:
		return "; whom it calls then, besides the API server, is above"
	case len(c.Unknown) > 0:
		return "; then, it calls the API server, and whom plugins call that are not Botkube's own"
	}
	return "; then, it calls nobody but the API server"
}

// Failure is the error of values that do not tell whether an agent starts alone, or nil.
func (c *Checked) Failure(target string) error {
	if len(c.Undecided) == 0 {
		return nil
	}
	return fault.New(fault.Incomplete, "%s is intact, but whether an agent with these values starts from it alone depends on what is not given: %s", target, strings.Join(c.Undecided, ", ")).
		WithHint("give that, too, with --values: all of what helm template renders, or of kubectl get configmap,secret,deployment -o yaml in the agent's namespace")
}

// Remedy says what to do about values that do not go with a mirror.
func (c *Checked) Remedy(target string) string {
	var steps []string
	if c.Values.Remote() {
		steps = append(steps, `configure the agent by its values: set config.provider.identifier: "" in yours, for until then Botkube Cloud decides what it starts`)
	}
	missing := 0
	for _, p := range c.Problems {
		if p.Kind == audit.KindMissing {
			missing++
		}
	}
	if missing > 0 {
		steps = append(steps, "mirror what these values enable: pull with the same --values, where there is internet; or disable it in the values")
	}
	if len(c.Refusals) > 0 {
		steps = append(steps, "correct in your values what the agent refuses, also where nothing is enabled, for it looks there too")
	}
	if len(c.variables) > 0 {
		steps = append(steps, "take out of the agent's environment (extraEnv), which wins over all values: "+strings.Join(c.variables, ", "))
	}
	if len(c.Problems) > missing+len(c.variables)+c.refusedByValues {
		steps = append(steps, fmt.Sprintf("lay over your values what this prints: botkube-mirror values %s --values YOURS.yaml, with --pvc, --seed-from, --image or --base-url", target))
	}
	if c.elsewhere != "" {
		steps = append(steps, "or, if botkube-mirror serve answers at the URL of the values, which writes the indexes for it, say so: --served --base-url "+c.elsewhere)
	}
	return strings.Join(steps, "\n")
}

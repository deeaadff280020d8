package cmd

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

func verifyCommand(g *global) *cobra.Command {
	var net networkFlags
	var o mirror.VerifyOptions
	c := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check every file of a mirror, and that the agent stays offline",
		Long: `Check every file of a mirror against its lock. This finds files that are
damaged, missing or unexpected, and indexes that would make an agent call
outside. Nothing is written, and only a registry needs a network.

TARGET is a directory for an agent, a bundle or an image (a file, a directory or
docker://REFERENCE), a site, or one version of it (SITE/VERSION). - reads a
bundle from standard input.

With --values, verify also checks two things for an agent with these Helm
values. The mirror must have everything that the agent starts. And the agent
must not call anything outside that a value can turn off.

--against compares the mirror with a lock that came another way. If you give a
bundle instead, its archives are unpacked again to compare every file.

Indexes name the place where agents find the files. Give --base-url for a site,
or --mount for a directory or an image, to check that place. Otherwise verify
prints it.`,
		Example: `  botkube-mirror verify bundle.tar

  # the agent's volume, with your Helm values
  botkube-mirror verify /mnt/plugins --values values.yaml --values mirror.yaml

  # a lock that came another way
  botkube-mirror verify /mnt/plugins --against plugins.lock.json

  # a site, and a registry
  botkube-mirror verify /srv/www --base-url https://mirror.example.com/botkube
  botkube-mirror verify --format json \
    docker://registry.example.com/mirror/botkube-plugins:v1.14.0`,
		Args: exactArgs("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Target, o.ToolVersion = args[0], programVersion(g.env.Version)
			n := net.sources(args[0], o.Against)
			if err := checkAllEnabled(o.AllEnabled, o.Values); err != nil {
				return err
			}
			n.store = inRegistry(o.Against) // blobs of a target in a registry are not kept
			found, err := inSession(c.Context(), g, n, func(s *mirror.Session) (*mirror.Verification, error) {
				return s.Verify(c.Context(), o)
			})
			if err != nil {
				return err
			}
			if err := g.print(found, func(out *layout) { writeVerification(out, found, g.verbose) }); err != nil {
				return err
			}
			return found.Failure()
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.Against, "against", "", "`LOCK` Compare the mirror with this lock file, or with another mirror")
	flags.StringArrayVar(&o.Values, "values", nil, "`FILE` Check that an agent with these Helm values stays offline. FILE has values of Botkube's chart, a Flux or Argo CD document with such values, or objects that the chart rendered. Later files win over earlier ones.")
	allEnabledFlag(flags, &o.AllEnabled)
	flags.StringVar(&o.Version, "version", "", "`VERSION` Chart version of the values, if the mirror does not have it")
	flags.BoolVar(&o.Unpack, "unpack", false, "Also unpack the archives of a bundle, as an agent needs them. This takes longer.")
	group(flags, "What to check")
	flags.StringVar(&o.BaseURL, "base-url", "", "`URL` Check that the indexes of a site name this URL. For a bundle with --values, it is where its files will be served.")
	flags.BoolVar(&o.Served, "served", false, "Do not check the URLs in the indexes of a site. botkube-mirror serve writes its own ones.")
	flags.StringVar(&o.Mount, "mount", "", "`PATH` Check that the indexes of a directory or an image name this path. For a bundle with --values, it is where the agent will see its files.")
	group(flags, "Where agents find the files")
	net.register(c)
	return c
}

func writeVerification(out *layout, v *mirror.Verification, verbose bool) {
	state, details := v.Verdict()
	out.verdict(verificationMood(v), form.SourceName(v.Target), state, details...)
	if v.Values != nil {
		state, details := v.Values.Verdict()
		out.verdict(valuesMood(v.Values), "agent with these values", state, details...)
	}
	writeVerified(out, v)
	writeProblems(out, v.OwnProblems(), v.Files)
	writeFiles(out, v.Files, verbose)
	if !v.Misplaced() {
		writeAgents(out, v.Agents)
	}
	out.replaced(v.Replaced)
	if v.Values != nil {
		writeChecked(out, v.Values)
	}
	if v.Against != nil {
		writeNotCompared(out, v.Against.NotCompared)
	}
	for _, n := range v.Notes {
		out.note("%s", n)
	}
}

func verificationMood(v *mirror.Verification) mood {
	own := v.OwnProblems()
	switch {
	case len(own) == 0 && v.Unverified == 0:
		return good
	case !slices.ContainsFunc(own, func(p audit.Problem) bool { return p.Kind != audit.KindUnfit }):
		return caution
	}
	return bad
}

func valuesMood(c *values.Checked) mood {
	switch {
	case c.Alone:
		return good
	case len(c.Problems) == 0:
		return caution
	}
	return bad
}

// writeVerified says what the mirror is, and where it belongs.
func writeVerified(out *layout, v *mirror.Verification) {
	what := forms.All.NameOf(v.Kind)
	if v.BotkubeVersion != "" {
		what += " of Botkube " + v.BotkubeVersion
	}
	if len(v.Platforms) > 0 {
		what += " for " + agent.JoinPlatforms(v.Platforms)
	}
	out.text("%s", strings.ToUpper(what[:1])+what[1:])
	if v.Digest != "" {
		out.item("digest %s", v.Digest) // which just fits
	}
	for _, fact := range [][2]string{
		{"mount at", v.Mount}, {"serve at", v.BaseURL}, {"checked", size(v.Bytes)}, {"checksums", checksumsOf(v.Files)}, {"agent", offline(v)}, {"against", against(v)},
	} {
		if fact[1] != "" {
			out.item("%-9s  %s", fact[0], fact[1])
		}
	}
	out.last = tableBlock // what follows is no fact
}

// checksumsOf says where the checksums of upstream files come from, of each once.
func checksumsOf(files []audit.File) string {
	counts, counted := map[lock.ChecksumSource]int{}, map[string]bool{}
	for _, f := range files {
		for _, a := range f.Sources {
			if key := string(a.VerifiedBy) + " " + a.URL; !counted[key] {
				counted[key] = true
				counts[a.VerifiedBy]++
			}
		}
	}
	return countsBySource(counts)
}

// writeProblems lists problems. Reasons stand below the files if there is no room beside them. The
// digests of a file stand below one another, to be compared.
func writeProblems(out *layout, problems []audit.Problem, files []audit.File) {
	kinds, paths := len("PROBLEM"), 0
	for _, p := range problems {
		kinds, paths = max(kinds, len(p.Kind)), max(paths, columnsOf(tameName(p.Path)))
	}
	why := prose("WHY")
	below := paths > 0 && kinds+paths+2*len(gap)+why.least > out.width
	var rows [][]string
	for _, p := range problems {
		detail, digests := oneLine(p.Detail), [][]string(nil)
		if i := slices.IndexFunc(files, func(f audit.File) bool { return otherContent(f, p) }); i >= 0 {
			detail = "not as in " + files[i].Basis.What()
			digests = [][]string{{"  sha256    " + files[i].SHA256.String()}, {"  expected  " + files[i].Expected.String()}}
		}
		if below {
			rows = append(rows, []string{string(p.Kind) + strings.Repeat(" ", kinds-len(p.Kind)) + gap + p.Path})
			for _, line := range wrapped(detail, out.textWidth()-len(gap), "") {
				rows = append(rows, []string{gap + line})
			}
		} else {
			rows = append(rows, []string{string(p.Kind), p.Path, detail})
		}
		rows = append(rows, digests...)
	}
	if below {
		rows = append([][]string{{"PROBLEM" + strings.Repeat(" ", kinds-len("PROBLEM")) + gap + "FILE"}}, rows...)
	}
	out.table([]column{word("PROBLEM"), word("FILE"), why}, rows)
}

// otherContent reports whether a problem is that a file does not have the expected digest.
func otherContent(f audit.File, p audit.Problem) bool {
	return p.Kind == audit.KindDamaged && f.Path == p.Path && f.SHA256 != nil && f.Expected != nil && strings.Contains(p.Detail, f.Expected.String())
}

func writeFiles(out *layout, files []audit.File, verbose bool) {
	if !verbose {
		return
	}
	var rows [][]string
	for _, f := range files {
		sum := "-"
		if f.SHA256 != nil {
			sum = f.SHA256.String()
		}
		rows = append(rows, []string{f.Path, string(f.State), size(f.Size), f.Content, sum})
	}
	out.table([]column{word("FILE"), word("STATE"), number("SIZE"), prose("CONTENT"), word("SHA256")}, rows)
}

// writeAgents says what agents would download from outside, or why they would not start.
func writeAgents(out *layout, agents []audit.Prediction) {
	var external, failures [][]string
	for _, o := range agents {
		at := strings.TrimSpace(o.Version + " " + o.Platform.String())
		for _, c := range o.External {
			what := string(c.Kind)
			if c.Dependency != "" {
				what += " " + c.Dependency
			}
			external = append(external, []string{at, c.Plugin, what, c.Because, c.URL})
		}
		for _, f := range o.Failures {
			failures = append(failures, []string{at, oneLine(f)})
		}
	}
	if len(external) > 0 {
		out.title("What agents would download from outside:")
		out.table([]column{word("AGENT"), word("PLUGIN"), word("FILE"), prose("WHY"), word("URL")}, external)
	}
	if len(failures) > 0 {
		out.title("What would not start:")
		out.table([]column{word("AGENT"), prose("PLUGIN AND REASON")}, failures)
	}
}

// offline says in a few words what agents with every plugin enabled would download. It says nothing
// good of a mirror with problems, and nothing if values tell better.
func offline(v *mirror.Verification) string {
	outside, failures := 0, 0
	for _, o := range v.Agents {
		outside, failures = outside+len(o.External), failures+len(o.Failures)
	}
	switch {
	case failures > 0:
		return plural(failures, "plugin", "plugins") + " would not start: listed below"
	case outside > 0:
		return plural(outside, "download", "downloads") + " from outside"
	case len(v.Agents) == 0 || len(v.OwnProblems()) > 0 || v.Values != nil:
		return ""
	}
	return "starts offline, with every plugin enabled"
}

// writeChecked says what an agent with given values does.
func writeChecked(out *layout, c *values.Checked) {
	var settings, rows [][]string
	same := map[string]int{} // rows of settings by what is wrong: one mistake may show in many settings
	for _, p := range slices.SortedStableFunc(slices.Values(c.Problems), func(a, b audit.Problem) int { return strings.Compare(a.Path, b.Path) }) {
		detail := oneLine(p.Detail)
		row, known := same[detail]
		switch {
		case p.Kind != audit.KindSetting:
			out.missing("%s", p.Detail)
		case known:
			settings[row][0] += ", " + p.Path
		default:
			same[detail] = len(settings)
			settings = append(settings, []string{p.Path, detail})
		}
	}
	out.table([]column{prose("SETTING"), prose("WHAT IS WRONG")}, settings)
	for _, p := range c.All() {
		rows = append(rows, []string{string(p.Type), p.Key, strings.Join(p.Groups, ", ")})
	}
	if len(rows) > 0 {
		out.title("Plugins that these values use:")
		out.table([]column{word("TYPE"), word("PLUGIN"), prose("GROUPS")}, rows)
	}
	writeLeftOut(out, c.LeftOut)
	writeConnections(out, c)
	for _, n := range c.Agent.Notes {
		out.note("%s", n)
	}
}

func writeLeftOut(out *layout, all []agent.LeftOut) {
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{string(l.Type), l.Key, l.Group, l.Reason})
	}
	if len(rows) > 0 {
		out.title("Plugins that these values do not use:")
		out.table([]column{word("TYPE"), word("PLUGIN"), word("GROUP"), prose("WHY NOT")}, rows)
	}
}

// writeConnections lists what the agent, its node and its plugins connect to: first what leaves the
// cluster.
func writeConnections(out *layout, c *values.Checked) {
	var leaving, within []agent.Egress
	for _, e := range c.Egress {
		if e.InCluster {
			within = append(within, e)
		} else {
			leaving = append(leaving, e)
		}
	}
	const server = "the Kubernetes API server"
	switch {
	case len(leaving) > 0:
		out.title("Connections that leave the cluster:")
		writeEgress(out, leaving)
	case len(c.Unknown) > 0:
		out.text("No known connection leaves the cluster.")
	default:
		out.text("No connection leaves the cluster.")
	}
	if len(within) == 0 {
		out.text("Within the cluster, the agent connects to %s only.", server)
		return
	}
	out.title("Connections within the cluster, besides %s:", server)
	writeEgress(out, within)
}

func writeEgress(out *layout, all []agent.Egress) {
	for _, e := range all {
		from, why := cmp.Or(e.Plugin, "agent"), []string{e.Purpose}
		if e.ByNode {
			from = "node"
		}
		if e.OnRequest {
			why = append(why, "on request")
		}
		if e.Proxy != "" {
			why = append(why, "through "+e.Proxy)
		}
		stop := [2]string{"stopped by", e.StoppedBy()}
		if stop[1] == "" {
			stop = [2]string{"set by", cmp.Or(e.Stop, e.Setting)}
		}
		out.record(from+" -> "+strings.ReplaceAll(e.Destination, " and ", ", "), [2]string{"why", strings.Join(why, ", ")}, stop)
	}
}

// against says how the mirror compares with another, if it has the same lock.
func against(v *mirror.Verification) string {
	a := v.Against
	if a == nil || len(a.Differences) > 0 { // which are among the problems
		return ""
	}
	same := "same lock as " + form.SourceName(a.Target)
	switch {
	case v.Altered():
		return same + ", but not the same files as when unpacked from it"
	case a.Remade && v.Intact:
		return same + ", and the same files as when unpacked from it"
	}
	return same
}

package cmd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pullCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var write writeFlags
	var net networkFlags
	var o mirror.PullOptions
	c := &cobra.Command{
		Use:   "pull --version VERSION --output TARGET",
		Short: "Download plugins, check them, and write a mirror",
		Long: `Download plugins and everything they need, check every file, and write a mirror.
A mirror is a directory for the agent, a bundle to carry over the gap, an image
to mount, or a site for a web server. One download can be written in several
forms.

Without a choice, all plugins of the repositories are mirrored. Choose some with
--plugin, or those that an agent with your Helm values starts with --values.
The result lists what the values leave out, and why.

pull first checks that the disks have room for the downloads and the outputs;
--dry-run prints how much they need. It ends at the first download that fails,
unless you give --keep-going.`,
		Example: `  # a bundle with everything for Botkube v1.14.0
  botkube-mirror pull --version v1.14.0 -o bundle.tar

  # what your agent starts, with its image and its Helm chart
  botkube-mirror pull --version v1.14.0 --values values.yaml \
    --platform linux/amd64,linux/arm64 --with-agent-image --with-chart \
    -o bundle.tar

  # two plugins, in a directory for the agent
  botkube-mirror pull --version v1.14.0 --platform linux/arm64 \
    --plugin botkube/kubectl,botkubeExtra/helm -o ./plugins

  # a newer kubectl than the one that the plugin names
  botkube-mirror pull --version v1.14.0 -o bundle.tar --dependency \
    'botkube/kubectl:kubectl=https://dl.k8s.io/v1.34.1/bin/{os}/{arch}/kubectl'

  # a site for a web server
  botkube-mirror pull --version v1.14.0 -o site:/srv/www \
    --base-url https://mirror.example.com/botkube

  # a repository of your own
  botkube-mirror pull -o ./plugins \
    --repository acme=https://plugins.example.com/plugins-index.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Selection, err = sel.selection(g); err != nil {
				return err
			}
			if o.WriteOptions, err = write.options(g); err != nil {
				return err
			}
			result, err := inSession(c.Context(), g, net.upstream(), func(s *mirror.Session) (*mirror.Result, error) {
				return s.Pull(c.Context(), o)
			})
			if _, incomplete := errors.AsType[*mirror.Incomplete](err); err != nil && !(incomplete && (o.DryRun || g.format == "json")) {
				return err
			}
			return errors.Join(err, g.printTo(g.resultTo(o.Outputs), result, func(out *layout) { pullSummary(out, result) }))
		},
	}
	sel.register(c, false)
	write.register(c)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "Print what would be downloaded and how much disk that needs. Plugins and dependencies are not downloaded.")
	keepGoingFlag(c, &o.KeepGoing)
	net.register(c)
	net.transfer.registerMaxSize(c)
	return c
}

func keepGoingFlag(c *cobra.Command, keepGoing *bool) {
	c.Flags().BoolVar(keepGoing, "keep-going", false,
		"Go on after a failed download. The command then lists all failures, writes nothing, and exits with 5.")
	group(c.Flags(), runFlags)
}

func pullSummary(out *layout, r *mirror.Result) {
	var files []checked
	for _, a := range r.Artifacts {
		files = append(files, checked{a.URL, a.Size, a.VerifiedBy})
	}
	var advice []form.Advice
	for _, o := range r.Outputs {
		if !r.DryRun {
			advice = append(advice, o.Next(r.Platforms, r.Mount))
		}
	}
	has := contents(len(r.Plugins), r.Dependencies(), r.Platforms)
	all := ""
	if r.DryRun {
		writePlan(out, r, has)
	} else {
		traffic := fmt.Sprintf("%s: %s downloaded, %s from the store", count(len(r.Artifacts), "file"), size(r.FetchedBytes), size(r.ReusedBytes))
		if r.FetchedBytes > 0 && !slices.ContainsFunc(r.Outputs, func(o mirror.OutputResult) bool { return o.Changed }) {
			traffic = fmt.Sprintf("the store lacked %s, which was downloaded; nothing had to be written", size(r.FetchedBytes))
		}
		out.written(r.Outputs, has, traffic)
		if path := r.Outputs[0].Path; path != form.StandardStream {
			all = "botkube-mirror list " + path
		}
	}
	out.checksums(files)
	out.members(r.AgentImage, r.WatcherImage, r.Chart)
	out.replaced(lock.ReplacedIn(r.Plugins))
	for _, a := range advice {
		out.settings(a.Settings)
	}
	if !r.DryRun { // the plan has all of them
		out.unverified(files, all)
	}
	out.configured(r.Values)
	if r.DryRun {
		writePlannedFiles(out, r)
	}
	out.partial(r.AgentImage, r.WatcherImage)
	if len(r.NotSelected) > 0 {
		out.note("also offered for %s. --platform all mirrors every platform.", agent.JoinPlatforms(r.NotSelected))
	}
	for _, t := range r.LocalTemplates {
		out.note("%s reads the templates %s from the agent's container. They are not mirrored.", t.Plugin, t.Ref)
	}
	for _, u := range r.Unfit {
		out.note("%s: %s: %s", u.Subject(), u.Detail(), u.Remedy())
	}
	out.steps(advice)
}

// writePlan says what a pull would do: how much first, and each file last.
func writePlan(out *layout, r *mirror.Result, has string) {
	var missing, present int64
	unknown, failed, short := 0, 0, false
	for _, a := range r.Artifacts {
		switch a.Status {
		case mirror.StatusReused:
			present += max(a.Size, 0)
		case mirror.StatusFailed:
			failed++
		default:
			missing += max(a.Size, 0)
		}
		if a.Size < 0 {
			unknown++
		}
	}
	for _, u := range r.Disk {
		short = short || u.Short()
	}
	files := count(len(r.Artifacts), "file")
	switch {
	case failed > 0:
		out.verdict(bad, "dry run", fmt.Sprintf("%d of %s not available", failed, files), has)
	case short:
		out.verdict(bad, "dry run", "too little disk space", has)
	default:
		out.verdict(plain, "dry run", has)
	}
	text := fmt.Sprintf("%s: %s to download, %s in the store", files, size(missing), size(present))
	if unknown > 0 {
		text += fmt.Sprintf(", %d of unknown size", unknown)
	}
	out.item("%s", text)
	if r.MemberBytes > 0 {
		what := "the agent image"
		if r.WatcherImage != nil {
			what += " and the watcher image"
		}
		out.item("%s of %s to download", size(r.MemberBytes), what)
	}
	writeDisk(out, r)
}

// writePlannedFiles lists the files of a plan by the directories that they are in.
func writePlannedFiles(out *layout, r *mirror.Result) {
	columns := []column{word("FILE"), number("SIZE"), word("CHECKSUM FROM"), word("STATUS")}
	cells := map[string][]string{}
	var urls []string
	room := out.width - len(gap)
	for i, c := range columns[1:] {
		widest := columnsOf(c.heading)
		for _, a := range r.Artifacts {
			cells[a.URL] = []string{sizeOf(a.ListedFile), checksumFrom(a.VerifiedBy), plannedStatus(a.Status)}
			widest = max(widest, columnsOf(cells[a.URL][i]))
		}
		room -= len(gap) + widest
	}
	for _, a := range r.Artifacts {
		urls = append(urls, a.URL)
	}
	from := maps.Clone(r.From)
	var rows [][]string
	for _, dir := range directories(urls, room) {
		rows = append(rows, []string{dir.url})
		instead, shared := dir.instead(from)
		if shared {
			rows = append(rows, []string{gap + "from " + instead})
		}
		for _, url := range dir.files {
			name := gap + strings.TrimPrefix(url, dir.url)
			if columnsOf(name) > room {
				rows = append(rows, []string{name})
				name = ""
			}
			rows = append(rows, append([]string{name}, cells[url]...))
			if from[url] != "" && !shared {
				rows = append(rows, []string{gap + gap + "from " + from[url]})
			}
			delete(from, url)
		}
	}
	out.table(columns, rows)
	var others [][]string // indexes, images and the chart
	for _, what := range slices.Sorted(maps.Keys(from)) {
		others = append(others, []string{what, from[what]})
	}
	out.table([]column{word("ALSO READ"), named("FROM")}, others)
}

func plannedStatus(s mirror.Status) string {
	switch s {
	case mirror.StatusReused:
		return "in the store"
	case mirror.StatusFailed:
		return "not available"
	}
	return "to download"
}

// writeDisk says what room a pull needs.
func writeDisk(out *layout, r *mirror.Result) {
	var rows [][]string
	for _, u := range r.Disk {
		free := "unknown"
		if u.Free >= 0 {
			free = size(u.Free)
		}
		if u.Short() {
			free += ", too little"
		}
		for _, n := range u.For {
			rows = append(rows, []string{n.String(), atLeast(n.Needed, n.AtLeast), ""})
		}
		if len(u.For) > 1 {
			rows = append(rows, []string{"all on this disk", atLeast(u.Needed, u.AtLeast), ""})
		}
		rows[len(rows)-1][2] = free
	}
	out.table([]column{word("DISK SPACE FOR"), number("NEEDED"), word("FREE")}, rows)
}

func atLeast(bytes int64, open bool) string {
	if open {
		return "at least " + size(bytes)
	}
	return size(bytes)
}

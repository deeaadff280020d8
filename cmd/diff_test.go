package cmd

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// TestDiffSummary has a line for each aspect that the scripts do not come by.
func TestDiffSummary(t *testing.T) {
	amd64 := agent.Platform{OS: "linux", Arch: "amd64"}
	dependency := lock.Difference{
		Change: lock.Changed, Subject: lock.SubjectDependency, Repository: "demo", Type: agent.Executor, Name: "hello", Version: "v1.0.0",
		Platform: &amd64, Dependency: "greet",
	}
	with := func(d lock.Difference, aspect lock.Aspect, from, to string) lock.Difference {
		d.Aspect, d.From, d.To = aspect, from, to
		return d
	}
	of := func(subject lock.Subject) lock.Difference {
		return lock.Difference{Change: lock.Changed, Subject: subject}
	}
	image, chart := of(lock.SubjectAgentImage), of(lock.SubjectChart)
	onAMD64 := image
	onAMD64.Platform = &amd64
	repository, file := of(lock.SubjectRepository), of(lock.SubjectFile)
	repository.Repository, file.URL = "demo", "https://e.com/greet"
	digest := func(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }
	got := diffSummary(&mirror.Diffed{
		Differences: []lock.Difference{
			with(of(lock.SubjectBotkube), lock.AspectVersion, "", "v1.14.0"),
			{Change: lock.Added, Subject: lock.SubjectRepository, Repository: "extra", To: "https://e.com/extra.yaml"},
			with(repository, lock.AspectURL, "https://e.com/1", "https://e.com/2"),
			with(repository, lock.AspectSchemas, "", ""),
			with(dependency, lock.AspectVerifiedBy, "index", "none"),
			with(dependency, lock.AspectFromNewest, "no", "yes"),
			with(dependency, lock.AspectFromNewest, "yes", "no"),
			with(file, lock.AspectVerifiedWith, "https://e.com/greet.sha256", "https://e.com/SHA256SUMS"),
			with(image, lock.AspectReference, "e.com/b:1", "e.com/b:2"),
			with(onAMD64, lock.AspectContent, digest("1"), digest("2")),
			with(chart, lock.AspectName, "botkube", "botcube"),
			with(chart, lock.AspectContent, digest("3"), digest("4")),
		},
		Alarming:    2,
		NotCompared: []mirror.NotCompared{{Subject: lock.SubjectChart, Kind: "image"}},
	})
	const want = `ALARM: 2 things differ that must not change.
Upstream replaced content, or somebody else did. Ask the publisher first.

~ Botkube: none -> v1.14.0
+ repository extra: https://e.com/extra.yaml
~ repository demo: https://e.com/1 -> https://e.com/2
~ repository demo: the JSON schemas that its index refers to
~ executor demo/hello@v1.0.0 for linux/amd64: dependency greet: checksum by the index -> by nobody
~ executor demo/hello@v1.0.0 for linux/amd64: dependency greet: now only a newer version of the plugin lists it
~ executor demo/hello@v1.0.0 for linux/amd64: dependency greet: now its own version of the plugin lists it
~ https://e.com/greet: checksum by the publisher, in https://e.com/greet.sha256 -> https://e.com/SHA256SUMS
~ agent image: e.com/b:1 -> e.com/b:2
~ agent image for linux/amd64: other content under the same reference: sha256:111111111111 -> sha256:222222222222
~ chart: name botkube -> botcube
~ chart: other content under the same version: sha256:333333333333 -> sha256:444444444444
not compared: chart, which the mountable image cannot hold
12 differences
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

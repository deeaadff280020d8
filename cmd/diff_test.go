package cmd

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// TestDiffSummary covers the aspects that no script covers.
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
	out := &layout{width: 80}
	writeDiff(out, &mirror.Diffed{
		A: mirror.DiffedSide{Identity: mirror.Identity{Target: "a.tar"}}, B: mirror.DiffedSide{Identity: mirror.Identity{Target: "-", BotkubeVersion: "v1.14.0"}},
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
	const want = `a.tar -> standard input: ALARM, 2 replaced in place, – → v1.14.0, 1 dependency
  changed, 12 differences

Content changed that must not change: the publisher or an attacker replaced it.
  Ask the publisher before you use it.

Replaced in place:
WHAT                         WAS                  IS
agent image for linux/amd64  sha256:111111111111  sha256:222222222222
chart                        sha256:333333333333  sha256:444444444444

Botkube and platforms:
WHAT     WAS  IS
Botkube  –    v1.14.0

Where checksums come from:
FILE
  WAS                         IS
greet of executor demo/hello@v1.0.0 for linux/amd64
  from the index              unverified
https://e.com/greet, checksum files
  https://e.com/greet.sha256  https://e.com/SHA256SUMS

Dependencies:
DEPENDENCY                                           WAS            IS
greet of executor demo/hello@v1.0.0 for linux/amd64  its own        only a newer
                                                     version of     version of
                                                     the plugin     the plugin
                                                     lists it       lists it
greet of executor demo/hello@v1.0.0 for linux/amd64  only a newer   its own
                                                     version of     version of
                                                     the plugin     the plugin
                                                     lists it       lists it

Images and chart:
WHAT         WAS        IS
agent image  e.com/b:1  e.com/b:2
chart, name  botkube    botcube

Indexes, templates and other files:
WHAT                           WAS              IS
repository extra               –                https://e.com/extra.yaml
repository demo                https://e.com/1  https://e.com/2
repository demo, JSON schemas  –                changed

note: not compared: chart, as the mountable image cannot hold it
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDiffMarkdown has names from outside with markup in them, and tables that are too long.
func TestDiffMarkdown(t *testing.T) {
	amd64 := agent.Platform{OS: "linux", Arch: "amd64"}
	hostile := "x` | @all <img src=x> |\n/merge\n# [y](https://evil.example) `"
	side := func(target, version string) mirror.DiffedSide {
		return mirror.DiffedSide{
			Identity: mirror.Identity{Target: target, BotkubeVersion: version, Platforms: []agent.Platform{amd64}},
			Totals:   mirror.ListedTotals{Files: 2, AllBytes: 2048, VerifiedBy: map[lock.ChecksumSource]int{lock.ByIndex: 1, lock.ByNone: 1}},
		}
	}
	plugin := func(subject lock.Subject, change lock.Change) lock.Difference {
		return lock.Difference{Change: change, Subject: subject, Repository: "demo", Type: agent.Executor, Name: "hello", Version: "v1.0.0", Platform: &amd64}
	}
	with := func(d lock.Difference, aspect lock.Aspect, from, to string) lock.Difference {
		d.Aspect, d.From, d.To = aspect, from, to
		return d
	}
	dependency := plugin(lock.SubjectDependency, lock.Changed)
	dependency.Dependency = "greet"
	build := plugin(lock.SubjectBuild, lock.Added)
	build.To = "https://e.com/hello"
	repository := lock.Difference{Change: lock.Changed, Subject: lock.SubjectRepository, Repository: hostile}
	d := &mirror.Diffed{
		A: side("a.tar", hostile), B: side("b.tar", ""),
		Differences: []lock.Difference{
			plugin(lock.SubjectPlugin, lock.Added),
			build,
			with(dependency, lock.AspectReplaces, "", "https://e.com/"+hostile),
			with(dependency, lock.AspectReplaces, lock.ReplacesNothing, ""),
			with(dependency, lock.AspectFromNewest, "no", "yes"),
			with(dependency, lock.AspectVerifiedBy, "index", "none"),
			with(repository, lock.AspectSchemas, "", ""),
			with(lock.Difference{Change: lock.Changed, Subject: lock.SubjectChart}, lock.AspectVersion, "v1.13.0", "v1.14.0"),
			with(lock.Difference{Change: lock.Changed, Subject: lock.SubjectAgentImage, Platform: &amd64}, lock.AspectContent, "sha256:1", "sha256:2"),
		},
		Alarming:    1,
		NotCompared: []mirror.NotCompared{{Subject: lock.SubjectChart, Kind: "image"}},
		New:         mirror.NewContent{Files: 1, Bytes: 1024, Unverified: []string{hostile}},
	}
	const escaped = `x\x60 \x7c @all <img src=x> \x7c; /merge; # [y](https://evil.example) \x60`
	want := strings.NewReplacer("HOSTILE", escaped, "'", "`").Replace(`### Botkube plugins: ALARM, 1 replaced in place, 'HOSTILE' → –, 1 added, 1 dependency changed

'a.tar' → 'b.tar'

**ALARM: content changed that must not change.** The publisher or an attacker replaced it.
Ask the publisher before you merge.

#### Replaced in place

| What | Was | Is |
|---|---|---|
| 'agent image for linux/amd64' | 'sha256:1' | 'sha256:2' |

| | Was | Is |
|---|---|---|
| Botkube | 'HOSTILE' | – |
| Platforms | 'linux/amd64' | 'linux/amd64' |
| Files | 2 | 2 |
| Size | 2.0 KiB | 2.0 KiB |
| Checksums given | 1 from the index, 1 unverified | 1 from the index, 1 unverified |

New content: 1 file of plugins and dependencies; 1.0 KiB with indexes, images and chart.

#### Unverified: new files without a checksum of the index or the publisher

* 'HOSTILE'

#### Plugins

| Plugin | Was | Is |
|---|---|---|
| executor 'demo/hello' | – | 'v1.0.0' |
| executor 'demo/hello@v1.0.0' for 'linux/amd64' | – | 'https://e.com/hello' |

#### Where checksums come from

| File | Was | Is |
|---|---|---|
| 'greet' of executor 'demo/hello@v1.0.0' for 'linux/amd64' | from the index | unverified |

#### Dependencies

| Dependency | Was | Is |
|---|---|---|
| 'greet' of executor 'demo/hello@v1.0.0' for 'linux/amd64', replacement | 'not replaced' | 'replaced: the index has https://e.com/HOSTILE' |
| 'greet' of executor 'demo/hello@v1.0.0' for 'linux/amd64', replacement | 'supplied (the index has none)' | 'not replaced' |
| 'greet' of executor 'demo/hello@v1.0.0' for 'linux/amd64' | its own version of the plugin lists it | only a newer version of the plugin lists it |

#### Images and chart

| What | Was | Is |
|---|---|---|
| 'chart' | 'v1.13.0' | 'v1.14.0' |

#### Indexes, templates and other files

| What | Was | Is |
|---|---|---|
| 'repository HOSTILE', JSON schemas | – | changed |

* not compared: chart, as the mountable image cannot hold it
`)
	if got := diffMarkdown(d); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for range 5000 {
		d.Differences = append(d.Differences, build)
	}
	got := diffMarkdown(d)
	if len(got) > 65536 {
		t.Errorf("%d bytes are too many for a comment", len(got))
	}
	for _, want := range []string{"<details><summary>5002 differences</summary>\n", "\n</details>\n", " rows do not fit into a comment: botkube-mirror diff prints all.\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in the long form", want)
		}
	}
}

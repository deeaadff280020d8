package mirror

import (
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// Status is what becomes of an artifact.
type Status string

// The statuses. A dry run has StatusReused for what the store has and StatusMissing for what a pull
// would download. StatusFailed is for files that could not be downloaded.
const (
	StatusFetched Status = "fetched"
	StatusReused  Status = "reused"
	StatusMissing Status = "missing"
	StatusFailed  Status = "failed"
)

// Result is what a pull did. It is printed as JSON for machines.
type Result struct {
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	DryRun         bool             `json:"dryRun,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	Outputs        []OutputResult   `json:"outputs,omitempty"`
	Plugins        []lock.Plugin    `json:"plugins"`
	Artifacts      []ArtifactResult `json:"artifacts"`
	// AgentImage, WatcherImage and Chart are in the bundles.
	AgentImage   *lock.Image `json:"agentImage,omitempty"`
	WatcherImage *lock.Image `json:"watcherImage,omitempty"`
	Chart        *lock.Chart `json:"chart,omitempty"`
	// MemberBytes is how much of the images has to be downloaded.
	MemberBytes int64 `json:"memberBytes,omitempty"`
	// From has, with DryRun, what is asked in the place of URLs and references.
	From map[string]string `json:"from,omitempty"`
	// FetchedBytes came over the network in this run; ReusedBytes were there.
	FetchedBytes int64 `json:"fetchedBytes"`
	ReusedBytes  int64 `json:"reusedBytes"`
	// Failed are the files that could not be had; then no output was written.
	Failed []Failure `json:"failed,omitempty"`
	// Disk is what a dry run finds of the room on each file system.
	Disk []DiskUse `json:"disk,omitempty"`
	// Unfit are the files that an agent cannot run.
	Unfit []pluginsdir.Unfit `json:"unfit,omitempty"`
	// Values is what the values files have the agent do, if there are any.
	Values *configured.Agent `json:"values,omitempty"`
	// NotSelected are platforms that the plugins are also offered for.
	NotSelected []agent.Platform `json:"platformsNotSelected,omitempty"`
	// LocalTemplates are not mirrored: paths in the agent's container.
	LocalTemplates []resolve.LocalTemplates `json:"templatesNotMirrored,omitempty"`
	// Mount is where the agent must see an output.
	Mount string `json:"mount"`
}

// OutputResult is an output of a run. It is printed as JSON for machines.
type OutputResult struct {
	// Form is the prefix of the target.
	Form string `json:"form"`
	Path string `json:"path"`
	form.Written

	target form.Target
}

func newOutputResult(t form.Target) OutputResult {
	return OutputResult{Form: t.Prefix, Path: t.Path, target: t}
}

// String names the output in messages.
func (o OutputResult) String() string { return o.target.String() }

// Next returns the next steps with the output, for a person.
func (o OutputResult) Next(platforms []agent.Platform, mount string) form.Advice {
	return o.target.Next(o.Path, o.Written, platforms, mount)
}

// ArtifactResult is the result of a run for one upstream file.
type ArtifactResult struct {
	ListedFile
	Status Status `json:"status"`
	// Transferred is how many bytes came over the network.
	Transferred int64 `json:"transferred"`
}

// pinned reports whether all is known that a lock says. A size of 0 is not believed.
func (a ArtifactResult) pinned() bool {
	_, err := lock.ParseSHA256(a.SHA256)
	return err == nil && a.Size > 0
}

func newResult(plan *resolve.Plan, o PullOptions) *Result {
	r := &Result{
		BotkubeVersion: plan.Lock.BotkubeVersion,
		DryRun:         o.DryRun,
		Platforms:      plan.Lock.Platforms,
		Plugins:        plan.Lock.Plugins,
		NotSelected:    plan.NotSelected,
		LocalTemplates: plan.LocalTemplates,
		AgentImage:     plan.Lock.AgentImage,
		WatcherImage:   plan.Lock.WatcherImage,
		Chart:          plan.Lock.Chart,
		Mount:          o.Mount,
	}
	for _, target := range o.Outputs {
		r.Outputs = append(r.Outputs, newOutputResult(target))
	}
	for i, a := range plan.Lock.Artifacts {
		known := ArtifactResult{ListedFile: ListedFile{URL: a.URL, Size: -1, VerifiedBy: a.VerifiedBy, VerifiedWith: a.VerifiedWith}, Status: StatusMissing}
		if plan.Enforced && a.VerifiedBy == lock.ByNone {
			known.VerifiedBy = lock.ByLock
		}
		for _, c := range plan.Downloads[i].Checksums {
			if c.Algorithm == "sha256" {
				known.SHA256 = c.Hex
			}
		}
		r.Artifacts = append(r.Artifacts, known)
	}
	return r
}

// fetched records what an artifact turned out to be.
func (r *Result) fetched(i int, a lock.Artifact, f fetch.Result) {
	out := &r.Artifacts[i]
	out.Size, out.SHA256, out.Transferred, out.Status = a.Size, a.SHA256.String(), f.Transferred, StatusFetched
	if f.Reused {
		out.Status = StatusReused
		r.ReusedBytes += a.Size
	}
	r.FetchedBytes += f.Transferred
}

// Dependencies counts the dependencies of the plugins: on the platform that has most, each URL once.
func (r *Result) Dependencies() (most int) {
	seen := map[agent.Platform]map[string]bool{}
	for _, p := range r.Plugins {
		for _, b := range p.Builds {
			if seen[b.Platform] == nil {
				seen[b.Platform] = map[string]bool{}
			}
			for _, d := range b.Dependencies {
				seen[b.Platform][d.URL] = true
			}
			most = max(most, len(seen[b.Platform]))
		}
	}
	return most
}

//go:build linux

package acceptance

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newerHelm and newerKubectl are what a company takes in the place of what the indexes name.
var (
	newerHelm = releaseDependency{
		name: "helm", version: "v3.19.0",
		url: func(p platform) string {
			return fmt.Sprintf("https://tools.example.com/helm-v3.19.0-%s-%s.tar.gz//%[1]s-%s", p.OS, p.Arch)
		},
		members: helm.members,
		sums:    sumsBeside(".sha256"),
	}
	newerKubectl = releaseDependency{
		name: "kubectl", version: "v1.34.1",
		url:  func(p platform) string { return "https://tools.example.com/kubectl-v1.34.1-" + p.OS + "-" + p.Arch },
		sums: func(*Upstream, string, string, platform) {},
	}
)

// TestAgentStartsWithReplacedDependencies wants the plugins to run the programs that --dependency names: from a
// directory, and from a server of a bundle. Those of the indexes are not even asked for.
func TestAgentStartsWithReplacedDependencies(t *testing.T) {
	upstream := release(t).But("https://tools.example.com/", nil) // a copy
	for _, d := range []releaseDependency{newerHelm, newerKubectl} {
		if err := publishDependency(upstream, d, here); err != nil {
			t.Fatal(err)
		}
	}
	braces := platform{"{os}", "{arch}"}
	sum := upstream.files[newerKubectl.url(here)].sum
	proxy := startProxy(t, upstream)
	bundle := filepath.Join(tempDir(t), "bundle.tar")
	m := pullThrough(t, proxy, "-o", bundle, "--platform", here.String(), "--store", filepath.Join(tempDir(t), "store"),
		"--plugin", "botkube/kubectl", "--plugin", "botkubeExtra/helm",
		"--dependency", "botkubeExtra/helm:helm="+newerHelm.url(braces),
		"--dependency", "botkube/kubectl:kubectl="+newerKubectl.url(braces)+"?checksum=sha256:"+sum)
	for _, r := range proxy.Requests() {
		if strings.HasPrefix(r.URL, fileURL(helm.url(here))) || strings.HasPrefix(r.URL, kubectl.url(here)) {
			t.Errorf("pull asked for %s", r)
		}
	}
	cfg := agentConfig{Repositories: repositories(IndexURLs), Executors: []string{"botkube/kubectl", "botkubeExtra/helm"}}
	check := func(report agentReport) {
		t.Helper()
		if report.Error != "" {
			t.Errorf("the agent did not start: %s", report.Error)
			return
		}
		for _, p := range releasePlugins {
			d, ours := map[string]releaseDependency{"botkubeExtra/helm": newerHelm, "botkube/kubectl": newerKubectl}[p.key()]
			if ours {
				checkAnswer(t, p.key(), report.Executors[p.key()], description{p.stamp(here), map[string]string{d.name: d.says(here)}})
			}
		}
	}
	check(m.start(t, cfg))
	if _, asked := m.asksFor(t, cfg); len(asked) > 0 {
		t.Errorf("the agent asked for %q", asked)
	}
	s := startServer(t, bundle)
	cfg.Repositories = repositories(s.indexes)
	check(s.startAgent(t, cfg))
}

// TestAgentStartsWithSuppliedDependency has a plugin whose dependency the index lists for another platform only.
func TestAgentStartsWithSuppliedDependency(t *testing.T) {
	upstream := world{upstream: acme(plugin{kind: "executor", name: "echo", version: "v1.0.0", needs: []string{"own"}, needsElsewhere: []string{"tool"}})}.publish(t)
	at := base + "ours/tool"
	upstream.Publish(at, []byte("#!/bin/sh\necho ours\n"))
	args := []string{"--repository", "acme=" + base + "acme.yaml"}
	without := runProduct(t, startProxy(t, upstream), slices.Concat([]string{"pull", "-o", filepath.Join(tempDir(t), "none"), "--platform", here.String()}, args)...)
	if without.code != 2 {
		t.Errorf("exit code %d without it", without.code)
	}
	m := pull(t, upstream, append(args, "--dependency", "acme/echo:tool="+at)...)
	cfg := agentConfig{Repositories: repositories(map[string]string{"acme": base + "acme.yaml"}), Executors: []string{"acme/echo"}}
	report := m.start(t, cfg)
	if report.Error != "" {
		t.Fatal(report.Error)
	}
	checkAnswer(t, "acme/echo", report.Executors["acme/echo"], description{Stamp: "executor_echo_v1.0.0", Dependencies: map[string]string{"own": "own", "tool": "ours"}})
	if _, asked := m.asksFor(t, cfg); len(asked) > 0 {
		t.Errorf("the agent asked for %q", asked)
	}
}

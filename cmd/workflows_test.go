package cmd

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// pinned are the forms of what a workflow runs: an action by its commit, with the version in a
// comment; an action of this repository, by a tag in what users copy; an image by its digest.
var pinned = regexp.MustCompile(`^(\./\S+|botkube-mirror/botkube-mirror/\S+@v1\.2\.3|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9.]+|\S+:\S+@sha256:[0-9a-f]{64})$`)

// TestWorkflows checks what actionlint does not know, also in the workflow that users copy:
// digests, bounds and rights. A script has no expression in it, because a value would become code
// there.
func TestWorkflows(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../.github/workflows/*.yml", "../.github/actions/*/action.yml", "../docs/ci/github.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no workflows were found")
	}
	pins := map[string]string{}
	for _, file := range files {
		t.Run(filepath.ToSlash(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var root yaml.Node
			if err := yaml.Unmarshal(data, &root); err != nil {
				t.Fatal(err)
			}
			eachKey(&root, func(key, value *yaml.Node) {
				switch key.Value {
				case "uses", "image":
					text := strings.TrimSpace(value.Value + " " + value.LineComment)
					if value.Kind != yaml.ScalarNode {
						return
					}
					if !pinned.MatchString(text) {
						t.Errorf("line %d: %s is not pinned by a digest, or lacks the version in a comment", value.Line, text)
					}
					name, pin, _ := strings.Cut(text, "@")
					if pins[name] == "" {
						pins[name] = pin
					}
					if pins[name] != pin {
						t.Errorf("line %d: %s is %s elsewhere; Dependabot raises only what is in .github", value.Line, text, pins[name])
					}
				case "run":
					if strings.Contains(value.Value, "${{") {
						t.Errorf("line %d: an expression in a script; give it to the script in env", value.Line)
					}
				}
			})
			var workflow struct {
				Permissions *map[string]string `yaml:"permissions"`
				Concurrency any                `yaml:"concurrency"`
				Jobs        map[string]struct {
					Uses        string            `yaml:"uses"`
					Permissions map[string]string `yaml:"permissions"`
					Timeout     int               `yaml:"timeout-minutes"`
				} `yaml:"jobs"`
			}
			if err := root.Decode(&workflow); err != nil {
				t.Fatal(err)
			}
			if workflow.Jobs == nil {
				return // an action
			}
			if workflow.Permissions == nil || len(*workflow.Permissions) > 0 {
				t.Error("permissions: {} is missing at the top, so that each job names its own")
			}
			if workflow.Concurrency == nil && strings.HasPrefix(file, "../.github/") {
				t.Error("concurrency is missing")
			}
			for name, job := range workflow.Jobs {
				if len(job.Permissions) == 0 || job.Uses == "" && job.Timeout == 0 {
					t.Errorf("job %s lacks permissions or timeout-minutes", name)
				}
			}
		})
	}
}

// TestWorkflowGo checks that the image of CI has the Go version of go.mod.
func TestWorkflowGo(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))[1]
	if ci := read(t, "../.github/workflows/ci.yml"); !strings.Contains(ci, "golang:"+version+"-") {
		t.Errorf("ci.yml does not run in an image of Go %s, which go.mod wants", version)
	}
}

// TestDependabot checks that Dependabot covers every module of the repository.
func TestDependabot(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string   `yaml:"package-ecosystem"`
			Directories []string `yaml:"directories"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "../.github/dependabot.yml")), &config); err != nil {
		t.Fatal(err)
	}
	var modules []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "go.mod" {
			modules = append(modules, "/"+strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	modules[slices.Index(modules, "/..")] = "/"
	slices.Sort(modules)
	for _, u := range config.Updates {
		if u.Ecosystem == "gomod" && !slices.Equal(u.Directories, modules) {
			t.Errorf("dependabot looks after\n%q, modules are\n%q", u.Directories, modules)
		}
	}
}

// TestGitLabScripts checks that the scripts in GitLab's jobs are those of the actions. -update writes
// them.
func TestGitLabScripts(t *testing.T) {
	const file = "../docs/ci/gitlab.yml"
	got := read(t, file)
	want := got
	for mark, script := range map[string]string{"INSTALL": "../.github/actions/pull/install.sh", "RENEW": "../.github/actions/renew/renew.sh"} {
		const indent = "      "
		before, after, found := strings.Cut(want, "<<'"+mark+"'\n")
		_, rest, end := strings.Cut("\n"+after, "\n"+indent+mark+"\n")
		if !found || !end {
			t.Fatalf("%s has no script between %s and %[2]s", file, mark)
		}
		var text strings.Builder
		for line := range strings.Lines(read(t, script)) {
			if line != "\n" {
				text.WriteString(indent)
			}
			text.WriteString(line)
		}
		want = before + "<<'" + mark + "'\n" + text.String() + indent + mark + "\n" + rest
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s is out of date; run: go test -run='^TestGitLabScripts$' ./cmd -update", file)
	}
}

// TestRenovate checks that the regular expressions for Renovate find versions and checksums in the
// examples.
func TestRenovate(t *testing.T) {
	var config struct {
		CustomManagers []struct {
			ManagerFilePatterns []string `json:"managerFilePatterns"`
			MatchStrings        []string `json:"matchStrings"`
			DepNameTemplate     string   `json:"depNameTemplate"`
		} `json:"customManagers"`
	}
	if err := json.Unmarshal([]byte(read(t, "../docs/ci/renovate.json")), &config); err != nil {
		t.Fatal(err)
	}
	gitlab := "variables:\n  MIRROR_RELEASE: v1.2.3\n  MIRROR_SHA256: " + strings.Repeat("0", 64) + "\n"
	for _, tt := range []struct{ file, text, dependency, want string }{
		{"botkube-mirror.yaml", read(t, "../docs/reference/botkube-mirror.example.yaml"), "kubeshop/botkube", "v1.14.0"},
		{"ci/botkube-mirror.staging.yml", "version: \"v1.13.0\" # raised by Renovate\n", "kubeshop/botkube", "v1.13.0"},
		{"botkube-mirror.yaml", "pull:\n  version: v1.13.0\n", "kubeshop/botkube", ""},
		{"values.yaml", "version: v1.13.0\n", "kubeshop/botkube", ""},
		{".github/workflows/botkube-mirror.yml", read(t, "../docs/ci/github.yml"), "botkube-mirror/botkube-mirror", "v1.2.3 v1.2.3 v1.2.3"},
		{".gitlab-ci.yml", gitlab, "botkube-mirror/botkube-mirror", "v1.2.3"},
	} {
		var found []string
		for _, m := range config.CustomManagers {
			named := slices.ContainsFunc(m.ManagerFilePatterns, func(p string) bool { return regexp.MustCompile(strings.Trim(p, "/")).MatchString(tt.file) })
			if !named || m.DepNameTemplate != tt.dependency {
				continue
			}
			for _, p := range m.MatchStrings {
				pattern := regexp.MustCompile(p)
				for _, match := range pattern.FindAllStringSubmatch(tt.text, -1) {
					found = append(found, match[pattern.SubexpIndex("currentValue")])
					if i := pattern.SubexpIndex("currentDigest"); i > 0 && len(match[i]) != 64 {
						t.Errorf("%s: the digest is %q", tt.file, match[i])
					}
				}
			}
		}
		if got := strings.Join(found, " "); got != tt.want {
			t.Errorf("%s: found %q of %s, want %q", tt.file, got, tt.dependency, tt.want)
		}
	}
}

// eachKey calls yield for every key of every mapping.
func eachKey(n *yaml.Node, yield func(key, value *yaml.Node)) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			yield(n.Content[i], n.Content[i+1])
		}
	}
	for _, c := range n.Content {
		eachKey(c, yield)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

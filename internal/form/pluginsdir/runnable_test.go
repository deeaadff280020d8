package pluginsdir

import (
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

func TestJudgeProgram(t *testing.T) {
	const arm64, windows = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00", "MZ"
	padded := func(head string) string { return head + strings.Repeat("\x00", 64) }
	for _, test := range []struct {
		name, format, dependency, content string
		problem, note                     bool
	}{
		{name: "a script", content: "#!/bin/sh\n"},
		{name: "a script in an archive", format: "tar.gz", content: "#!/bin/sh\n"},
		{name: "a LICENSE in an archive", format: "tar.gz", content: "Apache License\n", problem: true},
		{name: "an empty file in an archive", format: "tar.gz", content: "", problem: true},
		{name: "text at a URL of its own", content: "tool\n", note: true},
		{name: "an unknown kind in an archive", format: "tar.gz", content: "\x00\xff\x01", note: true},
		{name: "an archive at a URL of its own", content: "PK\x03\x04", problem: true},
		{name: "another processor", content: padded(arm64), problem: true},
		{name: "another system", format: "zip", content: padded(windows), problem: true},
		{name: "a dependency for another processor", dependency: "kubectl", content: padded(arm64), problem: true},
		{name: "a dependency for another system", dependency: "kubectl", format: "tar.gz", content: padded(windows), problem: true},
		{name: "a dependency that is data", dependency: "zones", content: "\x1f\x8b\x08"},
		{name: "a dependency that is text", dependency: "settings", format: "tar.gz", content: "text"},
		{name: "a dependency that is a script", dependency: "tool", content: "#!/bin/bash\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := lock.File{
				Path: "r/executor_v1_x", Format: test.format, Dependency: test.dependency,
				Artifact: lock.Artifact{URL: "https://user:secret@example.com/x"},
				Plugin:   agent.PluginKey{Repository: "r", Name: "x", Version: "v1"},
			}
			made := lock.Made{Name: "LICENSE", Program: agent.IdentifyProgram([]byte(test.content))}
			unfit, is := JudgeProgram(amd64, f, made)
			var r audit.Report
			ReportUnfit(&r, f.Path, amd64, f, made)
			if is {
				for _, text := range []string{unfit.Subject(), unfit.Detail(), unfit.Remedy()} {
					if text == "" || strings.Contains(text, "secret") {
						t.Errorf("told: %q", text)
					}
				}
			}
			if got := len(r.Problems()) == 1; got != test.problem {
				t.Errorf("problems: %v", r.Problems())
			}
			if got := len(r.Notes()) == 1; got != test.note {
				t.Errorf("notes: %q", r.Notes())
			}
		})
	}
	for replaces, remedy := range map[string]string{"": "report the problem to its publisher", "nothing": "correct the URL in --dependency"} {
		f := lock.File{Dependency: "d", Replaces: replaces}
		if unfit, _ := JudgeProgram(amd64, f, lock.Made{Program: agent.IdentifyProgram([]byte(padded(arm64)))}); !strings.Contains(unfit.Remedy(), remedy) {
			t.Errorf("replaces %q: %s", replaces, unfit.Remedy())
		}
	}
	if _, is := JudgeProgram(amd64, lock.File{Template: "t"}, lock.Made{Program: agent.IdentifyProgram([]byte("text"))}); is {
		t.Error("a template is no program")
	}
}

package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// folds writes sections that a CI system can fold in its log. Nil writes none.
type folds struct {
	out   io.Writer
	style foldStyle
	// title is the title of the open section, or empty. GitLab closes the section by its name. n
	// counts sections.
	title, name string
	n           int
}

// foldStyle returns the lines that begin and end a section, and an annotation.
type foldStyle struct {
	begin, end func(name, title string) string
	// annotation is nil if the system has none.
	annotation func(level, text string) string
}

// newFolds returns the folds for the CI system in the environment, or nil.
func newFolds(env *Environment) *folds {
	switch {
	case env.Getenv("GITHUB_ACTIONS") != "":
		return &folds{out: env.Stderr, style: githubStyle}
	case env.Getenv("GITLAB_CI") != "":
		return &folds{out: env.Stderr, style: gitlabStyle}
	}
	return nil
}

// begin opens a section for the current activity, unless it is open.
func (f *folds) begin(m *meter) {
	if f == nil {
		return
	}
	title := "botkube-mirror: " + m.activityName()
	if title == f.title {
		return
	}
	f.end()
	f.n++
	f.title, f.name = title, fmt.Sprintf("botkube_mirror_%d_%d", m.began.Unix(), f.n)
	_, _ = io.WriteString(f.out, f.style.begin(f.name, title)) // nobody could be told
}

// end closes the open section.
func (f *folds) end() {
	if f == nil || f.title == "" {
		return
	}
	_, _ = io.WriteString(f.out, f.style.end(f.name, f.title)) // nobody could be told
	f.title = ""
}

// annotate adds a text to the page of the run, if the system has such a page.
func (f *folds) annotate(level, text string) {
	if f != nil && f.style.annotation != nil {
		_, _ = io.WriteString(f.out, f.style.annotation(level, text)) // nobody could be told
	}
}

// gitlabStyle is for GitLab's log (docs.gitlab.com/ci/jobs/job_logs, Custom collapsible sections).
var gitlabStyle = foldStyle{
	begin: func(name, title string) string {
		return fmt.Sprintf("\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", time.Now().Unix(), name, tameName(title))
	},
	end: func(name, _ string) string {
		return fmt.Sprintf("\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", time.Now().Unix(), name)
	},
}

// githubStyle is for GitHub Actions (docs.github.com, Workflow commands for GitHub Actions).
var githubStyle = foldStyle{
	begin: func(_, title string) string { return "::group::" + githubData.Replace(tameName(title)) + "\n" },
	end:   func(string, string) string { return "::endgroup::\n" },
	annotation: func(level, text string) string {
		return fmt.Sprintf("::%s title=botkube-mirror::%s\n", level, githubData.Replace(tame(text)))
	},
}

// githubData escapes the data of a workflow command (actions/toolkit, core/src/command.ts,
// escapeData).
var githubData = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

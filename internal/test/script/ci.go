package script

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"
)

// variables are read from YAML.
type variables map[string]string

// step is one of a composite action.
type step struct {
	ID   string    `yaml:"id"`
	Run  string    `yaml:"run"`
	Uses string    `yaml:"uses"`
	Env  variables `yaml:"env"`
}

type action struct {
	Inputs map[string]struct {
		Required bool   `yaml:"required"`
		Default  string `yaml:"default"`
	} `yaml:"inputs"`
	Outputs map[string]struct {
		Value string `yaml:"value"`
	} `yaml:"outputs"`
	Runs struct {
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
}

// runAction runs the steps of an action of .github/actions as GitHub's runner does. Those that use
// other actions are passed over.
func runAction(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: action CODE NAME [INPUT=VALUE]...")
	}
	dir := filepath.Join(repositoryRoot(ts), ".github", "actions", args[1])
	var a action
	readYAML(ts, filepath.Join(dir, "action.yml"), &a)
	// go test caches a result until files change that it has seen the test look at.
	scripts, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*", "*"))
	ts.Check(err)
	for _, file := range scripts {
		_, err := os.Stat(file)
		ts.Check(err)
	}
	temp := ts.MkAbs("runner")
	ts.Check(os.MkdirAll(temp, 0o755))
	values := a.values(ts, args[1], args[2:])
	env := variables{
		"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": dir, "RUNNER_TEMP": temp,
		"GITHUB_OUTPUT": filepath.Join(temp, "output"), "GITHUB_PATH": filepath.Join(temp, "path"), "GITHUB_STEP_SUMMARY": filepath.Join(temp, "summary"),
	}
	path, code := ts.Getenv("PATH"), 0
	for _, s := range a.Runs.Steps {
		if s.Uses != "" {
			continue
		}
		for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
			ts.Check(os.WriteFile(env[name], nil, 0o644))
		}
		of := maps.Clone(env)
		of["PATH"] = path
		for name, value := range s.Env {
			of[name] = evaluate(ts, values, value)
		}
		if code = runShell(ts, of, []string{"bash", "--noprofile", "--norc", "-e", "-o", "pipefail"}, s.Run); code != 0 {
			break
		}
		for name, value := range outputsOf(ts, env["GITHUB_OUTPUT"]) {
			values["steps."+s.ID+".outputs."+name] = value
		}
		for dir := range strings.Lines(ts.ReadFile(env["GITHUB_PATH"])) {
			path = strings.TrimSpace(dir) + string(os.PathListSeparator) + path
		}
	}
	wantCode(ts, args[0], code)
	if code == 0 {
		ts.Check(os.MkdirAll(ts.MkAbs("outputs"), 0o755))
		for name, output := range a.Outputs {
			ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("outputs"), name), []byte(evaluate(ts, values, output.Value)), 0o644))
		}
	}
}

// values returns what an action finds in expressions: the runner's values, and its inputs.
func (a *action) values(ts *testscript.TestScript, called string, inputs []string) variables {
	values := variables{"runner.os": "Linux", "github.token": "gh-t0ken", "github.event.pull_request.number": "7",
		"github.event.pull_request.head.repo.full_name": "owner/mirror"}
	given := variables{}
	for _, arg := range inputs {
		name, value, _ := strings.Cut(arg, "=")
		if _, known := a.Inputs[name]; !known {
			ts.Fatalf("the action %s has no input %s", called, name)
		}
		given[name] = value
	}
	for name, input := range a.Inputs {
		value, found := given[name]
		if !found && input.Required {
			ts.Fatalf("the action %s lacks the input %s", called, name)
		}
		if !found {
			value = evaluate(ts, values, input.Default)
		}
		values["inputs."+name] = value
	}
	return values
}

var expression = regexp.MustCompile(`\$\{\{ *([^} ]+) *\}\}`)

// evaluate replaces the expressions in a text.
func evaluate(ts *testscript.TestScript, values variables, text string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		value, known := values[name]
		if !known {
			ts.Fatalf("%s is not known", found)
		}
		return value
	})
}

// outputsOf reads what a step wrote to $GITHUB_OUTPUT: NAME=VALUE, or NAME<<MARK and lines up to
// MARK.
func outputsOf(ts *testscript.TestScript, file string) variables {
	found := variables{}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(file), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if name, mark, several := strings.Cut(lines[i], "<<"); several && !strings.Contains(name, "=") {
			end := i + 1 + slices.Index(lines[i+1:], mark)
			if end <= i {
				ts.Fatalf("the output %s has no end", name)
			}
			found[name], i = strings.Join(lines[i+1:end], "\n"), end
		} else if name, value, ok := strings.Cut(lines[i], "="); ok {
			found[name] = value
		}
	}
	return found
}

// job is one of GitLab CI.
type job struct {
	Extends      string    `yaml:"extends"`
	Variables    variables `yaml:"variables"`
	BeforeScript []string  `yaml:"before_script"`
	Script       []string  `yaml:"script"`
}

// runGitLabJob runs a job of docs/ci/gitlab.yml as GitLab's runner does.
func runGitLabJob(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: gitlab-job CODE JOB [NAME=VALUE]...")
	}
	var jobs map[string]job
	readYAML(ts, filepath.Join(repositoryRoot(ts), "docs", "ci", "gitlab.yml"), &jobs)
	run, found := jobs[args[1]]
	if !found {
		ts.Fatalf("there is no job %s", args[1])
	}
	for base := run.Extends; base != ""; base = jobs[base].Extends {
		from := maps.Clone(jobs[base].Variables)
		maps.Copy(from, run.Variables)
		run.Variables = from
		if run.BeforeScript == nil {
			run.BeforeScript = jobs[base].BeforeScript
		}
	}
	env := variables{"GITLAB_CI": "true", "CI_PROJECT_DIR": ts.MkAbs("."), "PATH": ts.Getenv("PATH")}
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		env[name] = value
	}
	for name, value := range run.Variables {
		env[name] = os.Expand(value, func(name string) string { return env[name] })
	}
	wantCode(ts, args[0], runShell(ts, env, []string{"bash", "-e", "-o", "pipefail"}, strings.Join(slices.Concat(run.BeforeScript, run.Script), "\n")))
}

// runShell runs a script with an environment, and returns its exit code.
func runShell(ts *testscript.TestScript, env variables, shell []string, script string) int {
	before := variables{}
	for name, value := range env {
		before[name] = ts.Getenv(name)
		ts.Setenv(name, value)
	}
	defer func() {
		for name, value := range before {
			ts.Setenv(name, value)
		}
	}()
	file := ts.MkAbs(".step.sh")
	ts.Check(os.WriteFile(file, []byte(script), 0o644))
	err := ts.Exec(shell[0], append(shell[1:], file)...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

func wantCode(ts *testscript.TestScript, want string, code int) {
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, not %s\n%s%s", code, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func repositoryRoot(ts *testscript.TestScript) string {
	return filepath.Dir(filepath.Dir(ts.Getenv("UPSTREAM")))
}

func readYAML(ts *testscript.TestScript, file string, to any) {
	data, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(yaml.Unmarshal(data, to))
}

// startComments starts a server at $COMMENTS that takes comments as GitHub and GitLab do. Its
// certificate is from $CA's authority. For each request, it writes a file DIR/N: the method, the
// path, headers with a token, and the body.
func startComments(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: comments DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	var n atomic.Int32
	s := startTLS(ts, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			text := fmt.Sprintf("%s %s\n%s%s\n\n%s", req.Method, req.URL.Path, req.Header.Get("Authorization"), req.Header.Get("PRIVATE-TOKEN"), body)
			err = os.WriteFile(filepath.Join(dir, strconv.Itoa(int(n.Add(1)))), []byte(text), 0o644)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	ts.Setenv("COMMENTS", s.URL)
	writeAuthority(ts)
}

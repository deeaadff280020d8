// Package script runs the scripts that drive the program as a user would.
package script

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/gittest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// Run runs the scripts in a directory testdata. Each script drives the program as a user would.
// Beside testscript's own commands they have:
//
//	exits CODE COMMAND...   runs a command that must exit with a code
//	says PATTERN            standard output must match, with one blank for line breaks and several blanks
//	upstream DIR [DELAY]    serves a directory over HTTP at $URL, with DELAY after each piece of 1 KiB
//	upstream DIR held       sends 24 KiB of each file at first, and the rest once it is released
//	release                 lets go what is held
//	requests N[+] PATTERN   the server must have had N requests, or as many and more, that match "METHOD PATH"
//	forget                  drops the record of requests
//	snapshot DIR FILE       writes paths, modes, times and digests of a directory to FILE
//	same DIR DIR            paths, modes and digests of two directories must be the same
//	flip-blobs STORE SIZE...
//	                        changes the last byte of the blobs of some sizes
//	flip FILE               changes the last byte of a file
//	forge DIR INDEX FILE    changes the last byte of a file of a cache directory, and its index and SHA256SUMS to fit
//	find FILE PATTERN NAME  sets $NAME to what the group of a pattern matches in a file
//	cmpline FILE FILE       two files must be the same but for their first line
//	waitfor FILE PATTERN    waits until a file has a match
//	mode FILE PERM          the permissions of a file must be PERM
//	expand FROM TO          copies a file, with the environment variables in it replaced
//	url FILE NAME           puts the first URL in a file at $NAME, and what is before its path at $NAME_HOST
//	get STATUS URL FILE [FIELD: VALUE]...
//	                        writes what comes of a GET to FILE; certificates of $CA are trusted
//	certificate DIR         writes the certificate of loopback to DIR/cert.pem, key.pem and ca.pem
//
//	registry NAME [tls] [auth]
//	                        starts a registry at $NAME, with its authority's certificate in $NAME_CA and
//	                        docker's configuration with its password in the directory $NAME_CONFIG
//	proxy NAME REGISTRY METHOD PATH ACTION [times=N] [at=N] [skip=N]
//	                        stands before a registry at $NAME; requests of METHOD with PATH in them
//	                        are answered with a status, or: cut, cutresponse, flip, drop
//	agentimage REGISTRY/PATH:TAG PLATFORM...
//	attach REGISTRY/PATH:TAG TYPE|.sig TEXT
//	                        pushes an image for some platforms
//	rootfs DIR ROOT         unpacks the layers of an image that skopeo copied to dir:DIR
//	git NAME DIR REF [PATH=NAME]...
//	                        commits a directory to the repository NAME of a git server, which then has REF,
//	                        and has git ask it in the place of https://github.com; at PATH, the last commit
//	                        of another repository, or one that is nowhere, is a submodule; a file NAME@ is a link
//	static-program FILE OS/ARCH
//	                        writes the beginning of a program that needs no libraries
//	chart DIR VERSION [DIGEST]
//	                        writes a chart repository with a chart of Botkube
//
//	cloud                   imitates Botkube Cloud over TLS: $CLOUD has indexes for who knows $KEY, $ARCHIVES
//	                        all the rest; $CA is the authority's certificate
//	keyless                 the key went with requests for indexes only, and others were made since the last time
//	asking                  serves $UPSTREAM at $ASKING to whom has a certificate: joe.pem and joe.key are good, old.pem and
//	                        old.key have expired, those of stranger are of another authority
//	httpproxy               starts a proxy at $PROXY ($PROXY_HOST without user and password), which alone knows $INDEX_NAME
//
//	github DIR              serves a directory as https://github.com, by way of the proxy $GITHUB_PROXY; the file latest of
//	                        a repository has the tag of its newest release; $CA is the authority's certificate
//	manager [git=URL] [registry=HOST]
//	                        imitates github.com, get.helm.sh and others, with the files of internet/HOST, and before them a
//	                        repository manager at $MANAGER ($MANAGER_HOST; see package artifactorytest); $INTERNET is a proxy
//	                        that leads to the hosts, $BLOCKED one that does not, $MANAGER_NETRC and the directory
//	                        $MANAGER_CONFIG have the password; requests are recorded for $URL being $MANAGER or $BLOCKED
//	habits [HABIT]...       gives the manager other habits (artifactorytest.Habits)
//
//	action CODE NAME [INPUT=VALUE]...
//	                        runs the steps of .github/actions/NAME as GitHub does, which must exit with CODE; what it
//	                        gives is in runner/summary and outputs/OUTPUT
//	gitlab-job CODE JOB [NAME=VALUE]...
//	                        runs a job of docs/ci/gitlab.yml as GitLab does, which must exit with CODE
//	comments DIR            takes comments at $COMMENTS (over TLS, see $CA), as GitHub and GitLab do, and writes each to DIR/N
//
//	volume DIR OPTION...    mounts an empty directory whose modes and owners bindfs makes up by its options
//
// and the conditions [thorough], which the thorough tier fulfils (see package tier),
// [root], [ipv6], [registry], [skopeo], [podman], [bindfs] and [git].
func Run(t *testing.T, testdata string) {
	t.Helper()
	upstream, err := filepath.Abs(filepath.Join(testdata, "upstream"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join(testdata, "script"),
		Setup:         func(env *testscript.Env) error { return setUp(env, upstream) },
		Cmds:          commands,
		Condition:     condition,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

func setUp(env *testscript.Env, upstream string) error {
	env.Setenv("UPSTREAM", upstream)
	env.Values[registriesKey{}] = registries{}
	env.Values[cloudKey{}] = new(cloud)
	env.Values[gitServerKey{}] = &gitServer{}
	env.Values[heldKey{}] = new(held)
	env.Values[answersKey{}] = new(answers)
	env.Values[managersKey{}] = new(managers)
	env.Setenv("BOTKUBE_MIRROR_STORE", filepath.Join(env.WorkDir, "store"))
	// With the race detector, each of hundreds of runs would wait a second
	// before it ends.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	// Each of hundreds of starts would collect what it has just initialized.
	env.Setenv("GOGC", "400")
	return nil
}

// commands are those of the scripts, beside the ones of testscript.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":          exits,
	"says":           says,
	"upstream":       serveUpstream,
	"answers":        setAnswers,
	"release":        release,
	"requests":       requests,
	"forget":         func(ts *testscript.TestScript, _ bool, _ []string) { recorded(ts).reset() },
	"snapshot":       snapshot,
	"same":           same,
	"flip":           flip,
	"cmpline":        compareLines,
	"forge":          forge,
	"flip-blobs":     flipBlobs,
	"waitfor":        waitFor,
	"mode":           mode,
	"expand":         expand,
	"url":            urlIn,
	"find":           find,
	"get":            get,
	"certificate":    writeCertificate,
	"registry":       startRegistry,
	"proxy":          startProxy,
	"like":           startLike,
	"agentimage":     pushAgentImage,
	"attach":         attach,
	"chart":          writeChart,
	"rootfs":         flatten,
	"git":            commitToGit,
	"static-program": writeStatic,
	"cloud":          startCloud,
	"keyless":        keyless,
	"asking":         serveAsking,
	"httpproxy":      startHTTPProxy,
	"github":         startGitHub,
	"manager":        startManager,
	"habits":         takeHabits,
	"action":         runAction,
	"gitlab-job":     runGitLabJob,
	"comments":       startComments,
	"volume":         mountBindfs,
}

// condition reports whether a condition of a line holds.
func condition(cond string) (bool, error) {
	switch cond {
	case "thorough":
		return tier.Thorough(), nil
	case "root":
		return os.Geteuid() == 0, nil
	case "ipv6":
		return hasIPv6(), nil
	case "registry":
		return tier.Expected("docker-registry"), nil
	case "podman":
		return tier.Expected("podman"), nil
	case "skopeo":
		return tier.Expected("skopeo"), nil
	case "bindfs":
		return canBind(), nil
	case "git":
		return gittest.Installed() || tier.Thorough(), nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: says PATTERN")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	text := strings.Join(strings.Fields(ts.ReadFile("stdout")), " ")
	if pattern.MatchString(text) == neg {
		ts.Fatalf("%q in:\n%s", args[0], text)
	}
}

// hasIPv6 reports whether this machine has the address ::1.
func hasIPv6() bool {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp6", "[::1]:0")
	return err == nil && l.Close() == nil
}

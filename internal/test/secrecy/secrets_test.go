//go:build linux

package secrecy

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSecrets runs the program with credentials of every kind, well and badly.
func TestSecrets(t *testing.T) {
	w := newWorld(t)
	path := func(name string) string { return filepath.Join(w.out, name) }
	trust := []string{"--ca-file", w.input("ca.pem"), "--client-cert", w.input("client.pem"), "--client-key", w.input("client.key")}
	from := func(command, key string, more ...string) []string {
		args := append([]string{command, "--version", "v1.0.0", "--header", "cloud:X-API-Key=env:" + key, "--retries", "0"}, trust...)
		return append(args, more...)
	}
	// What holds a secret is in the environment: the command line is looked at.
	chart := "BOTKUBE_MIRROR_WITH_CHART=" + w.withUser(w.basic.URL) + "/charts"
	repository := func(url string) string { return "BOTKUBE_MIRROR_REPOSITORY=basic=" + url }
	members := []string{"--with-agent-image=" + w.registryHost() + "/botkube:v1.0.0"}
	outputs := []string{"-o", path("bundle.tar"), "-o", "oci:" + path("layout"), "-o", path("dir"), "-o", "site:" + path("site"), "--base-url", "https://mirror.example.com", "-o", "image:" + path("image.tar"), "--seeder", "none"}
	runs := []struct {
		name string
		run
	}{
		{"dry run", run{args: from("pull", "API_KEY", append(members, "--dry-run", "-v", "-o", path("bundle.tar"))...), env: []string{chart}}},
		{"killed", run{args: from("pull", "API_KEY", "-v", "-o", path("dir")), trouble: hanging, stop: syscall.SIGKILL, code: -1}},
		{"interrupted", run{args: from("pull", "API_KEY", "-v", "--log-format", "json", "-o", path("dir")), trouble: hanging, stop: syscall.SIGINT, code: 130}},
		{"wrong checksum", run{args: from("pull", "API_KEY", "--store", path("s2"), "-v", "-o", path("none")), trouble: corrupt, code: 4, says: "the index of cloud"}},
		{"missing", run{args: from("pull", "API_KEY", "-v", "-o", path("none")), trouble: missing, code: 3, says: "404"}},
		{"missing, going on", run{args: from("pull", "API_KEY", "--keep-going", "--format", "json", "-o", path("none")), trouble: missing, code: 5, says: "404"}},
		{"denied", run{args: from("pull", "API_KEY", "--log-format", "json", "-v", "-o", path("none")), trouble: denied, code: 3, says: "401"}},
		{"redirected to http", run{args: from("pull", "API_KEY", "--store", path("s3"), "-v", "-o", path("none")), trouble: tooClear, code: 3, says: "plain http"}},
		{"wrong header", run{args: from("pull", "WRONG_KEY", "-v", "-o", path("none")), code: 3, says: "the value of the header field X-API-Key"}},
		{"wrong login", run{args: from("pull", "API_KEY", append(members, "-v", "-o", path("none.tar"))...), env: []string{"DOCKER_CONFIG=" + w.input("wrong")}, code: 3, says: "docker login"}},
		{"garbled netrc", run{args: from("pull", "API_KEY", "-v", "-o", path("none")), env: []string{"NETRC=" + w.input("garbled.netrc")}, code: 2, says: "line 1"}},
		{"proxy that nobody runs", run{args: from("pull", "API_KEY", "-v", "-o", path("none")), env: []string{"HTTPS_PROXY=http://proxyuser:" + w.value("proxy") + "@127.0.0.1:1"}, code: 3, says: "refused"}},
		{"proxy that is none", run{args: from("pull", "API_KEY", "-v", "-o", path("none")), env: []string{"HTTPS_PROXY=http://proxyuser:" + w.value("proxy") + "/x@127.0.0.1:1"}, code: 2, says: "HTTPS_PROXY"}},
		{"header for nobody", run{args: from("pull", "API_KEY", "-v", "-o", path("none")), env: []string{repository(w.withUser("https://127.0.0.1:1/x.yaml"))}, code: 2, says: "no repository \"cloud\""}},
		{"refused", run{args: []string{"pull", "-v", "--retries", "1", "--header", "basic:Token=env:API_KEY", "-o", path("none")}, env: []string{repository(w.withUser("https://127.0.0.1:1/x.yaml") + "?odd=1&token=" + w.value("header"))}, code: 3, says: "refused"}},
		{"user over http", run{args: []string{"pull", "-v", "-o", path("none")}, env: []string{repository(w.withUser("http://127.0.0.1:1/x.yaml"))}, code: 2, says: "plain http"}},
		{"header over http", run{args: []string{"pull", "-v", "--repository", "basic=http://127.0.0.1:1/x.yaml", "--header", "basic:Token=env:API_KEY", "-o", path("none")}, code: 2, says: "plain http"}},
		{"password that is not escaped", run{args: []string{"pull", "-v", "-o", path("none")}, env: []string{repository("https://urluser:x/" + w.value("user information") + "@127.0.0.1:1/x.yaml")}, code: 2, says: "the URL of repository \"basic\" is malformed"}},
		{"header that is none", run{args: []string{"pull", "-o", path("none")}, env: []string{"BOTKUBE_MIRROR_HEADER=cloud:X-API-Key: " + w.value("header")}, code: 2, says: "--header"}},

		{"all", run{args: from("pull", "API_KEY", append(append(members, "-v"), outputs...)...), env: []string{chart}}},
		{"all again, in JSON", run{args: from("pull", "API_KEY", append(append(members, "--format", "json", "--log-format", "json"), outputs...)...), env: []string{chart}}},
		{"with a helper", run{args: from("pull", "API_KEY", append(members, "--store", path("fresh"), "-o", path("other.tar"))...), env: []string{chart, "DOCKER_CONFIG=" + w.input("helper")}}},
		{"lock", run{args: from("lock", "API_KEY", append(members, "-v", path("lock.json"))...), env: []string{chart}}},
		{"lock, printed", run{args: from("lock", "API_KEY", "--format", "json", "-")}},
		{"list", run{args: from("list", "API_KEY", "--format", "json")}},
		{"outdated", run{args: append([]string{"outdated", path("lock.json"), "-v", "--release", "v1.0.0", "--header", "cloud:X-API-Key=env:API_KEY"}, trust...), code: 3, says: "chart: reading "}},
		{"outdated, and denied", run{args: append([]string{"outdated", path("lock.json"), "-v", "--format", "json", "--header", "cloud:X-API-Key=env:API_KEY", "--retries", "0"}, trust...), trouble: denied, code: 3, says: "401"}},
		{"list the bundle", run{args: []string{"list", path("bundle.tar"), "--format", "json"}}},
		{"unpack", run{args: []string{"unpack", path("bundle.tar"), "-v", "-o", path("unpacked")}}},
		{"verify", run{args: []string{"verify", path("dir"), "--against", path("bundle.tar"), "-v"}}},
		{"push", run{args: append([]string{"push", path("bundle.tar"), w.registryHost() + "/mirror", "-v", "--seeder", "none"}, trust...)}},
		{"push that is denied", run{args: append([]string{"push", path("bundle.tar"), w.registryHost() + "/denied", "-v", "--seeder", "none", "--retries", "0"}, trust...), code: 3, says: "403"}},
		{"list what was pushed", run{args: append([]string{"list", "docker://" + w.registryHost() + "/mirror/botkube-plugins-bundle:v1.0.0"}, trust...)}},
		{"configuration file", run{args: append([]string{"pull", "-f", w.input("config.yaml"), "--retries", "0", "-v", "-o", path("none")}, trust...), code: 3, says: "the value of the header field X-API-Key"}},
		{"configuration file alone", run{args: append([]string{"pull", "-f", w.input("config.yaml"), "--retries", "0", "-v", "-o", path("none")}, trust...), env: []string{"BOTKUBE_MIRROR_REPOSITORY="}, code: 2, says: "no repository \"cloud\""}},
		{"values", run{args: append([]string{"pull", "--version", "v1.14.0", "--values", w.input("values.yaml"), "-v", "--store", path("s4"), "-o", path("valued")}, trust...), env: []string{"BOTKUBE_MIRROR_REPOSITORY="}}},
		{"values in JSON", run{args: append([]string{"pull", "--version", "v1.14.0", "--values", w.input("values.yaml"), "--dry-run", "--format", "json", "--store", path("s5")}, trust...), env: []string{"BOTKUBE_MIRROR_REPOSITORY="}}},
		{"values verified", run{args: []string{"verify", path("valued"), "--values", w.input("values.yaml"), "--format", "json"}, code: 5, says: "4 settings to change"}},
		{"values printed", run{args: []string{"values", path("valued"), "--pvc", "plugins", "--network-policy", "--values", w.input("values.yaml"), "-v"}}},
		{"values printed, as manifests", run{args: []string{"values", path("valued"), "--seed-from", "registry.example.test/m/p:v1", "--format", "manifests", "--values", w.input("values.yaml"), "--log-format", "json"}}},
		{"values printed, of a registry", run{args: append([]string{"values", "docker://" + w.registryHost() + "/mirror/botkube-plugins-bundle:v1.0.0", "--base-url", "https://mirror.example.com", "--format", "json"}, trust...)}},
		{"values with Cloud", run{args: []string{"values", path("valued"), "--pvc", "plugins", "--values", w.input("values.yaml"), "--values", w.input("cloud.yaml")}, code: 2, says: "Botkube Cloud"}},
		{"values with a list that is none", run{args: []string{"values", path("valued"), "--pvc", "plugins", "--values", w.input("nolist.yaml")}, code: 2, says: "must be a list"}},
		{"values for an image with a user", run{args: []string{"values", path("valued")}, env: []string{"BOTKUBE_MIRROR_IMAGE=urluser:" + w.value("user information") + "@registry.example.test/p:v1"}, code: 2, says: "must not have credentials"}},
		{"values for a site with a user", run{args: []string{"values", path("site")}, env: []string{"BOTKUBE_MIRROR_BASE_URL=" + w.withUser("https://mirror.example.test")}, code: 2, says: "base URL contains a user name"}},
		{"serve with a key that is none", run{args: []string{"serve", path("bundle.tar"), "--tls-cert", w.input("client.pem"), "--tls-key", w.input("config.yaml")}, code: 2, says: "with the key"}},
		{"prune", run{args: []string{"prune", "-v"}}},
	}
	for _, r := range runs {
		t.Run(r.name, func(t *testing.T) {
			w.t = t
			w.commands = map[string]bool{}
			w.try(r.run)
			if len(w.commands) == 0 {
				t.Error("no command line was looked at")
			}
			for line := range w.commands {
				search(t, "a command line", []byte(line), w.all())
			}
		})
	}
	w.t = t
	for _, format := range []string{"text", "json"} {
		w.serve("serve", path("bundle.tar"), "--listen", "127.0.0.1:0", "--tls-cert", w.input("client.pem"), "--tls-key", w.input("client.key"), "-v", "--log-format", format)
	}
	for name := range w.secrets {
		// Those two are nobody's business.
		if name != "private key" && name != "bot token" && !w.met[name] {
			t.Errorf("no server was shown the secret %q", name)
		}
	}
	lines, err := os.ReadFile(w.input("helper/cmdlines"))
	check(t, err)
	if !strings.Contains(string(lines), "docker-credential-secrecy") {
		t.Errorf("of the helper, there is %q", lines)
	}
	if files := searchDir(t, w.out, w.all(), nil); files < 40 {
		t.Errorf("only %d files were searched", files)
	}
}

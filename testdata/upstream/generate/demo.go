package main

import (
	"encoding/base64"
	"math/rand/v2"
	"path"
)

// demo is a small upstream that looks like Botkube's: the names, the versions and the ways in which
// publishers give checksums are real, and the programs are scripts.
type demo struct {
	// size is how many bytes follow the first lines of each script.
	size int
}

func (d demo) build(t tree) {
	official := func(kind, name, description string, dependencies ...func(tree, platform) (string, string)) plugin {
		return plugin{
			name: name, kind: kind, version: "v1.14.0", ext: ".tar.gz", dir: "botkube/v1.14.0",
			description:   description,
			documentation: "https://docs.botkube.io/configuration/" + kind + "/" + name,
			size:          d.size,
			platforms:     []platform{linuxAMD64, linuxARM64, darwinARM64},
			dependencies:  dependencies,
			schema:        schema{Value: schemaOf(name, "log", "What the plugin logs")},
			recommended:   true,
		}
	}
	buildIndex(t, "", []plugin{
		official("executor", "exec", "Install and run CLIs directly from chat window without hassle.", d.eget),
		official("executor", "helm", "Run the Helm CLI commands directly from your favorite communication platform.", d.helm),
		official("executor", "kubectl", "Run the Kubectl CLI commands directly from your favorite communication platform.", d.kubectl),
		official("source", "cm-watcher", "Consume events about a config map.", d.kubectl),
		official("source", "kubernetes", "Consume Kubernetes events and get notifications with additional warnings and recommendations."),
		official("source", "prometheus", "Get notifications about alerts polled from configured Prometheus AlertManager."),
	})
}

func (d demo) kubectl(t tree, p platform) (name, url string) {
	url = path.Join("kubectl/v1.28.1", p.OS, p.Architecture, "kubectl")
	t[url] = []byte(lengthened(script("kubectl", "v1.28.1", p), 2*d.size))
	t[url+".sha256"] = []byte(digest(t[url]))
	return "kubectl", url
}

func (d demo) helm(t tree, p platform) (name, url string) {
	dir := p.OS + "-" + p.Architecture
	url = "helm/helm-v3.6.3-" + dir + ".tar.gz"
	t[url] = pack(url,
		directory(dir),
		text(dir+"/LICENSE", "Apache License 2.0\n"),
		text(dir+"/README.md", "# Helm\n"),
		binary(dir+"/helm", lengthened(script("helm", "v3.6.3", p), 2*d.size)),
	)
	t[url+".sha256sum"] = []byte(sumLine(t, url))
	return "helm", url + "//" + dir
}

func (d demo) eget(t tree, p platform) (name, url string) {
	dir := "eget-1.3.3-" + p.file()
	url = "eget/v1.3.3/" + dir + ".tar.gz"
	t[url] = pack(url,
		directory(dir),
		text(dir+"/LICENSE", "MIT License\n"),
		binary(dir+"/eget", lengthened(script("eget", "1.3.3", p), d.size)),
	)
	t[url+".sha256"] = []byte(sumLine(t, url))
	return "eget", url + "//" + dir
}

// lengthened appends bytes that do not compress well to a script.
func lengthened(script string, size int) string {
	if size == 0 {
		return script
	}
	more := make([]byte, size*3/4)
	must(rand.NewChaCha8([32]byte([]byte(digest([]byte(script))))).Read(more))
	return script + "exit\n" + base64.StdEncoding.EncodeToString(more) + "\n"
}

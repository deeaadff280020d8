package main

import "path"

// buildDemo is a small upstream that looks like Botkube's: the names, the versions and the ways
// in which publishers give checksums are real, and the programs are scripts of one line.
func buildDemo(t tree) {
	official := func(kind, name, description string, dependencies ...func(tree, platform) (string, string)) plugin {
		return plugin{
			name: name, kind: kind, version: "v1.14.0", ext: ".tar.gz", dir: "botkube/v1.14.0",
			description:   description,
			documentation: "https://docs.botkube.io/configuration/" + kind + "/" + name,
			platforms:     []platform{linuxAMD64, linuxARM64, darwinARM64},
			dependencies:  dependencies,
			schema:        schema{Value: schemaOf(name, "log", "What the plugin logs")},
			recommended:   true,
		}
	}
	buildIndex(t, "", []plugin{
		official("executor", "exec", "Install and run CLIs directly from chat window without hassle.", eget),
		official("executor", "helm", "Run the Helm CLI commands directly from your favorite communication platform.", helm),
		official("executor", "kubectl", "Run the Kubectl CLI commands directly from your favorite communication platform.", kubectl),
		official("source", "cm-watcher", "Consume events about a config map.", kubectl),
		official("source", "kubernetes", "Consume Kubernetes events and get notifications with additional warnings and recommendations."),
		official("source", "prometheus", "Get notifications about alerts polled from configured Prometheus AlertManager."),
	})
}

func kubectl(t tree, p platform) (name, url string) {
	url = path.Join("kubectl/v1.28.1", p.OS, p.Architecture, "kubectl")
	t[url] = []byte(script("kubectl", "v1.28.1", p))
	t[url+".sha256"] = []byte(digest(t[url]))
	return "kubectl", url
}

func helm(t tree, p platform) (name, url string) {
	dir := p.OS + "-" + p.Architecture
	url = "helm/helm-v3.6.3-" + dir + ".tar.gz"
	t[url] = pack(url,
		directory(dir),
		text(dir+"/LICENSE", "Apache License 2.0\n"),
		text(dir+"/README.md", "# Helm\n"),
		binary(dir+"/helm", script("helm", "v3.6.3", p)),
	)
	t[url+".sha256sum"] = []byte(sumLine(t, url))
	return "helm", url + "//" + dir
}

func eget(t tree, p platform) (name, url string) {
	dir := "eget-1.3.3-" + p.file()
	url = "eget/v1.3.3/" + dir + ".tar.gz"
	t[url] = pack(url,
		directory(dir),
		text(dir+"/LICENSE", "MIT License\n"),
		binary(dir+"/eget", script("eget", "1.3.3", p)),
	)
	t[url+".sha256"] = []byte(sumLine(t, url))
	return "eget", url + "//" + dir
}

// Package acceptance asks the Botkube agent itself whether what botkube-mirror writes is what it looks for.
//
// Run it with
//
//	cd internal/test/acceptance && go test ./...
//
// It builds four things: the product, from the enclosing module; the agent, which is Botkube's own plugin manager
// behind a small main (module agent, with the versions that the Botkube release names); two plugin programs; and exec's own code that
// reads templates (module exec, of a Botkube release whose source holds that plugin).
// The product pulls from a release that lives in memory ([Upstream], [PublishRelease]) under its publishers' host names,
// reached through a proxy on loopback ([Proxy]) that writes down every request. The agent then starts from the
// result, and every plugin runs its dependencies and says who it is.
//
// The result is a directory that pull wrote, or one that a bundle became after it was carried in a file or through
// registries, or what a runtime mounts of the image, or a volume that the image's own program filled. The registries
// are Debian's docker-registry; without it that test is skipped, unless MIRROR_TEST_REQUIRE is 1.
//
// Or the product serves what it wrote, in each form that it can, to an agent whose cache directory is empty. The two share
// a network namespace in which loopback is all there is, or the proxy refuses everything else; the server's log has all
// calls that the agent made.
//
// Package getter asks go-getter itself, in the agent's version, what URLs and archives mean.
//
// Exec's code looks for templates in a directory, and downloads them from a site; the repository that they come from
// is served by git.
//
// An agent without a network runs in one of two modes, and the test log says in which:
//
//   - namespace: root only. User 101 without any write permission, the cache directory mounted read-only at a
//     path other than the one it was written to, in a network namespace that has no interface up.
//   - proxy: everywhere else. The agent runs as the current user, and a proxy refuses and records every request.
//
// Where a test asks which requests the agent would have made, it is always the proxy that answers.
//
// Helm renders Botkube's own chart with what the product's values are, and the agent starts with the configuration that
// comes of it. A Kubernetes API server (module kubernetes), with Debian's etcd and nothing else behind it, judges the
// objects, and Helm installs and upgrades on it.
//
// Linux only: SSL_CERT_FILE, by which the children come to trust the proxy, means nothing elsewhere.
package acceptance

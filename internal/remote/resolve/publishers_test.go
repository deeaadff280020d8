package resolve

import (
	"slices"
	"testing"
)

// TestBesides has the dependencies of Botkube v1.14.0, and where their
// publishers put checksums.
func TestBesides(t *testing.T) {
	for artifact, want := range map[string]string{
		"https://dl.k8s.io/release/v1.28.1/bin/linux/amd64/kubectl":                                       "https://dl.k8s.io/release/v1.28.1/bin/linux/amd64/kubectl.sha256",
		"https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz":                                              "https://get.helm.sh/helm-v3.6.3-linux-amd64.tar.gz.sha256sum",
		"https://github.com/zyedidia/eget/releases/download/v1.3.3/eget-1.3.3-linux_amd64.tar.gz":         "https://github.com/zyedidia/eget/releases/download/v1.3.3/eget-1.3.3-linux_amd64.tar.gz.sha256",
		"https://github.com/fluxcd/flux2/releases/download/v2.0.1/flux_2.0.1_linux_arm64.tar.gz":          "https://github.com/fluxcd/flux2/releases/download/v2.0.1/flux_2.0.1_checksums.txt",
		"https://github.com/cli/cli/releases/download/v2.45.0/gh_2.45.0_macOS_amd64.zip":                  "https://github.com/cli/cli/releases/download/v2.45.0/gh_2.45.0_checksums.txt",
		"https://github.com/kubescape/kubescape/releases/download/v3.0.3/kubescape-ubuntu-latest?token=x": "https://github.com/kubescape/kubescape/releases/download/v3.0.3/kubescape-ubuntu-latest.sha256",
	} {
		if !slices.ContainsFunc(guesses(artifact), func(b checksumURL) bool { return b.url == want }) {
			t.Errorf("%s: %v, want %s among them", artifact, guesses(artifact), want)
		}
	}
	if got := guesses("s3::https://s3.amazonaws.com/b/k"); got != nil {
		t.Errorf("a bucket: %v", got)
	}
}

package resolve

import (
	"slices"
	"strings"
	"testing"
)

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestFindChecksum(t *testing.T) {
	tests := []struct {
		name   string
		data   string
		shared bool
		want   string
	}{
		{"bare", sumA, false, sumA},
		{"bare with newline", sumA + "\n", false, sumA},
		{"upper case", strings.ToUpper(sumA) + "\r\n", false, sumA},
		{"with name", sumA + "  tool\n", false, sumA},
		{"with another name, alone", sumA + "  build/out/tool-tmp\n", false, sumA},
		{"with a tab", sumB + "\tother\n" + sumA + "\ttool\n", false, sumA},
		{"binary mode", sumB + " *other\n" + sumA + " *tool\n", false, sumA},
		{"with a path", sumB + "  x/other\n" + sumA + "  ./dist/tool\n", true, sumA},
		{"BSD", "SHA256 (other) = " + sumB + "\nSHA256 (tool) = " + sumA + "\n", true, sumA},
		{"several without the name", sumA + "  x\n" + sumB + "  y\n", false, ""},
		{"shared without the name", sumA + "  x\n", true, ""},
		{"bare in a shared file", sumA + "\n", true, ""},
		{"md5", "d41d8cd98f00b204e9800998ecf8427e  tool\n", false, ""},
		{"no checksum", "404 page not found\n", false, ""},
		{"empty", "", false, ""},
	}
	for _, tt := range tests {
		got, found := findChecksum([]byte(tt.data), "tool", tt.shared)
		if found != (tt.want != "") || got.Hex != tt.want {
			t.Errorf("%s: %v %v, want %q", tt.name, got, found, tt.want)
		}
	}
}

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
		if !slices.ContainsFunc(besides(artifact), func(b beside) bool { return b.url == want }) {
			t.Errorf("%s: %v, want %s among them", artifact, besides(artifact), want)
		}
	}
	if got := besides("s3::https://s3.amazonaws.com/b/k"); got != nil {
		t.Errorf("a bucket: %v", got)
	}
}

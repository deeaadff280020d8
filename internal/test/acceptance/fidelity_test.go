//go:build linux

package acceptance

import (
	"debug/buildinfo"
	"encoding/json"
	"os/exec"
	"testing"
)

// TestAgentIsBuiltAsReleased wants the agent to be made of the versions that Botkube's own go.mod names: a newer
// go-getter or go-version here would answer for a behaviour that nobody runs. Its one replacement, a fork of
// go-getter, cannot be had: the checksum database does not know it.
func TestAgentIsBuiltAsReleased(t *testing.T) {
	info, err := buildinfo.ReadFile(agentProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	versions := botkubeRequires(t)
	for _, module := range info.Deps {
		if want := versions[module.Path]; want != "" && module.Version != want {
			t.Errorf("%s is %s in the agent of this suite, %s in Botkube", module.Path, module.Version, want)
		}
	}
}

// botkubeRequires reads Botkube's go.mod.
func botkubeRequires(t *testing.T) map[string]string {
	t.Helper()
	var module struct{ GoMod string }
	goJSON(t, &module, "list", "-m", "-json", "github.com/kubeshop/botkube")
	var file struct {
		Require []struct{ Path, Version string }
	}
	goJSON(t, &file, "mod", "edit", "-json", module.GoMod)
	versions := map[string]string{}
	for _, r := range file.Require {
		versions[r.Path] = r.Version
	}
	if len(versions) == 0 {
		t.Fatalf("%s requires nothing", module.GoMod)
	}
	return versions
}

// goJSON runs the go command in the agent's module and decodes what it prints.
func goJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = "agent"
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %q: %v", args, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("go %q: %v", args, err)
	}
}

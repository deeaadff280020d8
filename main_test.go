package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/script"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func TestMain(m *testing.M) {
	tier.LetWait()
	testscript.Main(m, map[string]func(){"botkube-mirror": main})
}

// TestScript runs the scripts of testdata/script.
func TestScript(t *testing.T) { script.Run(t, "testdata") }

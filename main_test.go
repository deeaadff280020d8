package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/botkube-mirror/botkube-mirror/internal/test/script"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"botkube-mirror": main})
}

// TestScript runs the scripts of testdata/script.
func TestScript(t *testing.T) { script.Run(t, "testdata") }

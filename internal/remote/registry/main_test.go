package registry_test

import (
	"os"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

func TestMain(m *testing.M) { os.Exit(tier.RunWaiting(m)) }

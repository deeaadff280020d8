package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// transferFlags say how files are moved.
type transferFlags struct {
	parallel, retries int
	stall             time.Duration
}

func (t *transferFlags) register(c *cobra.Command) {
	c.Flags().IntVar(&t.parallel, "parallel", 4, "how many files to transfer at a time")
	c.Flags().IntVar(&t.retries, "retries", 5, "how often in a row an attempt over a network may fail before a command gives up")
	c.Flags().DurationVar(&t.stall, "stall-timeout", transfer.DefaultPatience, "how long a connection may move nothing before it is dropped and the attempt repeated; there is no limit on the time that the whole takes")
}

func (t transferFlags) check() error {
	if t.parallel < 1 || t.parallel > 64 {
		return fault.New(fault.Usage, "--parallel %d is not between 1 and 64", t.parallel)
	}
	if t.retries < 0 || t.retries > 1000 {
		return fault.New(fault.Usage, "--retries %d is not between 0 and 1000", t.retries)
	}
	if t.stall < minStall {
		return fault.New(fault.Usage, "--stall-timeout %s is not at least %s", t.stall, minStall).
			WithHint("30s is the default; a line that is slow but moves is never dropped")
	}
	return nil
}

// minStall is the shortest time after which silence means anything.
const minStall = time.Second

// attempts is the number of retries as the packages below take it, for which 0
// stands for their default.
func (t transferFlags) attempts() int {
	if t.retries == 0 {
		return -1
	}
	return t.retries
}

//go:build linux

package measure

import (
	"fmt"
	"slices"
	"time"
)

// Series are the runs of one thing.
type Series struct {
	Name  string
	walls []time.Duration
	peak  int64
}

// Add adds a run and prints it.
func (s *Series) Add(r Result) {
	s.walls = append(s.walls, r.Wall)
	s.peak = max(s.peak, r.Memory)
	fmt.Printf("%-28s %7.2f s, of processors %7.2f s", s.Name, r.Wall.Seconds(), r.CPU.Seconds())
	if r.Memory > 0 {
		fmt.Printf(", peak memory %6.1f MiB", mebibytes(r.Memory))
	}
	fmt.Println()
}

// Time calls run and adds what it took.
func (s *Series) Time(run func() (Result, error)) error {
	r, err := run()
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Add(r)
	return nil
}

// Median returns the wall time of the middle run.
func (s *Series) Median() time.Duration {
	sorted := slices.Sorted(slices.Values(s.walls))
	return sorted[len(sorted)/2]
}

// Compare prints the ratio to each of the others, and the peak memory.
func (s *Series) Compare(others ...*Series) {
	for _, o := range others {
		fmt.Printf("median ratio %s / %s: %.2f\n", s.Name, o.Name, s.Median().Seconds()/o.Median().Seconds())
	}
	fmt.Printf("peak memory of %s: %.1f MiB\n", s.Name, mebibytes(s.peak))
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

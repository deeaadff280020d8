// Program exec reads templates as the executor exec does before each command: it calls the very function, of a
// Botkube release whose source holds the executor. It takes the plugin's directory of dependencies and the
// sources as arguments, and writes the templates as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/kubeshop/botkube/internal/executor/x/getter"
)

func main() {
	var sources []getter.Source
	for _, ref := range os.Args[2:] {
		sources = append(sources, getter.Source{Ref: ref})
	}
	templates, err := getter.Load[map[string]any](context.Background(), os.Args[1], sources)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(templates)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

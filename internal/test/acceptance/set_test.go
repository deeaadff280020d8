//go:build linux

package acceptance

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/strvals"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
)

// TestSetAsHelm has assignments, such as Argo CD's parameters and Flux's targetPath, come
// to the same as in Helm.
func TestSetAsHelm(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "c.d", ".", "=", ",", "[0]", "[1]", "[", "]", "{", "}", `\`, "1", "0", "007", "true", "null", " ", "a=1", "a.b=x", "b[0].c=y"}
	tried, agreed, odd := 0, 0, 0
	for range 20000 {
		var in strings.Builder
		for range 1 + random.IntN(8) {
			in.WriteString(pieces[random.IntN(len(pieces))])
		}
		for _, texts := range []bool{false, true} {
			want, got := oldValues(), oldValues()
			parse := strvals.ParseInto
			if texts {
				parse = strvals.ParseIntoString
			}
			wantErr, gotErr := parse(in.String(), want), helmvalues.Set(got, in.String(), texts)
			tried++
			// Helm passes over a path at the end that has no value, and the mirror does not.
			if gotErr != nil && (wantErr != nil || strings.Contains(gotErr.Error(), "has no value")) {
				continue
			}
			if wantErr == nil && gotErr == nil && reflect.DeepEqual(want, got) {
				agreed++
				continue
			}
			odd++
			t.Errorf("%q, as texts %t: %v, %v; Helm has %v, %v", in.String(), texts, got, gotErr, want, wantErr)
		}
		if odd > 20 {
			return
		}
	}
	if agreed < tried/10 {
		t.Errorf("of %d assignments, only %d are any", tried, agreed)
	}
}

func oldValues() map[string]any {
	return map[string]any{"a": map[string]any{"b": "old"}, "b": []any{map[string]any{"c": "old"}, "x"}}
}

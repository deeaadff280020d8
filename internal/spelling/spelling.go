// Package spelling finds the known word that is nearest to a misspelled one, for messages.
package spelling

import (
	"slices"
	"strings"
)

// Distance is Levenshtein's: how many bytes to insert, remove or replace.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Nearest returns the known word that was most likely meant, or "" if none is near. It does
// not matter whether a word is written as base-url, base_url or baseUrl. The start of one known
// word only is that word, and the start of several is none.
func Nearest(word string, known []string) string {
	written := bare(word)
	var completions []string
	nearest, least := "", len(word)/3+2
	for _, k := range known {
		if len(written) >= minStart && strings.HasPrefix(bare(k), written) && !slices.Contains(completions, k) {
			completions = append(completions, k)
		}
		if d := Distance(bare(k), written); d < least {
			nearest, least = k, d
		}
	}
	switch {
	case least <= 1 || len(completions) == 0:
		return nearest
	case len(completions) == 1:
		return completions[0]
	}
	return ""
}

// minStart is how long the start of a word must be to stand for it.
const minStart = 3

// Slip returns the known word that a word is a misspelling of, or "". It is for words that may be
// right although nothing knows them, so it wants fewer differences than [Nearest].
func Slip(word string, known []string) string {
	nearest := Nearest(word, known)
	if Distance(bare(nearest), bare(word)) > max(1, len(word)/4) {
		return ""
	}
	return nearest
}

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

func bare(s string) string { return strings.ToLower(separators.Replace(s)) }

// Package spelling says how near a word is to another, for messages about words
// that are not known.
package spelling

import "strings"

// Distance is Levenshtein's: how many bytes to insert, to remove or to replace
// make one word the other.
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

// Nearest returns the known word that was most likely meant, or "" where none
// is near.
func Nearest(word string, known []string) string {
	nearest, least := "", len(word)/3+2
	for _, k := range known {
		if d := Distance(bare(k), bare(word)); d < least {
			nearest, least = k, d
		}
	}
	return nearest
}

// bare takes away what only the manner of writing adds: base-url, base_url,
// baseUrl.
func bare(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(word))
}

package cmd

import (
	"io"
	"slices"
	"strings"
	"unicode"
)

// forTerminal wraps messages at the width of a terminal. Elsewhere their lines stay whole, for grep
// and for CI systems.
func forTerminal(w io.Writer, text string) string {
	if !isTerminal(w) {
		return text
	}
	return wrapMessages(text, min(columns(w), widestText))
}

// wrapMessages wraps each line of a text. Commands are not broken, so that they can be copied.
func wrapMessages(text string, width int) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		rest := strings.TrimLeftFunc(line, unicode.IsSpace)
		indent := line[:len(line)-len(rest)]
		for _, l := range wrappedPieces(unbroken(rest), width-len(indent), "  ") {
			out = append(out, indent+l)
		}
	}
	return strings.Join(out, "\n")
}

// Programs that messages tell the reader to run. The words before a command introduce it, and the
// words after it go on with the sentence.
var (
	programs = []string{
		"argocd", "aws", "chmod", "chown", "cp", "docker", "eval", "flux", "git", "helm", "kubectl", "kustomize", "openssl", "skopeo", "sops", "tar",
	}
	introductions = []string{"", "first", "from", "or", "run", "that", "then", "to", "what", "with"}
	continuations = []string{
		"again", "and", "at", "can", "cannot", "did", "does", "for", "has", "if", "in", "instead", "instead,", "instead;", "is", "lists", "moved", "needs", "never", "of", "on", "or", "prints",
		"reads", "renders", "removed", "shows", "that", "the", "then", "to", "too", "uses", "was", "when", "with", "without", "writes", "wrote",
	}
)

// unbroken splits a text into the pieces that stay on one line: words, a flag with its value, and
// commands.
func unbroken(text string) (pieces []string) {
	words := strings.Fields(text)
	for at := 0; at < len(words); {
		n := 1
		switch {
		case beginsCommand(words, at):
			n = commandWords(words[at:])
		case strings.HasPrefix(words[at], "--") && at+1 < len(words) && !ends(words[at]) && strings.ToLower(words[at+1]) != words[at+1]:
			n = 2
		}
		pieces = append(pieces, strings.Join(words[at:at+n], " "))
		at += n
	}
	return pieces
}

func beginsCommand(words []string, at int) bool {
	if at+1 == len(words) {
		return false
	}
	if words[at] == "botkube-mirror" {
		return true // a sentence about it goes on with one of the continuations
	}
	before := ""
	if at > 0 {
		before = words[at-1]
	}
	return slices.Contains(programs, words[at]) && (ends(before) || slices.Contains(introductions, before))
}

// commandWords is how many words a command has.
func commandWords(words []string) int {
	quoted := false
	for n, w := range words {
		if !quoted && n > 0 && (slices.Contains(continuations, w) || strings.HasPrefix(w, "(")) {
			return n
		}
		if strings.Count(w, "'")%2 == 1 {
			quoted = !quoted
		}
		if !quoted && ends(w) {
			return n + 1
		}
	}
	return len(words)
}

// ends reports whether a part of a sentence ends with a word.
func ends(word string) bool {
	return strings.HasSuffix(word, ",") || strings.HasSuffix(word, ";") || strings.HasSuffix(word, ":")
}

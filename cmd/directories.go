package cmd

import (
	"slices"
	"strings"
)

// directory has files whose URLs begin alike.
type directory struct {
	url   string // ends with a slash
	files []string
}

// directories groups URLs by the longest directory that they share, if their names are then at most
// width columns wide. Otherwise it groups them by sub-directories.
func directories(urls []string, width int) (all []directory) {
	urls = slices.Sorted(slices.Values(urls))
	for len(urls) > 0 {
		host := untilSlash(urls[0], 0)
		n := sharing(urls, urls[0][:host])
		all = append(all, split(urls[:n], host, width)...)
		urls = urls[n:]
	}
	return all
}

func split(urls []string, begin, width int) (all []directory) {
	for { // as long as all are in the same directory
		next := untilSlash(urls[0], begin)
		if next == begin || sharing(urls, urls[0][:next]) < len(urls) {
			break
		}
		begin = next
	}
	fits := !slices.ContainsFunc(urls, func(url string) bool { return columnsOf(url[begin:]) > width })
	for len(urls) > 0 {
		next, n := untilSlash(urls[0], begin), len(urls)
		if !fits && next > begin {
			n = sharing(urls, urls[0][:next])
		} else if !fits {
			if n = slices.IndexFunc(urls, func(url string) bool { return untilSlash(url, begin) > begin }); n < 0 {
				n = len(urls)
			}
		}
		if fits || next == begin {
			all = append(all, directory{urls[0][:begin], urls[:n]})
		} else {
			all = append(all, split(urls[:n], next, width)...)
		}
		urls = urls[n:]
	}
	return all
}

// sharing counts the URLs at the beginning of a list that have a prefix.
func sharing(urls []string, prefix string) int {
	if n := slices.IndexFunc(urls, func(url string) bool { return !strings.HasPrefix(url, prefix) }); n >= 0 {
		return n
	}
	return len(urls)
}

// untilSlash returns where the next directory of a URL ends, or from if none follows. Doubled slashes
// separate no directories: they are part of https:// and of the addresses of git directories.
func untilSlash(url string, from int) int {
	path, _, _ := strings.Cut(url, "?")
	for i := from; i < len(path); i++ {
		if path[i] == '/' && !strings.HasPrefix(path[i+1:], "/") && !strings.HasSuffix(path[:i], "/") {
			return i + 1
		}
	}
	return from
}

// instead returns the directory that all files are read from in place of this one, if that is so.
func (d directory) instead(from map[string]string) (string, bool) {
	first := ""
	for i, url := range d.files {
		at, found := strings.CutSuffix(from[url], strings.TrimPrefix(url, d.url))
		if i == 0 {
			first = at
		}
		if !found || at == "" || at != first {
			return "", false
		}
	}
	return first, true
}

package manifest

import (
	"slices"
	"strings"
)

// nearest returns the word of words that text was probably meant to be: the same but for
// case or separators, or at most two typing slips away (one for words of three
// or four letters, none for shorter ones). It returns "" if none is. Ties go to the first in order.
func nearest(text string, words []string) string {
	if len(text) == 0 || len(text) > 64 { // longer than any name, so no name is near
		return ""
	}
	words = slices.Sorted(slices.Values(words))
	plain := strings.NewReplacer("-", "", "_", "", " ", "")
	best, bestAt := "", 3
	for _, w := range words {
		if w == text || len(w) > 64 {
			continue
		}
		at := slips(strings.ToLower(text), strings.ToLower(w))
		if strings.EqualFold(plain.Replace(text), plain.Replace(w)) {
			at = 0
		}
		limit := 2
		switch short := min(len(text), len(w)); {
		case short <= 2:
			limit = 0
		case short <= 4:
			limit = 1
		}
		if at <= limit && at < bestAt {
			best, bestAt = w, at
		}
	}
	return best
}

// slips counts the insertions, deletions, replacements and swaps of neighbours that turn a
// into b (Damerau-Levenshtein, optimal string alignment). Time is len(a)*len(b).
func slips(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

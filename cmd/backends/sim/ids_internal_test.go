package sim

import (
	"strings"
	"testing"
)

// TestLengthenID checks the suffix against ids that Salesforce's REST API guide shows.
func TestLengthenID(t *testing.T) {
	for _, id := range []string{"001D000000IRFmaIAH", "003RO0000035WQgYAM", "001D000000IomazIAB", "001D000000INjVeIAL", "01gD0000002HU6KIAW"} {
		if got := lengthenID(id[:15]); got != id {
			t.Errorf("lengthenID(%s) = %s, want %s", id[:15], got, id)
		}
		for _, form := range []string{id, id[:15], strings.ToLower(id), strings.ToUpper(id)} {
			if got, ok := canonicalID(form); ok != true || got != id {
				t.Errorf("canonicalID(%s) = %s, %v, want %s", form, got, ok, id)
			}
		}
	}
	for _, id := range []string{"", "001", "001D000000IRFma-", "001D000000IRFmaBAH", "001D000000IRFma9AH", "001D000000IRFmaIAH0", "001D000000IRFm\xffIAH"} {
		if got, ok := canonicalID(id); ok {
			t.Errorf("canonicalID(%q) = %s, want none", id, got)
		}
	}
}

func TestGeneratedIDsAreUnique(t *testing.T) {
	salesforce, hubspot := map[string]int{}, map[string]int{}
	for i := range 2 * maxCustomers {
		for name, seen := range map[string]map[string]int{salesforceID("003", i): salesforce, hubspotID(i): hubspot} {
			if other, ok := seen[name]; ok {
				t.Fatalf("%d and %d have the same id %s", i, other, name)
			}
			seen[name] = i
		}
	}
}

func TestLike(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"%", "", true}, {"a%", "abc", true}, {"%c", "abc", true}, {"a_c", "abc", true},
		{"a_c", "ac", false}, {`a\_c`, "abc", false}, {`a\_c`, "a_c", true}, {"%b%b%", "abcb", true}, {"%b%b%", "abc", false},
		{"_", "é", true}, {"%%", "x", true}, {`\\`, `\`, true}, {strings.Repeat("%a", 30) + "b", strings.Repeat("a", 5000), false},
	}
	for _, tt := range tests {
		if got := likePattern(tt.pattern).match([]rune(tt.s)); got != tt.want {
			t.Errorf("%q LIKE %q is %v", tt.s, tt.pattern, got)
		}
	}
}

package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filter is one condition of a search. Which of the values it needs depends on the operator.
type filter struct {
	PropertyName string   `json:"propertyName"`
	Operator     string   `json:"operator"`
	Value        *string  `json:"value"`
	HighValue    *string  `json:"highValue"`
	Values       []string `json:"values"`
}

// check returns what is wrong with a filter, or nothing.
func (f *filter) check() string {
	if _, ok := propertyTable.find(f.PropertyName); !ok {
		return "There was a problem with the request. Unknown property " + quote(f.PropertyName)
	}
	missing := func(what string) string {
		return fmt.Sprintf("operator %s requires %s for property %s", f.Operator, what, f.PropertyName)
	}
	switch f.Operator {
	case "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN":
		if f.Value == nil {
			return missing("a value")
		}
	case "BETWEEN":
		if f.Value == nil || f.HighValue == nil {
			return missing("a value and a highValue")
		}
	case "IN", "NOT_IN":
		if len(f.Values) == 0 {
			return missing("values")
		}
	case "HAS_PROPERTY", "NOT_HAS_PROPERTY":
	default:
		return "Invalid input JSON: " + quote(f.Operator) + " is not one of the values accepted for Enum class: [BETWEEN, CONTAINS_TOKEN, EQ, GT, GTE, HAS_PROPERTY, IN, LT, LTE, NEQ, NOT_CONTAINS_TOKEN, NOT_HAS_PROPERTY, NOT_IN]"
	}
	return ""
}

// match tells whether a contact passes the filter. Only NOT_HAS_PROPERTY, NEQ and the other negations pass a contact
// without the property.
func (f *filter) match(rec *record) bool {
	column, _ := propertyTable.find(f.PropertyName)
	k, v := propertyTable.fields[column].kind, rec.values[column]
	against := func(s *string) int { return compare(k, v, operandOf(k, *s)) }
	switch f.Operator {
	case "HAS_PROPERTY":
		return !v.null()
	case "NOT_HAS_PROPERTY":
		return v.null()
	case "NEQ":
		return v.null() || against(f.Value) != 0
	case "NOT_IN":
		return v.null() || !slices.ContainsFunc(f.Values, func(s string) bool { return against(&s) == 0 })
	case "NOT_CONTAINS_TOKEN":
		return v.null() || !containsToken(v.fold, *f.Value)
	}
	if v.null() {
		return false
	}
	switch f.Operator {
	case "EQ":
		return against(f.Value) == 0
	case "IN":
		return slices.ContainsFunc(f.Values, func(s string) bool { return against(&s) == 0 })
	case "LT":
		return against(f.Value) < 0
	case "LTE":
		return against(f.Value) <= 0
	case "GT":
		return against(f.Value) > 0
	case "GTE":
		return against(f.Value) >= 0
	case "BETWEEN":
		return against(f.Value) >= 0 && against(f.HighValue) <= 0
	default:
		return containsToken(v.fold, *f.Value)
	}
}

// operandOf makes a value of what a filter says. HubSpot takes dates as text or as Unix milliseconds.
func operandOf(k kind, s string) value {
	if k == datetime && isDigits(s) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			s = time.UnixMilli(n).UTC().Format(hsTime)
		}
	}
	return value{json: s, text: s, fold: strings.ToLower(s)}
}

// containsToken tells whether some token of the text, or all of it, matches the pattern, in which * stands for any characters.
func containsToken(folded, pattern string) bool {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`)
	l := likePattern(escape.Replace(strings.ToLower(pattern)))
	return l.match([]rune(folded)) || slices.ContainsFunc(tokens(folded), func(t string) bool { return l.match([]rune(t)) })
}

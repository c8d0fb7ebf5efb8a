package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Limits of the search endpoint: "Search the CRM", section Limits.
const (
	maxSearchPage   = 200
	maxSearchTotal  = 10_000 // contacts that can be paged through
	maxFilterGroups = 5
	maxGroupFilters = 6
	maxFilters      = 18 // in all groups
	maxQueryLength  = 3000
)

type searchRequest struct {
	FilterGroups []filterGroup `json:"filterGroups"`
	Sorts        []searchSort  `json:"sorts"`
	Query        string        `json:"query"`
	Properties   []string      `json:"properties"`
	Limit        *int          `json:"limit"`
	After        searchAfter   `json:"after"`
}

type filterGroup struct {
	Filters []filter `json:"filters"`
}

// searchSort is "name", "-name" or an object with propertyName and direction.
type searchSort struct {
	Property   string
	Descending bool
}

func (s *searchSort) UnmarshalJSON(b []byte) error {
	var name string
	if json.Unmarshal(b, &name) == nil {
		s.Property, s.Descending = strings.CutPrefix(name, "-")
		return nil
	}
	var object struct{ PropertyName, Direction string }
	if err := json.Unmarshal(b, &object); err != nil {
		return err
	}
	s.Property, s.Descending = object.PropertyName, strings.EqualFold(object.Direction, "DESCENDING")
	return nil
}

// searchAfter is a position, as a number or a string of one.
type searchAfter int

func (a *searchAfter) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "" || s == "null" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	*a = searchAfter(n)
	return err
}

func (h *hubspot) search(r *http.Request, body []byte) (int, []byte) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return http.StatusUnsupportedMediaType, h.errorBody("Unsupported media type", "VALIDATION_ERROR", "")
	}
	var req searchRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return h.invalid("Invalid input JSON: " + err.Error())
	}
	limit := defaultPage
	if req.Limit != nil {
		limit = *req.Limit
	}
	if message := req.check(limit); message != "" {
		return h.invalid(message)
	}
	found := h.data.searchPeople(req)
	from := min(int(req.After), len(found))
	to := min(from+limit, len(found))
	columns := columnsFor(req.Properties)
	b := make([]byte, 0, 256+(to-from)*(160+40*len(columns)))
	b = append(b, `{"total":`+strconv.Itoa(len(found))+`,"results":[`...)
	b = h.data.appendPeople(b, found[from:to], columns)
	b = append(b, ']')
	if to < len(found) {
		b = append(b, `,"paging":{"next":{"after":"`+strconv.Itoa(to)+`"}}`...)
	}
	return http.StatusOK, append(b, '}')
}

// check returns what is wrong with a request, or nothing.
func (req *searchRequest) check(limit int) string {
	switch {
	case limit < 0 || limit > maxSearchPage:
		return "The limit must be between 0 and 200"
	case int(req.After)+limit > maxSearchTotal:
		return "There was a problem with the request. Paging past 10000 results is not supported."
	case len(req.FilterGroups) > maxFilterGroups:
		return "too many filter groups: the maximum is 5"
	case len(req.Query) > maxQueryLength:
		return "The query is longer than 3000 characters"
	case len(req.Sorts) > 1:
		return "Only one sort is supported"
	}
	total := 0
	for _, g := range req.FilterGroups {
		if len(g.Filters) > maxGroupFilters {
			return "too many filters in a group: the maximum is 6"
		}
		if total += len(g.Filters); total > maxFilters {
			return "too many filters: the maximum is 18"
		}
		for _, f := range g.Filters {
			if message := f.check(); message != "" {
				return message
			}
		}
	}
	for _, s := range req.Sorts {
		if _, ok := propertyTable.find(s.Property); !ok {
			return "Unknown property " + quote(s.Property) + " in sorts"
		}
	}
	return ""
}

// searchPeople returns the positions of the live contacts that pass the query and all filters of one group, sorted.
func (d *Data) searchPeople(req searchRequest) []int {
	words := tokens(req.Query)
	pass := func(i int, filters []filter) bool {
		return d.peopleDates[i].archived == "" && d.mentions(i, words) &&
			!slices.ContainsFunc(filters, func(f filter) bool { return !f.match(d.people[i]) })
	}
	groups := req.FilterGroups
	if len(groups) == 0 {
		groups = []filterGroup{{}}
	}
	found := []int{}
	for _, g := range groups {
		candidates, indexed := d.narrow(g.Filters)
		if !indexed {
			for i := range d.people {
				if pass(i, g.Filters) {
					found = append(found, i)
				}
			}
			continue
		}
		for _, i := range candidates {
			if pass(i, g.Filters) {
				found = append(found, i)
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	for _, s := range req.Sorts {
		d.sortPeople(found, s)
	}
	return found
}

// narrow returns a superset of what passes the filters if one of them can be answered by an index.
func (d *Data) narrow(filters []filter) ([]int, bool) {
	for _, f := range filters {
		column, _ := propertyTable.find(f.PropertyName)
		index, ok := d.personLookup[column]
		switch {
		case ok && f.Operator == "EQ":
			return index[strings.ToLower(*f.Value)], true
		case ok && f.Operator == "IN":
			var found []int
			for _, v := range f.Values {
				found = append(found, index[strings.ToLower(v)]...)
			}
			return found, true
		}
	}
	return nil, false
}

// tokens cuts text into lower-case words of letters, marks and digits.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(c rune) bool {
		return !unicode.In(c, unicode.L, unicode.M, unicode.N)
	})
}

// searchable are the properties that a query (not a filter) looks into.
var searchable = propertyPositions("email", "firstname", "lastname", "phone", "mobilephone", "company", "hs_additional_emails")

// mentions tells whether each word begins a token of some searchable property.
func (d *Data) mentions(i int, words []string) bool {
	for _, word := range words {
		if !slices.ContainsFunc(searchable, func(column int) bool {
			return slices.ContainsFunc(tokens(d.people[i].values[column].fold), func(t string) bool { return strings.HasPrefix(t, word) })
		}) {
			return false
		}
	}
	return true
}

// sortPeople sorts by a property; contacts without it come last either way.
func (d *Data) sortPeople(found []int, s searchSort) {
	column, _ := propertyTable.find(s.Property)
	k := propertyTable.fields[column].kind
	slices.SortStableFunc(found, func(i, j int) int {
		a, b := d.people[i].values[column], d.people[j].values[column]
		if a.null() || b.null() {
			return btoi(a.null()) - btoi(b.null())
		}
		c := compare(k, a, b)
		if s.Descending {
			return -c
		}
		return c
	})
}

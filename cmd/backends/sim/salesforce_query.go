package sim

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// minBatch and maxBatch bound Sforce-Query-Options: batchSize, as its documentation says.
	minBatch, maxBatch = 200, 2000
	// maxCursors is how many queries one user may have open; opening another closes the oldest. "Apex Governor Limits".
	maxCursors = 50
)

// cursor is the result of a query of which not all pages have been fetched.
type cursor struct {
	locator string
	columns []int
	found   []int // positions in Data.contacts
	batch   int
}

// cursors are the open queries of the one user, oldest first.
type cursors struct {
	mu     sync.Mutex
	open   []*cursor // guarded by mu
	serial int       // guarded by mu
}

// add gives the cursor its locator.
func (c *cursors) add(q *cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	q.locator = salesforceID("01g", c.serial)
	if len(c.open) == maxCursors {
		c.open = slices.Delete(c.open, 0, 1)
	}
	c.open = append(c.open, q)
}

func (c *cursors) find(locator string) *cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.open, func(q *cursor) bool { return q.locator == locator })
	if i < 0 {
		return nil
	}
	return c.open[i]
}

// query answers query?q=.
func (s *salesforce) query(r *http.Request, version string) (int, []byte) {
	parsed, err := ParseSOQL(r.URL.Query().Get("q"))
	var c *cursor
	if err == nil {
		c, err = s.data.run(parsed)
	}
	if refused := (*QueryError)(nil); errors.As(err, &refused) {
		return http.StatusBadRequest, sfError(refused.Code, refused.Message)
	}
	c.batch = s.batch(r)
	if len(c.found) > c.batch {
		s.cursors.add(c)
	}
	return http.StatusOK, s.page(version, c, 0)
}

// batch reads the page size from Sforce-Query-Options. A size out of bounds is brought within.
func (s *salesforce) batch(r *http.Request) int {
	for option := range strings.SplitSeq(r.Header.Get("Sforce-Query-Options"), ",") {
		name, size, _ := strings.Cut(option, "=")
		if n, err := strconv.Atoi(strings.TrimSpace(size)); err == nil && strings.EqualFold(strings.TrimSpace(name), "batchSize") {
			return min(max(n, minBatch), maxBatch)
		}
	}
	return s.config.BatchSize
}

// more answers query/{locator}, where a locator is the cursor's id, a dash and the position to go on from.
func (s *salesforce) more(version, locator string) (int, []byte) {
	id, position, _ := strings.Cut(locator, "-")
	c := s.cursors.find(id)
	from, err := strconv.Atoi(position)
	if c == nil || err != nil || from < 0 || from >= len(c.found) {
		return http.StatusBadRequest, sfError("INVALID_QUERY_LOCATOR", "invalid query locator")
	}
	return http.StatusOK, s.page(version, c, from)
}

func (s *salesforce) page(version string, c *cursor, from int) []byte {
	to := min(from+c.batch, len(c.found))
	b := make([]byte, 0, 128+(to-from)*(160+40*len(c.columns)))
	b = append(b, `{"totalSize":`...)
	b = strconv.AppendInt(b, int64(len(c.found)), 10)
	b = append(b, `,"done":`...)
	b = strconv.AppendBool(b, to == len(c.found))
	if to < len(c.found) {
		b = append(b, `,"nextRecordsUrl":"/services/data/`+version+`/query/`+c.locator+`-`...)
		b = strconv.AppendInt(b, int64(to), 10)
		b = append(b, '"')
	}
	b = append(b, `,"records":[`...)
	for i, at := range c.found[from:to] {
		if i > 0 {
			b = append(b, ',')
		}
		rec := s.data.contacts[at]
		b = append(appendFields(appendAttributes(b, version, rec.id), contactTable, rec, c.columns), '}')
	}
	return append(b, `]}`...)
}

// run checks a query against the one object there is and finds what it asks for. The error is a *QueryError.
func (d *Data) run(q *Query) (*cursor, error) {
	if !strings.EqualFold(q.Object, "Contact") {
		return nil, q.errorAt(q.positions[q.Object], "INVALID_TYPE", "sObject type '"+q.Object+"' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.")
	}
	c := &cursor{}
	for _, name := range q.Fields {
		column, err := q.column(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(c.columns, column) {
			return nil, q.errorAt(q.positions[name], "MALFORMED_QUERY", "duplicate field selected: "+contactTable.fields[column].name)
		}
		c.columns = append(c.columns, column)
	}
	var tests []test
	for _, condition := range q.Where {
		t, err := q.compile(condition)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	var orders []order
	for _, o := range q.Order {
		column, err := q.column(o.Field)
		if err != nil {
			return nil, err
		}
		orders = append(orders, order{column, o})
	}
	c.found = d.search(tests)
	d.sort(c.found, orders)
	if q.Limit >= 0 && q.Limit < len(c.found) {
		c.found = c.found[:q.Limit]
	}
	return c, nil
}

// column finds a field of Contact.
func (q *Query) column(name string) (int, error) {
	if relationship, _, dotted := strings.Cut(name, "."); dotted && !strings.EqualFold(relationship, "Contact") {
		return 0, q.errorAt(q.positions[name], "INVALID_FIELD", "Didn't understand relationship '"+relationship+"' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names.")
	}
	bare := name[strings.IndexByte(name, '.')+1:]
	column, ok := contactTable.find(bare)
	if !ok {
		return 0, q.errorAt(q.positions[name], "INVALID_FIELD", noColumn(bare, "entity 'Contact'")+". If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.")
	}
	return column, nil
}

// search returns the positions of the contacts that pass every test, in the order of the records.
func (d *Data) search(tests []test) []int {
	pass := func(i int) bool {
		return !slices.ContainsFunc(tests, func(t test) bool { return !t.match(d.contacts[i].values[t.column]) })
	}
	for _, t := range tests {
		if candidates, ok := d.candidates(t); ok {
			found := []int{}
			for _, i := range candidates {
				if pass(i) {
					found = append(found, i)
				}
			}
			return found
		}
	}
	found := []int{}
	for i := range d.contacts {
		if pass(i) {
			found = append(found, i)
		}
	}
	return found
}

// candidates returns a superset of what passes the test, in order and without duplicates, if there is an index for it.
func (d *Data) candidates(t test) ([]int, bool) {
	if t.equals == nil {
		return nil, false
	}
	var found []int
	if t.column == 0 {
		for _, v := range t.equals {
			if i, ok := d.contactByID[v.text]; ok {
				found = append(found, i)
			}
		}
	} else {
		index, ok := d.contactLookups[t.column]
		if !ok {
			return nil, false
		}
		for _, v := range t.equals {
			found = append(found, index[v.fold]...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), true
}

// order is a term of ORDER BY with its column.
type order struct {
	column int
	Order
}

func (d *Data) sort(found []int, orders []order) {
	if len(orders) == 0 {
		return
	}
	slices.SortStableFunc(found, func(i, j int) int {
		for _, o := range orders {
			a, b := d.contacts[i].values[o.column], d.contacts[j].values[o.column]
			if a.null() || b.null() {
				c := btoi(b.null()) - btoi(a.null()) // -1 when a is null: nulls first
				if o.NullsLast {
					c = -c
				}
				if c != 0 {
					return c
				}
				continue
			}
			c := compare(contactTable.fields[o.column].kind, a, b)
			if o.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// compare orders two values of one kind that are not null.
func compare(k kind, a, b value) int {
	if k == number {
		x, _ := strconv.ParseFloat(a.text, 64)
		y, _ := strconv.ParseFloat(b.text, 64)
		return cmp.Compare(x, y)
	}
	return strings.Compare(a.fold, b.fold)
}

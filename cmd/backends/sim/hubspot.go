package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// HubSpotConfig says who may call the simulated HubSpot.
type HubSpotConfig struct {
	Token string // of the private app; everyone is refused when empty
}

// hubspot answers for one portal with one object type, contacts.
type hubspot struct {
	data   *Data
	config HubSpotConfig
	serial counter
	daily  counter
	window atomic.Int64 // start of the ten-second window in Unix seconds
	calls  atomic.Int64 // in the window
}

// HubSpot makes a simulated HubSpot portal.
func HubSpot(data *Data, config HubSpotConfig) *Server {
	return newServer("hubspot", &hubspot{data: data, config: config})
}

func (h *hubspot) contentType() string { return "application/json;charset=utf-8" }

const contactsPath = "/crm/v3/objects/contacts"

func (h *hubspot) handle(r *http.Request, body []byte, header http.Header) (int, []byte) {
	header.Set("X-HubSpot-Correlation-Id", h.correlation())
	parts, ok := segments(r.URL, contactsPath)
	if !ok || parts[0] != "" || len(parts) > 2 {
		return h.fail(http.StatusNotFound)
	}
	if token := bearer(r); token == "" || token != h.config.Token {
		return h.unauthorized(token)
	}
	search := len(parts) == 2 && parts[1] == "search"
	if !search {
		h.limits(header) // search answers do not have these headers
	}
	want := http.MethodGet
	if search {
		want = http.MethodPost
	}
	switch {
	case r.Method != want:
		header.Set("Allow", want)
		return http.StatusMethodNotAllowed, h.errorBody("Method not allowed", "METHOD_NOT_ALLOWED", "")
	case search:
		return h.search(r, body)
	case len(parts) == 1 || parts[1] == "":
		return h.list(r)
	default:
		return h.get(r, parts[1])
	}
}

// The limits of a private app of a Professional account: "API usage guidelines and limits".
const (
	hsWindow      = 10 // seconds
	hsWindowCalls = 190
	hsDailyCalls  = 625_000
)

// limits tells of the rate limits and what remains of them. They are counted but not enforced: a test that wants to be
// limited says so with a RateLimit fault.
func (h *hubspot) limits(header http.Header) {
	now := time.Now().Unix()
	if start := h.window.Load(); now-start >= hsWindow && h.window.CompareAndSwap(start, now) {
		h.calls.Store(0)
	}
	h.setLimits(header, max(0, hsWindowCalls-h.calls.Add(1)), max(0, hsDailyCalls-h.daily.next()))
}

func (h *hubspot) setLimits(header http.Header, window, daily int64) {
	header.Set("X-HubSpot-RateLimit-Interval-Milliseconds", strconv.Itoa(hsWindow*1000))
	header.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(hsWindowCalls))
	header.Set("X-HubSpot-RateLimit-Remaining", strconv.FormatInt(window, 10))
	header.Set("X-HubSpot-RateLimit-Daily", strconv.Itoa(hsDailyCalls))
	header.Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.FormatInt(daily, 10))
}

// limited sets the headers of an answer with status 429.
func (h *hubspot) limited(header http.Header) {
	h.setLimits(header, 0, max(0, hsDailyCalls-h.daily.n.Load()))
}

// get answers contacts/{id}, where idProperty may name another unique property than the id.
func (h *hubspot) get(r *http.Request, id string) (int, []byte) {
	query := r.URL.Query()
	archived, ok := parseBool(query.Get("archived"))
	if !ok {
		return h.invalid("Invalid boolean value for archived: " + query.Get("archived"))
	}
	at, found := h.data.personByID[id]
	if property := query.Get("idProperty"); property != "" && property != "hs_object_id" {
		at, found, ok = h.byUnique(property, id)
		if !ok {
			return h.invalid("idProperty " + property + " is not a unique property of contacts")
		}
	}
	if !found || (h.data.peopleDates[at].archived != "") != archived {
		return h.fail(http.StatusNotFound)
	}
	return http.StatusOK, h.data.appendPerson(make([]byte, 0, 4096), at, propertyColumns(query))
}

// byUnique finds a contact by a property with unique values. ok is false for other properties.
func (h *hubspot) byUnique(property, id string) (at int, found, ok bool) {
	if property != "email" && property != "customer_number" {
		return 0, false, false
	}
	column, _ := propertyTable.find(property)
	positions := h.data.personLookup[column][strings.ToLower(id)]
	if len(positions) == 0 {
		return 0, false, true
	}
	return positions[0], true, true
}

// maxList is the most contacts on a page of the list, and defaultPage what both the list and a search return unasked.
const maxList, defaultPage = 100, 10

// list answers with the contacts by ascending id; after is the id that the page begins after.
func (h *hubspot) list(r *http.Request) (int, []byte) {
	query := r.URL.Query()
	limit, archived := defaultPage, false
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxList {
			return h.invalid("Invalid limit " + quote(s) + ": must be between 1 and 100")
		}
		limit = n
	}
	archived, ok := parseBool(query.Get("archived"))
	if !ok {
		return h.invalid("Invalid boolean value for archived: " + query.Get("archived"))
	}
	start := 0
	if after := query.Get("after"); after != "" {
		if !isDigits(after) || len(after) > 19 {
			return h.invalid("Invalid after value: must be a number")
		}
		start, _ = slices.BinarySearchFunc(h.data.people, after, func(rec *record, after string) int {
			if numberLess(after, rec.id) { // the first record greater than after
				return 1
			}
			return -1
		})
	}
	var page []int
	more := false
	for i := start; i < len(h.data.people); i++ {
		if (h.data.peopleDates[i].archived != "") != archived {
			continue
		}
		if more = len(page) == limit; more {
			break
		}
		page = append(page, i)
	}
	b := append(make([]byte, 0, 256+len(page)*1024), `{"results":[`...)
	b = h.data.appendPeople(b, page, propertyColumns(query))
	b = append(b, ']')
	if more {
		after := h.data.people[page[len(page)-1]].id
		query.Set("after", after)
		b = append(b, `,"paging":{"next":{"after":`+quote(after)+`,"link":`+quote("https://"+r.Host+contactsPath+"?"+query.Encode())+`}}`...)
	}
	return http.StatusOK, append(b, '}')
}

// numberLess compares decimal numbers without leading zeros.
func numberLess(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func parseBool(s string) (b, ok bool) {
	return strings.EqualFold(s, "true"), s == "" || strings.EqualFold(s, "true") || strings.EqualFold(s, "false")
}

// defaultProperties are returned when none are named, and alwaysProperties in any case.
var (
	defaultProperties = propertyPositions("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
	alwaysProperties  = propertyPositions("createdate", "hs_object_id", "lastmodifieddate")
)

func propertyPositions(names ...string) []int {
	columns := make([]int, len(names))
	for i, name := range names {
		columns[i], _ = propertyTable.find(name)
	}
	return columns
}

// propertyColumns reads ?properties=a,b&properties=c.
func propertyColumns(query url.Values) []int {
	var names []string
	for _, list := range query["properties"] {
		names = append(names, strings.Split(list, ",")...)
	}
	return columnsFor(names)
}

// columnsFor returns the sorted positions of the named properties. Unknown ones are passed over, as HubSpot does.
func columnsFor(names []string) []int {
	var columns []int
	for _, name := range names {
		if column, ok := propertyTable.find(strings.TrimSpace(name)); ok {
			columns = append(columns, column)
		}
	}
	if len(names) == 0 || len(names) == 1 && names[0] == "" {
		return defaultProperties
	}
	columns = append(columns, alwaysProperties...)
	slices.Sort(columns)
	return slices.Compact(columns)
}

func (d *Data) appendPeople(b []byte, positions, columns []int) []byte {
	for i, at := range positions {
		if i > 0 {
			b = append(b, ',')
		}
		b = d.appendPerson(b, at, columns)
	}
	return b
}

func (d *Data) appendPerson(b []byte, at int, columns []int) []byte {
	rec, dates := d.people[at], d.peopleDates[at]
	b = append(b, `{"id":"`...)
	b = append(b, rec.id...)
	b = append(b, `","properties":{`...)
	b = appendFields(b, propertyTable, rec, columns)
	b = append(b, `},"createdAt":"`...)
	b = append(b, dates.created...)
	b = append(b, `","updatedAt":"`...)
	b = append(b, dates.updated...)
	if dates.archived == "" {
		return append(b, `","archived":false}`...)
	}
	return append(b, `","archived":true,"archivedAt":"`+dates.archived+`"}`...)
}

func (h *hubspot) unauthorized(token string) (int, []byte) {
	if token == "" {
		return h.fail(http.StatusUnauthorized)
	}
	return http.StatusUnauthorized, h.errorBody("The access token used to make this call is expired or invalid.", "EXPIRED_AUTHENTICATION", "")
}

func (h *hubspot) invalid(message string) (int, []byte) {
	return http.StatusBadRequest, h.errorBody(message, "VALIDATION_ERROR", "")
}

func (h *hubspot) fail(status int) (int, []byte) { return status, h.failure(status) }

func (h *hubspot) failure(status int) []byte {
	switch status {
	case http.StatusUnauthorized:
		return h.errorBody("Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview", "INVALID_AUTHENTICATION", "")
	case http.StatusForbidden:
		return h.errorBody("This app hasn't been granted all required scopes to make this call.", "MISSING_SCOPES", "")
	case http.StatusNotFound:
		return h.errorBody("resource not found", "OBJECT_NOT_FOUND", "")
	case http.StatusBadRequest:
		return h.errorBody("Invalid input JSON", "VALIDATION_ERROR", "")
	case http.StatusTooManyRequests:
		return h.errorBody("You have reached your secondly limit.", "RATE_LIMITS", `,"errorType":"RATE_LIMIT","policyName":"SECONDLY"`)
	case http.StatusRequestEntityTooLarge:
		return h.errorBody("Request entity too large", "VALIDATION_ERROR", "")
	}
	return h.errorBody("internal error", "INTERNAL_ERROR", "")
}

// errorBody is the body of every HubSpot error; more is JSON text to go before the closing brace.
func (h *hubspot) errorBody(message, category, more string) []byte {
	return []byte(`{"status":"error","message":` + quote(message) + `,"correlationId":"` + h.correlation() + `","category":` + quote(category) + more + `}`)
}

// correlation returns a UUID that no other answer of this server has.
func (h *hubspot) correlation() string {
	return fmt.Sprintf("5e55104a-0000-4000-8000-%012x", h.serial.next())
}

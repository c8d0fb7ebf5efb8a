package sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SalesforceConfig says who may call the simulated Salesforce and how it pages.
type SalesforceConfig struct {
	Token        string        // a bearer token that is always good; none when empty
	ClientID     string        // of the connected app; the token endpoint refuses everyone when empty
	ClientSecret string        // of the connected app
	TokenLife    time.Duration // how long an issued token is good; 0 means 2h, Salesforce's default session timeout
	BatchSize    int           // records on a page when the client does not say; 0 means 2000, Salesforce's maximum
}

// orgID is the organization of the simulated Salesforce.
var orgID = salesforceID("00D", 1)

// salesforce answers for one org with one object, Contact.
type salesforce struct {
	data    *Data
	config  SalesforceConfig
	tokens  tokenMint
	cursors cursors
	usage   counter
}

// Salesforce makes a simulated Salesforce org. Zero fields of the configuration refuse.
func Salesforce(data *Data, config SalesforceConfig) *Server {
	if config.TokenLife == 0 {
		config.TokenLife = 2 * time.Hour
	}
	if config.BatchSize == 0 {
		config.BatchSize = maxBatch
	}
	return newServer("salesforce", &salesforce{data: data, config: config, tokens: newTokenMint(config.TokenLife)})
}

func (d *Data) indexSalesforce() {
	d.contactByID = make(map[string]int, len(d.contacts))
	for i, r := range d.contacts {
		d.contactByID[r.id] = i
	}
	d.contactLookups = make(map[int]lookup)
	for _, name := range []string{"Email", "Customer_Number__c", "Phone_E164__c", "MobilePhone", "LastName", "Name", "Till_Import_Key__c"} {
		column, _ := contactTable.find(name)
		d.contactLookups[column] = newLookup(contactTable, d.contacts, name)
	}
}

func (s *salesforce) contentType() string { return "application/json;charset=UTF-8" }

// dailyLimit is the number of API calls a day that Sforce-Limit-Info tells of: that of a Developer Edition org.
const dailyLimit = 15000

func (s *salesforce) handle(r *http.Request, body []byte, header http.Header) (int, []byte) {
	header.Set("Set-Cookie", "BrowserId=c2ltdWxhdGVkQnJvd3Nlcg; path=/; secure; HttpOnly")
	if r.URL.Path == "/services/oauth2/token" {
		return s.token(r, body, header)
	}
	parts, ok := segments(r.URL, "/services/data/")
	if !ok || len(parts) < 2 || !isVersion(parts[0]) {
		return s.fail(http.StatusNotFound)
	}
	if !s.authorized(bearer(r)) {
		header.Set("WWW-Authenticate", "Token")
		return s.fail(http.StatusUnauthorized)
	}
	header.Set("Sforce-Limit-Info", "api-usage="+strconv.FormatInt(s.usage.next(), 10)+"/"+strconv.Itoa(dailyLimit))
	version, parts := parts[0], parts[1:]
	if last := len(parts) - 1; last > 0 && parts[last] == "" {
		parts = parts[:last] // Salesforce takes a slash at the end
	}
	var answer func() (int, []byte)
	switch {
	case parts[0] == "sobjects" && len(parts) >= 3 && !strings.EqualFold(parts[1], "Contact"):
		return s.fail(http.StatusNotFound)
	case parts[0] == "sobjects" && len(parts) == 3:
		answer = func() (int, []byte) { return s.byID(r, version, parts[2]) }
	case parts[0] == "sobjects" && len(parts) == 4:
		answer = func() (int, []byte) { return s.byExternalID(r, version, parts[2], parts[3]) }
	case parts[0] == "query" && len(parts) == 1:
		answer = func() (int, []byte) { return s.query(r, version) }
	case parts[0] == "query" && len(parts) == 2:
		answer = func() (int, []byte) { return s.more(version, parts[1]) }
	default:
		return s.fail(http.StatusNotFound)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		return http.StatusMethodNotAllowed, sfError("METHOD_NOT_ALLOWED", "HTTP Method '"+r.Method+"' not allowed. Allowed are GET,HEAD")
	}
	return answer()
}

func (s *salesforce) authorized(token string) bool {
	return token != "" && (token == s.config.Token || s.tokens.valid(token))
}

// isVersion accepts v31.0 to v67.0: the versions that are not retired, up to the newest when this was written.
func isVersion(v string) bool {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(v, "v"), ".0")
	n, err := strconv.Atoi(digits)
	return ok && err == nil && v[0] == 'v' && len(digits) == 2 && 31 <= n && n <= 67
}

// byID answers sobjects/Contact/{id}.
func (s *salesforce) byID(r *http.Request, version, id string) (int, []byte) {
	canonical, ok := canonicalID(id)
	if !ok || !strings.HasPrefix(canonical, "003") {
		return http.StatusNotFound, sfError("NOT_FOUND", "Provided external ID field does not exist or is not accessible: "+id)
	}
	i, ok := s.data.contactByID[canonical]
	if !ok {
		return s.fail(http.StatusNotFound)
	}
	return s.contact(r, version, s.data.contacts[i])
}

// byExternalID answers sobjects/Contact/{field}/{value} for the fields that are marked as external ids.
func (s *salesforce) byExternalID(r *http.Request, version, name, value string) (int, []byte) {
	column, ok := contactTable.find(name)
	if !ok || !isExternalID(contactTable.fields[column].name) {
		return http.StatusNotFound, sfError("NOT_FOUND", "Provided external ID field does not exist or is not accessible: "+name)
	}
	found := s.data.contactLookups[column][strings.ToLower(value)]
	switch len(found) {
	case 0:
		return s.fail(http.StatusNotFound)
	case 1:
		return s.contact(r, version, s.data.contacts[found[0]])
	}
	b := []byte{'['}
	for i, at := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, quote(contactURL(version, s.data.contacts[at].id))...)
	}
	return http.StatusMultipleChoices, append(b, ']')
}

func isExternalID(name string) bool {
	return name == "Customer_Number__c" || name == "Till_Import_Key__c"
}

// contact answers with one record: all fields, or those of ?fields= and the Id.
func (s *salesforce) contact(r *http.Request, version string, rec *record) (int, []byte) {
	b := appendAttributes(make([]byte, 0, len(rec.full)+200), version, rec.id)
	asked := ""
	if r.URL.RawQuery != "" {
		asked = r.URL.Query().Get("fields")
	}
	if asked == "" {
		b = append(b, rec.full...)
		return http.StatusOK, append(b, '}')
	}
	var columns []int
	for name := range strings.SplitSeq(asked, ",") {
		name = strings.TrimSpace(name)
		column, ok := contactTable.find(name)
		if !ok {
			return http.StatusBadRequest, sfError("INVALID_FIELD", noColumn(name, "sobject of type Contact"))
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	if !slices.Contains(columns, 0) {
		columns = append(columns, 0) // Id, which always comes along
	}
	return http.StatusOK, append(appendFields(b, contactTable, rec, columns), '}')
}

func noColumn(name, where string) string {
	return "No such column '" + name + "' on " + where
}

func contactURL(version, id string) string {
	return "/services/data/" + version + "/sobjects/Contact/" + id
}

// appendAttributes begins a record: everything up to and including the comma before its first field.
func appendAttributes(b []byte, version, id string) []byte {
	b = append(b, `{"attributes":{"type":"Contact","url":"/services/data/`...)
	b = append(b, version...)
	b = append(b, `/sobjects/Contact/`...)
	b = append(b, id...)
	return append(b, `"},`...)
}

func (s *salesforce) fail(status int) (int, []byte) { return status, s.failure(status) }

// failure uses the codes of "Status Codes and Error Responses" of the REST API guide. Salesforce itself reports an
// exhausted limit as 403; the same body under 429 is for clients that meet it behind a gateway.
func (s *salesforce) failure(status int) []byte {
	switch status {
	case http.StatusUnauthorized:
		return sfError("INVALID_SESSION_ID", "Session expired or invalid")
	case http.StatusForbidden, http.StatusTooManyRequests:
		return sfError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
	case http.StatusNotFound:
		return sfError("NOT_FOUND", "The requested resource does not exist")
	case http.StatusBadRequest:
		return sfError("JSON_PARSER_ERROR", "The HTTP entity body could not be read")
	case http.StatusRequestEntityTooLarge:
		return sfError("REQUEST_TOO_LARGE", "The request entity is too large")
	case http.StatusServiceUnavailable:
		return sfError("SERVER_UNAVAILABLE", "The server is temporarily unavailable. Please try again later.")
	}
	return sfError("UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId if you contact support: 1234567890-12345 (-1234567890)")
}

// sfError is the body of every Salesforce error: a list with one element.
func sfError(code, message string) []byte {
	return []byte(`[{"message":` + quote(message) + `,"errorCode":` + quote(code) + `}]`)
}

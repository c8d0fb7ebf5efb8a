package sim

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SquareConfig says who may call the simulated Square.
type SquareConfig struct {
	Token   string // an access token; everyone is refused when empty
	Version string // the Square-Version answered with when the client names none; "2026-09-16" when empty
}

// square answers for one seller with one loyalty programme.
type square struct {
	data   *Data
	config SquareConfig
}

// Square makes a simulated Square seller account.
func Square(data *Data, config SquareConfig) *Server {
	if config.Version == "" {
		config.Version = "2026-09-16"
	}
	return newServer("square", &square{data: data, config: config})
}

func (s *square) contentType() string { return "application/json" }

const accountsPath = "/v2/loyalty/accounts/"

func (s *square) handle(r *http.Request, body []byte, header http.Header) (int, []byte) {
	version := r.Header.Get("Square-Version")
	if version == "" {
		version = s.config.Version
	}
	if _, err := time.Parse(time.DateOnly, version); err != nil {
		return s.invalid("INVALID_SQUARE_VERSION_FORMAT", "The Square-Version header must be a date of the form YYYY-MM-DD.", "")
	}
	header.Set("Square-Version", version)
	if token := bearer(r); token == "" || token != s.config.Token {
		return s.fail(http.StatusUnauthorized)
	}
	parts, ok := segments(r.URL, accountsPath)
	if !ok || len(parts) != 1 || parts[0] == "" {
		return s.fail(http.StatusNotFound)
	}
	switch {
	case parts[0] == "search" && r.Method == http.MethodPost:
		return s.search(body)
	case r.Method != http.MethodGet || parts[0] == "search":
		return http.StatusMethodNotAllowed, sqError("INVALID_REQUEST_ERROR", "METHOD_NOT_ALLOWED", "Method not allowed.", "")
	}
	i, ok := s.data.accountByID[parts[0]]
	if !ok {
		return http.StatusNotFound, sqError("INVALID_REQUEST_ERROR", "NOT_FOUND", "Loyalty account with ID `"+parts[0]+"` not found.", "account_id")
	}
	return http.StatusOK, []byte(`{"loyalty_account":` + s.data.accounts[i].json + `}`)
}

// Limits of the search: reference of SearchLoyaltyAccounts.
const (
	maxAccounts      = 200
	defaultAccounts  = 30
	maxSearchedFor   = 30  // mappings or customer ids
	maxCursorLength  = 200 // ours are far shorter
	minPhone, maxTel = 9, 16
)

type accountSearch struct {
	Query *struct {
		Mappings []struct {
			ID          string `json:"id"`
			PhoneNumber string `json:"phone_number"`
		} `json:"mappings"`
		CustomerIDs []string `json:"customer_ids"`
	} `json:"query"`
	Limit  *int   `json:"limit"`
	Cursor string `json:"cursor"`
}

func (s *square) search(body []byte) (int, []byte) {
	var req accountSearch
	if len(body) > 0 {
		if err := json.Unmarshal(body, &req); err != nil {
			return s.badBody(err)
		}
	}
	limit := defaultAccounts
	if req.Limit != nil {
		limit = *req.Limit
	}
	switch {
	case limit < 1:
		return s.invalid("VALUE_TOO_LOW", "`limit` must not be less than 1.", "limit")
	case limit > maxAccounts:
		return s.invalid("VALUE_TOO_HIGH", "`limit` must not be greater than 200.", "limit")
	}
	found, status, answer := s.find(req)
	if answer != nil {
		return status, answer
	}
	key := searchKey(req)
	from, ok := openCursor(req.Cursor, key)
	if !ok || from > len(found) {
		return s.invalid("INVALID_CURSOR", "The pagination cursor is invalid.", "cursor")
	}
	to := min(from+limit, len(found))
	if from == to {
		return http.StatusOK, []byte(`{}`) // Square leaves out empty lists
	}
	b := append(make([]byte, 0, 64+(to-from)*800), `{"loyalty_accounts":[`...)
	for i, at := range found[from:to] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, s.data.accounts[at].json...)
	}
	b = append(b, ']')
	if to < len(found) {
		b = append(b, `,"cursor":`+quote(sealCursor(to, key))...)
	}
	return http.StatusOK, append(b, '}')
}

// find returns the positions of the accounts asked for, oldest first; all of them for an empty query. A refused query
// has an answer.
func (s *square) find(req accountSearch) (found []int, status int, answer []byte) {
	refuse := func(code, detail, field string) ([]int, int, []byte) {
		status, answer := s.invalid(code, detail, field)
		return nil, status, answer
	}
	q := req.Query
	switch {
	case q == nil || len(q.Mappings)+len(q.CustomerIDs) == 0:
		for i := range s.data.accounts {
			found = append(found, i)
		}
		return found, 0, nil
	case len(q.Mappings) > 0 && len(q.CustomerIDs) > 0:
		return refuse("CONFLICTING_PARAMETERS", "`mappings` and `customer_ids` cannot both be set.", "query")
	case len(q.Mappings) > maxSearchedFor:
		return refuse("ARRAY_LENGTH_TOO_LONG", "`query.mappings` must not have more than 30 elements.", "query.mappings")
	case len(q.CustomerIDs) > maxSearchedFor:
		return refuse("ARRAY_LENGTH_TOO_LONG", "`query.customer_ids` must not have more than 30 elements.", "query.customer_ids")
	}
	for _, m := range q.Mappings {
		if m.PhoneNumber == "" {
			return refuse("MISSING_REQUIRED_PARAMETER", "Missing required parameter.", "query.mappings.phone_number")
		}
		if !isE164(m.PhoneNumber) {
			return refuse("INVALID_PHONE_NUMBER", "The phone number is not in E.164 format.", "query.mappings.phone_number")
		}
		if i, ok := s.data.accountByPhone[m.PhoneNumber]; ok {
			found = append(found, i)
		}
	}
	for _, id := range q.CustomerIDs {
		if i, ok := s.data.accountByCustomer[id]; ok {
			found = append(found, i)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), 0, nil
}

// isE164 accepts a plus sign and 8 to 15 digits (ITU-T E.164 allows 15), not beginning with 0.
func isE164(s string) bool {
	return len(s) >= minPhone && len(s) <= maxTel && s[0] == '+' && s[1] != '0' && isDigits(s[1:])
}

// searchKey names a query, so that a cursor of one is refused by another.
func searchKey(req accountSearch) string {
	b, _ := json.Marshal(req.Query) // strings only; cannot fail
	return derive("search", string(b), 16)
}

// A cursor is base64url of "position key".
func sealCursor(position int, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(position) + " " + key))
}

func openCursor(cursor, key string) (position int, ok bool) {
	if cursor == "" {
		return 0, true
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor[:min(len(cursor), maxCursorLength)])
	digits, got, _ := strings.Cut(string(b), " ")
	position, atoi := strconv.Atoi(digits)
	return position, err == nil && atoi == nil && position >= 0 && got == key
}

// badBody names the field of the wrong type, or says that the body is no JSON.
func (s *square) badBody(err error) (int, []byte) {
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(err, &wrong) {
		return s.fail(http.StatusBadRequest)
	}
	code := map[string]string{"string": "EXPECTED_STRING", "int": "EXPECTED_INTEGER"}[wrong.Type.String()]
	if code == "" {
		code = "INVALID_VALUE"
		if strings.HasPrefix(wrong.Type.String(), "[]") {
			code = "EXPECTED_ARRAY"
		}
	}
	return s.invalid(code, "The value of `"+wrong.Field+"` has the wrong type.", wrong.Field)
}

func (s *square) invalid(code, detail, field string) (int, []byte) {
	return http.StatusBadRequest, sqError("INVALID_REQUEST_ERROR", code, detail, field)
}

func (s *square) fail(status int) (int, []byte) { return status, s.failure(status) }

func (s *square) failure(status int) []byte {
	switch status {
	case http.StatusUnauthorized:
		return sqError("AUTHENTICATION_ERROR", "UNAUTHORIZED", "This request could not be authorized.", "")
	case http.StatusForbidden:
		return sqError("AUTHENTICATION_ERROR", "FORBIDDEN", "You have insufficient permissions to perform that action.", "")
	case http.StatusNotFound:
		return sqError("INVALID_REQUEST_ERROR", "NOT_FOUND", "Resource not found.", "")
	case http.StatusBadRequest:
		return sqError("INVALID_REQUEST_ERROR", "EXPECTED_JSON_BODY", "The request body could not be read as JSON.", "")
	case http.StatusRequestEntityTooLarge:
		return sqError("INVALID_REQUEST_ERROR", "REQUEST_ENTITY_TOO_LARGE", "The request entity is too large.", "")
	case http.StatusTooManyRequests:
		return sqError("RATE_LIMIT_ERROR", "RATE_LIMITED", "Too many requests. Please slow down.", "")
	case http.StatusServiceUnavailable:
		return sqError("API_ERROR", "SERVICE_UNAVAILABLE", "The service is temporarily unavailable.", "")
	case http.StatusGatewayTimeout:
		return sqError("API_ERROR", "GATEWAY_TIMEOUT", "The gateway timed out.", "")
	}
	return sqError("API_ERROR", "INTERNAL_SERVER_ERROR", "An internal error has occurred, and the API was unable to service your request.", "")
}

// sqError is the body of every Square error: a list with one element.
func sqError(category, code, detail, field string) []byte {
	body := `{"errors":[{"category":` + quote(category) + `,"code":` + quote(code) + `,"detail":` + quote(detail)
	if field != "" {
		body += `,"field":` + quote(field)
	}
	return []byte(body + `}]}`)
}

package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

const sqAccounts = "/v2/loyalty/accounts/"

type sqPage struct {
	LoyaltyAccounts []struct {
		ID        string
		CreatedAt string `json:"created_at"`
		Mapping   struct {
			PhoneNumber string `json:"phone_number"`
		}
	} `json:"loyalty_accounts"`
	Cursor string
}

type sqFault struct {
	Errors []struct{ Category, Code, Detail, Field string }
}

func byPhone(phones ...string) string {
	mappings := []string{}
	for _, p := range phones {
		mappings = append(mappings, fmt.Sprintf(`{"phone_number":%q}`, p))
	}
	return `{"query":{"mappings":[` + strings.Join(mappings, ",") + `]}}`
}

func TestSquareRefuses(t *testing.T) {
	tests := []struct {
		name, method, target, body, header string
		status                             int
		category, code                     string
	}{
		{"no credential", "POST", "search", "{}", "Authorization: ", 401, "AUTHENTICATION_ERROR", "UNAUTHORIZED"},
		{"wrong credential", "POST", "search", "{}", "Authorization: Bearer x", 401, "AUTHENTICATION_ERROR", "UNAUTHORIZED"},
		{"account without credential", "GET", customer(t, "C-100042").SquareID, "", "Authorization: ", 401, "AUTHENTICATION_ERROR", "UNAUTHORIZED"},
		{"version that is no date", "POST", "search", "{}", "Square-Version: latest", 400, "INVALID_REQUEST_ERROR", "INVALID_SQUARE_VERSION_FORMAT"},
		{"version on no day", "POST", "search", "{}", "Square-Version: 2026-02-30", 400, "INVALID_REQUEST_ERROR", "INVALID_SQUARE_VERSION_FORMAT"},
		{"no such account", "GET", "x", "", "", 404, "INVALID_REQUEST_ERROR", "NOT_FOUND"},
		{"other resource", "GET", "../programs/main", "", "", 404, "INVALID_REQUEST_ERROR", "NOT_FOUND"},
		{"write", "POST", customer(t, "C-100042").SquareID, "{}", "", 405, "INVALID_REQUEST_ERROR", "METHOD_NOT_ALLOWED"},
		{"GET search", "GET", "search", "", "", 405, "INVALID_REQUEST_ERROR", "METHOD_NOT_ALLOWED"},
		{"not JSON", "POST", "search", "{", "", 400, "INVALID_REQUEST_ERROR", "EXPECTED_JSON_BODY"},
		{"limit as text", "POST", "search", `{"limit":"5"}`, "", 400, "INVALID_REQUEST_ERROR", "EXPECTED_INTEGER"},
		{"cursor as number", "POST", "search", `{"cursor":5}`, "", 400, "INVALID_REQUEST_ERROR", "EXPECTED_STRING"},
		{"mappings as object", "POST", "search", `{"query":{"mappings":{}}}`, "", 400, "INVALID_REQUEST_ERROR", "EXPECTED_ARRAY"},
		{"limit too low", "POST", "search", `{"limit":0}`, "", 400, "INVALID_REQUEST_ERROR", "VALUE_TOO_LOW"},
		{"limit too high", "POST", "search", `{"limit":201}`, "", 400, "INVALID_REQUEST_ERROR", "VALUE_TOO_HIGH"},
		{"phone as people write it", "POST", "search", byPhone("(312) 555-0142"), "", 400, "INVALID_REQUEST_ERROR", "INVALID_PHONE_NUMBER"},
		{"no phone", "POST", "search", byPhone(""), "", 400, "INVALID_REQUEST_ERROR", "MISSING_REQUIRED_PARAMETER"},
		{"too many phones", "POST", "search", byPhone(slices.Repeat([]string{"+13125550142"}, 31)...), "", 400, "INVALID_REQUEST_ERROR", "ARRAY_LENGTH_TOO_LONG"},
		{"phones and customers", "POST", "search", `{"query":{"mappings":[{"phone_number":"+13125550142"}],"customer_ids":["x"]}}`, "", 400, "INVALID_REQUEST_ERROR", "CONFLICTING_PARAMETERS"},
		{"odd cursor", "POST", "search", `{"cursor":"x"}`, "", 400, "INVALID_REQUEST_ERROR", "INVALID_CURSOR"},
		{"body too large", "POST", "search", strings.Repeat(" ", 1<<20+1), "", 413, "INVALID_REQUEST_ERROR", "REQUEST_ENTITY_TOO_LARGE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{}
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			w := call(t, square(), tt.method, sqAccounts+tt.target, tt.body, headers...)
			got := decode[sqFault](t, w, tt.status)
			if len(got.Errors) != 1 || got.Errors[0].Category != tt.category || got.Errors[0].Code != tt.code || got.Errors[0].Detail == "" {
				t.Errorf("got %s, want %s %s", w.Body, tt.category, tt.code)
			}
		})
	}
	if w := call(t, sim.Square(testData(), sim.SquareConfig{}), "POST", sqAccounts+"search", "", "Authorization: Bearer "); w.Code != 401 {
		t.Errorf("a server without a token lets the empty token in: %d", w.Code)
	}
}

func TestSquareAccount(t *testing.T) {
	c := customer(t, "C-100042")
	account := fmt.Sprintf(`{"id":%q,"program_id":`, c.SquareID)
	want := []string{
		account, `"balance":1250,"lifetime_points":8420,"customer_id":"` + c.SquareCustomerID + `"`, `"phone_number":"+13125550142"`,
		`"expiring_point_deadlines":[{"points":250,"expires_at":"2026-03-31T00:00:00Z"},{"points":1000,"expires_at":"2026-09-30T00:00:00Z"}]`,
	}
	answers := map[string]struct{ method, target, body, prefix string }{
		"get":                {"GET", c.SquareID, "", `{"loyalty_account":` + account},
		"search by phone":    {"POST", "search", byPhone("+13125550142"), `{"loyalty_accounts":[` + account},
		"search by customer": {"POST", "search", `{"query":{"customer_ids":["` + c.SquareCustomerID + `"]}}`, `{"loyalty_accounts":[` + account},
	}
	for name, tt := range answers {
		t.Run(name, func(t *testing.T) {
			w := call(t, square(), tt.method, sqAccounts+tt.target, tt.body, "Square-Version: 2025-01-23")
			if w.Code != 200 || w.Header().Get("Square-Version") != "2025-01-23" || !strings.HasPrefix(w.Body.String(), tt.prefix) {
				t.Errorf("status %d, version %q: %s", w.Code, w.Header().Get("Square-Version"), w.Body)
			}
			for _, part := range want {
				contains(t, w, part)
			}
		})
	}
	if w := call(t, square(), "POST", sqAccounts+"search", byPhone("+13125550149")); w.Code != 200 || w.Body.String() != "{}" {
		t.Errorf("a search that finds nothing: %d %s, want {}", w.Code, w.Body)
	}
	if w := call(t, square(), "POST", sqAccounts+"search", byPhone("+13125550143", "+13125550142", "+13125550142")); len(decode[sqPage](t, w, 200).LoyaltyAccounts) != 2 {
		t.Errorf("a phone asked for twice: %s", w.Body)
	}
}

func TestSquarePaging(t *testing.T) {
	s := square()
	want := 0
	for _, c := range testData().Customers() {
		if c.SquareID != "" {
			want++
		}
	}
	seen, cursor, last := map[string]bool{}, "", ""
	for {
		page := decode[sqPage](t, call(t, s, "POST", sqAccounts+"search", fmt.Sprintf(`{"limit":200,"cursor":%q}`, cursor)), 200)
		for _, a := range page.LoyaltyAccounts {
			if seen[a.ID] {
				t.Fatalf("account %s comes twice", a.ID)
			}
			if a.CreatedAt < last {
				t.Fatalf("account %s of %s comes after one of %s", a.ID, a.CreatedAt, last)
			}
			seen[a.ID], last = true, a.CreatedAt
		}
		if page.Cursor == "" {
			break
		}
		if len(page.LoyaltyAccounts) != 200 {
			t.Fatalf("page of %d accounts", len(page.LoyaltyAccounts))
		}
		cursor = page.Cursor
	}
	if len(seen) != want {
		t.Errorf("%d accounts, want %d", len(seen), want)
	}
	first := decode[sqPage](t, call(t, s, "POST", sqAccounts+"search", ""), 200)
	if len(first.LoyaltyAccounts) != 30 {
		t.Errorf("%d accounts without a limit, want 30", len(first.LoyaltyAccounts))
	}
	other := strings.Replace(byPhone("+13125550142"), "{", fmt.Sprintf(`{"cursor":%q,`, first.Cursor), 1)
	if got := decode[sqFault](t, call(t, s, "POST", sqAccounts+"search", other), 400); !cmp.Equal(got.Errors[0].Code, "INVALID_CURSOR") {
		t.Errorf("another query's cursor: %v", got)
	}
}

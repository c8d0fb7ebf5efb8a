package sim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

const contactPath = "/services/data/v62.0/sobjects/Contact/"

// sfFault is the body of a Salesforce error.
type sfFault []struct{ Message, ErrorCode string }

func soql(q string) string { return "/services/data/v62.0/query?q=" + url.QueryEscape(q) }

func TestSalesforceRefuses(t *testing.T) {
	c := customer(t, "C-100042")
	tests := []struct {
		name, method, target, header string
		status                       int
		code                         string
	}{
		{"no credential", "GET", contactPath + c.SalesforceID, "Authorization: ", 401, "INVALID_SESSION_ID"},
		{"wrong credential", "GET", contactPath + c.SalesforceID, "Authorization: Bearer other", 401, "INVALID_SESSION_ID"},
		{"basic credential", "GET", contactPath + c.SalesforceID, "Authorization: Basic " + token, 401, "INVALID_SESSION_ID"},
		{"query without credential", "GET", soql("SELECT Id FROM Contact"), "Authorization: ", 401, "INVALID_SESSION_ID"},
		{"forged session", "GET", contactPath + c.SalesforceID, "Authorization: Bearer 00D5g000001VJCb!AQ1.1.x", 401, "INVALID_SESSION_ID"},
		{"no such contact", "GET", contactPath + "0035g00000zzzzzAAA", "", 404, "NOT_FOUND"},
		{"not an id", "GET", contactPath + "123", "", 404, "NOT_FOUND"},
		{"id of an account", "GET", contactPath + "0015g00000LJi1yAAD", "", 404, "NOT_FOUND"},
		{"wrong checksum", "GET", contactPath + c.SalesforceID[:17] + "9", "", 404, "NOT_FOUND"},
		{"other object", "GET", "/services/data/v62.0/sobjects/Lead/" + c.SalesforceID, "", 404, "NOT_FOUND"},
		{"retired version", "GET", "/services/data/v20.0/sobjects/Contact/" + c.SalesforceID, "", 404, "NOT_FOUND"},
		{"unknown path", "GET", "/services/data/v62.0/limits", "", 404, "NOT_FOUND"},
		{"outside the API", "GET", "/", "", 404, "NOT_FOUND"},
		{"unknown field", "GET", contactPath + c.SalesforceID + "?fields=Id,Shoe_Size__c", "", 400, "INVALID_FIELD"},
		{"write", "PATCH", contactPath + c.SalesforceID, "", 405, "METHOD_NOT_ALLOWED"},
		{"unknown external id field", "GET", contactPath + "Shoe_Size__c/42", "", 404, "NOT_FOUND"},
		{"field that is no external id", "GET", contactPath + "LastName/Hart", "", 404, "NOT_FOUND"},
		{"unknown external id", "GET", contactPath + "Customer_Number__c/C-999999", "", 404, "NOT_FOUND"},
		{"no query", "GET", "/services/data/v62.0/query", "", 400, "MALFORMED_QUERY"},
		{"malformed query", "GET", soql("SELECT Id FROM Contact WHERE"), "", 400, "MALFORMED_QUERY"},
		{"unknown object", "GET", soql("SELECT Id FROM Lead"), "", 400, "INVALID_TYPE"},
		{"unknown field in SELECT", "GET", soql("SELECT Id, Shoe FROM Contact"), "", 400, "INVALID_FIELD"},
		{"unknown field in WHERE", "GET", soql("SELECT Id FROM Contact WHERE Shoe = '42'"), "", 400, "INVALID_FIELD"},
		{"unknown field in ORDER BY", "GET", soql("SELECT Id FROM Contact ORDER BY Shoe"), "", 400, "INVALID_FIELD"},
		{"relationship", "GET", soql("SELECT Account.Name FROM Contact"), "", 400, "INVALID_FIELD"},
		{"field twice", "GET", soql("SELECT Id, Email, email FROM Contact"), "", 400, "MALFORMED_QUERY"},
		{"compound field in WHERE", "GET", soql("SELECT Id FROM Contact WHERE MailingAddress = 'x'"), "", 400, "INVALID_FIELD"},
		{"text compared with a number", "GET", soql("SELECT Id FROM Contact WHERE Email = 5"), "", 400, "INVALID_FIELD"},
		{"number compared with text", "GET", soql("SELECT Id FROM Contact WHERE Lifetime_Value__c = '5'"), "", 400, "INVALID_FIELD"},
		{"LIKE on a number", "GET", soql("SELECT Id FROM Contact WHERE Lifetime_Value__c LIKE '5'"), "", 400, "INVALID_FIELD"},
		{"id that is none", "GET", soql("SELECT Id FROM Contact WHERE Id = 'x'"), "", 400, "INVALID_QUERY_FILTER_OPERATOR"},
		{"unknown locator", "GET", "/services/data/v62.0/query/01g5g00000LJi1yAAD-2000", "", 400, "INVALID_QUERY_LOCATOR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{}
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			w := call(t, salesforce(), tt.method, tt.target, "", headers...)
			fault := decode[sfFault](t, w, tt.status)
			if len(fault) != 1 || fault[0].ErrorCode != tt.code || fault[0].Message == "" {
				t.Errorf("got %s, want one %s", w.Body, tt.code)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json;charset=UTF-8" {
				t.Errorf("content type %q", got)
			}
		})
	}
	if w := call(t, sim.Salesforce(testData(), sim.SalesforceConfig{}), "GET", contactPath+c.SalesforceID, "", "Authorization: Bearer "); w.Code != 401 {
		t.Errorf("a server without a token lets the empty token in: %d", w.Code)
	}
}

func TestSalesforceContact(t *testing.T) {
	c := customer(t, "C-100042")
	w := call(t, salesforce(), "GET", contactPath+c.SalesforceID, "")
	all := decode[map[string]any](t, w, 200)
	for name, want := range map[string]any{
		"Id": c.SalesforceID, "Name": "Amelia Hart", "Email": "Amelia.Hart@Example.com", "MobilePhone": "(312) 555-0142",
		"Phone_E164__c": "+13125550142", "MailingCity": "Chicago", "Customer_Number__c": "C-100042", "IsDeleted": false,
		"LastModifiedDate": "2024-03-11T09:15:00.000+0000",
		"attributes":       map[string]any{"type": "Contact", "url": contactPath + c.SalesforceID},
	} {
		if diff := cmp.Diff(want, all[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got, want := len(all), len(sim.ContactFields())+1; got != want {
		t.Errorf("%d fields, want %d", got, want)
	}
	if address, _ := all["MailingAddress"].(map[string]any); address["city"] != "Chicago" {
		t.Errorf("MailingAddress is %v", all["MailingAddress"])
	}
	if got := w.Header().Get("Sforce-Limit-Info"); got != "api-usage=1/15000" {
		t.Errorf("Sforce-Limit-Info %q", got)
	}

	tests := []struct{ name, target, want string }{
		{"fields in the order asked, the Id last", contactPath + c.SalesforceID + "?fields=Email,name",
			`{"attributes":{"type":"Contact","url":"` + contactPath + c.SalesforceID + `"},"Email":"Amelia.Hart@Example.com","Name":"Amelia Hart","Id":"` + c.SalesforceID + `"}`},
		{"15 characters", contactPath + c.SalesforceID[:15] + "?fields=Id", `"Id":"` + c.SalesforceID + `"}`},
		{"18 characters whose case was lost", contactPath + strings.ToLower(c.SalesforceID) + "?fields=Id", `"Id":"` + c.SalesforceID + `"}`},
		{"external id", contactPath + "Customer_Number__c/C-100042?fields=Id", `"Id":"` + c.SalesforceID + `"}`},
		{"external id in another case", contactPath + "customer_number__c/c-100042?fields=Id", `"Id":"` + c.SalesforceID + `"}`},
		{"escaped external id", contactPath + "Customer_Number__c/C%2D100042?fields=Id", `"Id":"` + c.SalesforceID + `"}`},
		{"another version", "/services/data/v58.0/sobjects/Contact/" + c.SalesforceID + "?fields=Id", `"url":"/services/data/v58.0/sobjects/Contact/` + c.SalesforceID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, salesforce(), "GET", tt.target, "")
			if w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
			contains(t, w, tt.want)
		})
	}
}

func TestSalesforceFixedCustomers(t *testing.T) {
	phoneless := decode[map[string]any](t, call(t, salesforce(), "GET", contactPath+customer(t, "C-100043").SalesforceID, ""), 200)
	for name, v := range phoneless {
		if strings.Contains(name, "Phone") && v != nil {
			t.Errorf("C-100043 has %s %v", name, v)
		}
	}
	twice := decode[[]string](t, call(t, salesforce(), "GET", contactPath+"Customer_Number__c/C-100047", ""), 300)
	if len(twice) != 2 || twice[0] != contactPath+customer(t, "C-100047").SalesforceID || twice[0] == twice[1] {
		t.Errorf("choices for C-100047: %v", twice)
	}
	w := call(t, salesforce(), "GET", contactPath+customer(t, "C-100046").SalesforceID, "")
	for _, want := range []string{"美咲", "الزهراء", "e\u0302\u0303", "🌻", "🏙️"} {
		contains(t, w, want)
	}
}

func TestSalesforceQuery(t *testing.T) {
	c, other := customer(t, "C-100042"), customer(t, "C-100044")
	tests := []struct {
		name, query string
		want        []string // ids in order
	}{
		{"indexed field, in any case", "SELECT Id FROM Contact WHERE Email = 'AMELIA.hart@example.com'", []string{c.SalesforceID}},
		{"id of 15 characters", "SELECT Id FROM Contact WHERE Id = '" + c.SalesforceID[:15] + "'", []string{c.SalesforceID}},
		{"id in another case", "SELECT Id FROM Contact WHERE Id = '" + strings.ToLower(c.SalesforceID[:15]) + "'", nil},
		{"IN with order", "SELECT Id FROM Contact WHERE Customer_Number__c IN ('C-100044', 'C-100042', 'C-1') ORDER BY Customer_Number__c DESC", []string{other.SalesforceID, c.SalesforceID}},
		{"AND", "SELECT Id FROM Contact WHERE Phone_E164__c = '+13125550142' AND MailingCity = 'Evanston'", nil},
		{"field without index", "SELECT Id FROM Contact WHERE MailingStreet = '233 South Wacker Drive'", []string{c.SalesforceID}},
		{"LIKE", "SELECT Id FROM Contact WHERE Email LIKE 'amelia.h_rt@%.com'", []string{c.SalesforceID}},
		{"LIKE with quoted wildcard", `SELECT Id FROM Contact WHERE Email LIKE 'amelia\%hart@example.com'`, nil},
		{"null", "SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100043' AND MobilePhone = null", []string{customer(t, "C-100043").SalesforceID}},
		{"not null", "SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100043' AND MobilePhone != null", nil},
		{"number, boolean, date and time", "SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100042' AND Lifetime_Value__c > 1.5 AND IsDeleted = FALSE AND Birthdate = 1984-05-12 AND LastModifiedDate <= 2024-03-11T10:15:00+01:00", []string{c.SalesforceID}},
		{"strictly later", "SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100042' AND LastModifiedDate > 2024-03-11T10:15:00+01:00", nil},
		{"not in", "SELECT Id FROM Contact WHERE Customer_Number__c = 'C-100042' AND MailingCity NOT IN ('Chicago')", nil},
		{"limit", "SELECT Id FROM Contact WHERE Customer_Number__c IN ('C-100042', 'C-100044') ORDER BY Name LIMIT 1", []string{c.SalesforceID}},
		{"limit of nothing", "SELECT Id FROM Contact LIMIT 0", nil},
		{"no injection", `SELECT Id FROM Contact WHERE Customer_Number__c = 'x\' OR Id != null'`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decode[queryResult](t, call(t, salesforce(), "GET", soql(tt.query), ""), 200)
			var ids []string
			for _, r := range got.Records {
				ids = append(ids, r["Id"].(string))
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" || !got.Done || got.TotalSize != len(tt.want) {
				t.Errorf("total %d, done %v, ids differ: %s", got.TotalSize, got.Done, diff)
			}
		})
	}
	w := call(t, salesforce(), "GET", soql("select email, ID from contact where customer_number__c = 'C-100042'"), "")
	want := `{"totalSize":1,"done":true,"records":[{"attributes":{"type":"Contact","url":"` + contactPath + c.SalesforceID + `"},"Email":"Amelia.Hart@Example.com","Id":"` + c.SalesforceID + `"}]}`
	if got := w.Body.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

type queryResult struct {
	TotalSize      int
	Done           bool
	NextRecordsURL string `json:"nextRecordsUrl"`
	Records        []map[string]any
}

func TestSalesforcePaging(t *testing.T) {
	tests := []struct {
		name, options string
		batch         int
	}{
		{"default", "", 2000},
		{"asked for", "Sforce-Query-Options: batchSize=500", 500},
		{"below the minimum", "Sforce-Query-Options: batchSize=1", 200},
		{"above the maximum", "Sforce-Query-Options: batchSize=9999", 2000},
		{"nonsense", "Sforce-Query-Options: batchSize=many", 2000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := salesforce()
			options := []string{}
			if tt.options != "" {
				options = append(options, tt.options)
			}
			page := decode[queryResult](t, call(t, s, "GET", soql("SELECT Id FROM Contact ORDER BY Id"), "", options...), 200)
			total, seen, last := page.TotalSize, 0, ""
			for {
				if !page.Done && len(page.Records) != tt.batch {
					t.Fatalf("page of %d records, want %d", len(page.Records), tt.batch)
				}
				for _, r := range page.Records {
					seen++
					if id := strings.ToLower(r["Id"].(string)); id <= last {
						t.Fatalf("%s comes after %s", id, last)
					} else {
						last = id
					}
				}
				if page.Done {
					break
				}
				if want := fmt.Sprintf("-%d", seen); !strings.HasSuffix(page.NextRecordsURL, want) {
					t.Fatalf("nextRecordsUrl %s, want ...%s", page.NextRecordsURL, want)
				}
				page = decode[queryResult](t, call(t, s, "GET", page.NextRecordsURL, ""), 200)
			}
			if seen != total || total < 2000 {
				t.Errorf("%d of %d records seen", seen, total)
			}
		})
	}
}

func TestSalesforceClosesTheOldestCursor(t *testing.T) {
	s := salesforce()
	var first string
	for i := range 51 { // one more than may be open
		next := decode[queryResult](t, call(t, s, "GET", soql("SELECT Id FROM Contact"), ""), 200).NextRecordsURL
		if i == 0 {
			first = next
		}
	}
	fault := decode[sfFault](t, call(t, s, "GET", first, ""), 400)
	if fault[0].ErrorCode != "INVALID_QUERY_LOCATOR" {
		t.Errorf("got %v", fault)
	}
}

func TestSalesforceToken(t *testing.T) {
	good := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {clientSecret}}
	with := func(name, value string) string {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(name, value)
		return form.Encode()
	}
	const form = "Content-Type: application/x-www-form-urlencoded"
	tests := []struct{ name, method, body, contentType, want string }{
		{"GET", "GET", "", form, "invalid_request"},
		{"JSON", "POST", `{"grant_type":"client_credentials"}`, "Content-Type: application/json", "unsupported_grant_type"},
		{"password grant", "POST", with("grant_type", "password"), form, "unsupported_grant_type"},
		{"wrong client", "POST", with("client_id", "x"), form, "invalid_client_id"},
		{"wrong secret", "POST", with("client_secret", "x"), form, "invalid_client"},
		{"no secret", "POST", with("client_secret", ""), form, "invalid_client"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, salesforce(), tt.method, "/services/oauth2/token", tt.body, tt.contentType)
			if got := decode[map[string]string](t, w, 400); got["error"] != tt.want || got["error_description"] == "" {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
	if w := call(t, sim.Salesforce(testData(), sim.SalesforceConfig{}), "POST", "/services/oauth2/token", "grant_type=client_credentials", form); w.Code != 400 {
		t.Errorf("a server without a client issues tokens: %s", w.Body)
	}

	synctest.Test(t, func(t *testing.T) {
		s := sim.Salesforce(testData(), sim.SalesforceConfig{ClientID: clientID, ClientSecret: clientSecret, TokenLife: time.Minute})
		issue := func(w *httptest.ResponseRecorder) string {
			got := decode[map[string]string](t, w, 200)
			if got["token_type"] != "Bearer" || got["instance_url"] != "https://example.com" || !strings.Contains(got["id"], "/id/00D") || got["issued_at"] == "" || got["signature"] == "" {
				t.Errorf("token answer %v", got)
			}
			return got["access_token"]
		}
		a := issue(call(t, s, "POST", "/services/oauth2/token", good.Encode(), form))
		r := httptest.NewRequest("POST", "/services/oauth2/token", strings.NewReader("grant_type=client_credentials"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(clientID, clientSecret)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if b := issue(w); a == b {
			t.Error("the same token twice")
		}
		use := func(bearer string) int {
			return call(t, s, "GET", soql("SELECT Id FROM Contact LIMIT 1"), "", "Authorization: Bearer "+bearer).Code
		}
		if got := []int{use(a), use(a + "x"), use(strings.Replace(a, "!AQ", "!AQ9", 1)), use(token)}; !cmp.Equal(got, []int{200, 401, 401, 401}) {
			t.Errorf("statuses of the issued, two forged and an unknown token: %v", got)
		}
		time.Sleep(time.Minute)
		if got := use(a); got != http.StatusUnauthorized {
			t.Errorf("an expired token answers %d", got)
		}
	})
}

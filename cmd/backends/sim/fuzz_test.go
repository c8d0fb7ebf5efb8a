package sim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
)

// FuzzServers: whatever path, query and body arrive, each vendor answers below 500 with one JSON value.
func FuzzServers(f *testing.F) {
	for _, seed := range [][2]string{
		{contactPath + "0035g00000LJi1yAAD?fields=Id,Email", ""},
		{contactPath + "Customer_Number__c/C-100042", ""},
		{soql(`SELECT Id FROM Contact WHERE Email LIKE '%a_b\%' AND Lifetime_Value__c > 5 ORDER BY Name DESC LIMIT 3`), ""},
		{"/services/data/v62.0/query/01g5g00000LJi1yAAD-1", ""},
		{"/services/oauth2/token", "grant_type=client_credentials&client_id=a&client_secret=b"},
		{hsContacts + "/C-100042?idProperty=customer_number&properties=city,%2C&archived=true", ""},
		{hsContacts + "?limit=5&after=10000000001", ""},
		{hsContacts + "/search", filterBy("createdate", "BETWEEN", `,"value":"1","highValue":"99999999999999999999"`)},
		{hsContacts + "/search", `{"query":"a","sorts":["-city"],"after":"3","limit":1}`},
		{hsContacts + "/search", `{"sorts":[{"propertyName":"zip","direction":"DESCENDING"}]}`},
		{sqAccounts + "search", byPhone("+13125550142")},
		{sqAccounts + "search", `{"cursor":"MzAgeA","limit":1}`},
		{sqAccounts + "%2F%00", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	servers := []*sim.Server{salesforce(), hubspot(), square()}
	f.Fuzz(func(t *testing.T, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		for _, s := range servers {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r := httptest.NewRequest(method, "/", strings.NewReader(body))
				r.URL = u
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Content-Type", "application/json")
				if strings.HasSuffix(u.Path, "/token") {
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
					t.Errorf("%s %s %s: %d %s", s.Name(), method, target, w.Code, w.Body)
				}
			}
		}
	})
}

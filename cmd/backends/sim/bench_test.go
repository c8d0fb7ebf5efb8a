package sim_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pointsman/cmd/backends/sim"
)

// BenchmarkServers measures what one request costs without a network: the back ends run on the machine that is measured
// with them, so they must be cheap beside it.
func BenchmarkServers(b *testing.B) {
	c, _ := testData().Customer("C-100042")
	tests := []struct {
		name, method, target, body string
		server                     *sim.Server
	}{
		{"salesforce/get", "GET", contactPath + c.SalesforceID, "", salesforce()},
		{"salesforce/query", "GET", soql("SELECT Id, Name, Email, MobilePhone, Phone_E164__c, MailingCity FROM Contact WHERE Customer_Number__c = 'C-100042'"), "", salesforce()},
		{"salesforce/scan", "GET", soql("SELECT Id FROM Contact WHERE MailingStreet = '233 South Wacker Drive'"), "", salesforce()},
		{"hubspot/get", "GET", hsContacts + "/" + c.HubSpotID + "?properties=" + strings.Join(sim.HubSpotProperties(), ","), "", hubspot()},
		{"hubspot/search", "POST", hsContacts + "/search", filterBy("customer_number", "EQ", `,"value":"C-100042"`), hubspot()},
		{"square/search", "POST", sqAccounts + "search", byPhone("+13125550142"), square()},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			tt.server.Keep(0)
			r := httptest.NewRequest(tt.method, tt.target, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := &counting{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				r.Body = io.NopCloser(strings.NewReader(tt.body))
				tt.server.ServeHTTP(w, r)
			}
			if w.status != 200 || w.bytes == 0 {
				b.Fatalf("status %d with %d bytes", w.status, w.bytes)
			}
		})
	}
}

func BenchmarkNewData(b *testing.B) {
	for b.Loop() {
		sim.NewData(1, 3000)
	}
}

// counting is a ResponseWriter that only counts.
type counting struct {
	header        http.Header
	status, bytes int
}

func (c *counting) Header() http.Header         { return c.header }
func (c *counting) WriteHeader(status int)      { c.status = status }
func (c *counting) Write(b []byte) (int, error) { c.bytes += len(b); return len(b), nil }

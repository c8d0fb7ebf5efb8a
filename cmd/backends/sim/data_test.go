package sim_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

// everything is what the three servers say about the first customers.
func everything(t *testing.T, d *sim.Data) string {
	t.Helper()
	var b strings.Builder
	sf := sim.Salesforce(d, sim.SalesforceConfig{Token: token})
	hs := sim.HubSpot(d, sim.HubSpotConfig{Token: token})
	sq := sim.Square(d, sim.SquareConfig{Token: token})
	properties := strings.Join(sim.HubSpotProperties(), ",")
	for _, c := range d.Customers()[:60] {
		b.WriteString(call(t, sf, "GET", "/services/data/v62.0/sobjects/Contact/"+c.SalesforceID, "").Body.String())
		if c.HubSpotID != "" {
			b.WriteString(call(t, hs, "GET", "/crm/v3/objects/contacts/"+c.HubSpotID+"?properties="+properties, "").Body.String())
		}
		b.WriteString(call(t, sq, "GET", "/v2/loyalty/accounts/"+c.SquareID, "").Body.String())
	}
	return b.String()
}

func TestDataAreDeterministic(t *testing.T) {
	first := everything(t, sim.NewData(7, 60))
	if diff := cmp.Diff(first, everything(t, sim.NewData(7, 60))); diff != "" {
		t.Errorf("the same seed gives other data:\n%s", diff)
	}
	if diff := cmp.Diff(first, everything(t, sim.NewData(7, 500))); diff != "" {
		t.Errorf("a customer differs in a larger set:\n%s", diff)
	}
	if first == everything(t, sim.NewData(8, 60)) {
		t.Error("another seed gives the same data")
	}
}

func TestFixedCustomersDoNotDependOnTheSeed(t *testing.T) {
	a, b := sim.NewData(1, 0), sim.NewData(2, 60)
	for _, number := range []string{"C-100042", "C-100043", "C-100044", "C-100045", "C-100046", "C-100047", "C-100048", "C-100049"} {
		ca, _ := a.Customer(number)
		cb, _ := b.Customer(number)
		if diff := cmp.Diff(ca, cb); diff != "" || ca.Number != number {
			t.Errorf("%s: %s", number, diff)
		}
		path := "/services/data/v62.0/sobjects/Contact/" + ca.SalesforceID
		x := call(t, sim.Salesforce(a, sim.SalesforceConfig{Token: token}), "GET", path, "").Body.String()
		y := call(t, sim.Salesforce(b, sim.SalesforceConfig{Token: token}), "GET", path, "").Body.String()
		if x != y {
			t.Errorf("%s: the contact depends on the seed", number)
		}
	}
}

func TestPresenceOfFixedCustomers(t *testing.T) {
	tests := []struct {
		number                      string
		salesforce, hubspot, square bool
		phone                       string
	}{
		{"C-100042", true, true, true, "+13125550142"},
		{"C-100043", true, true, true, "+13125550143"},
		{"C-100044", true, false, true, "+13125550144"},
		{"C-100045", false, true, true, "+13125550145"},
		{"C-100046", true, true, true, "+13125550146"},
		{"C-100047", true, true, true, "+13125550147"},
		{"C-100048", true, true, true, "+13125550148"},
		{"C-100049", true, true, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.number, func(t *testing.T) {
			c := customer(t, tt.number)
			got := []any{c.SalesforceID != "", c.HubSpotID != "", c.SquareID != "", c.Phone, c.HubSpotArchived}
			if diff := cmp.Diff([]any{tt.salesforce, tt.hubspot, tt.square, tt.phone, tt.number == "C-100048"}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, number := range []string{"C-099999", "C-103000", "C-0100042", "C-+100042", "100042", "", "C-"} {
		if c, ok := testData().Customer(number); ok {
			t.Errorf("customer %q exists: %v", number, c)
		}
	}
}

func TestSizes(t *testing.T) {
	properties := strings.Join(sim.HubSpotProperties(), ",")
	sizes := map[string][]int{}
	sf, hs := salesforce(), hubspot()
	for _, c := range testData().Customers() {
		if c.SalesforceID != "" {
			sizes["salesforce"] = append(sizes["salesforce"], call(t, sf, "GET", "/services/data/v62.0/sobjects/Contact/"+c.SalesforceID, "").Body.Len())
		}
		if c.HubSpotID != "" {
			sizes["hubspot"] = append(sizes["hubspot"], call(t, hs, "GET", "/crm/v3/objects/contacts/"+c.HubSpotID+"?properties="+properties, "").Body.Len())
		}
	}
	for name, s := range sizes {
		slices.Sort(s)
		if median := s[len(s)/2]; median < 2048 || median > 4096 || len(s) < 2000 {
			t.Errorf("%s: median of %d records is %d bytes, want 2 to 4 KiB of at least 2000", name, len(s), median)
		}
	}
}

// TestMess counts the kinds of disorder that connectors and merges must be able to meet.
func TestMess(t *testing.T) {
	fields := "Id,Email,MobilePhone,Phone_E164__c,FirstName,MailingCity,Customer_Number__c"
	w := call(t, salesforce(), "GET", "/services/data/v62.0/query?q=SELECT+"+fields+"+FROM+Contact+LIMIT+2000", "")
	contacts := decode[struct{ Records []map[string]any }](t, w, http.StatusOK).Records
	cities := map[string]string{}
	after := ""
	for range 40 {
		page := decode[struct {
			Results []struct{ Properties map[string]*string }
			Paging  struct{ Next struct{ After string } }
		}](t, call(t, hubspot(), "GET", "/crm/v3/objects/contacts?limit=100&properties=city,customer_number&after="+after, ""), http.StatusOK)
		for _, r := range page.Results {
			if n, city := r.Properties["customer_number"], r.Properties["city"]; n != nil && city != nil {
				cities[*n] = *city
			}
		}
		if after = page.Paging.Next.After; after == "" {
			break
		}
	}
	emails, numbers, got := map[any]int{}, map[any]int{}, map[string]int{}
	for _, c := range contacts {
		first, _ := c["FirstName"].(string)
		emails[c["Email"]]++
		numbers[c["Customer_Number__c"]]++
		for name, is := range map[string]bool{
			"no e-mail":           c["Email"] == nil,
			"no mobile phone":     c["MobilePhone"] == nil,
			"no clean phone":      c["Phone_E164__c"] == nil,
			"shared e-mail":       c["Email"] != nil && emails[c["Email"]] > 1,
			"second contact":      numbers[c["Customer_Number__c"]] > 1,
			"CJK name":            strings.ContainsFunc(first, func(r rune) bool { return unicode.Is(unicode.Han, r) }),
			"Arabic name":         strings.ContainsFunc(first, func(r rune) bool { return unicode.Is(unicode.Arabic, r) }),
			"combining marks":     strings.ContainsFunc(first, func(r rune) bool { return unicode.Is(unicode.Mn, r) }),
			"emoji":               strings.ContainsFunc(first, func(r rune) bool { return unicode.Is(unicode.So, r) }),
			"city differs in CRM": cities[c["Customer_Number__c"].(string)] != "" && cities[c["Customer_Number__c"].(string)] != c["MailingCity"],
			"not in HubSpot":      cities[c["Customer_Number__c"].(string)] == "",
		} {
			if is {
				got[name]++
			}
		}
	}
	for _, name := range []string{"no e-mail", "no mobile phone", "no clean phone", "shared e-mail", "second contact", "CJK name", "Arabic name", "combining marks", "emoji", "city differs in CRM", "not in HubSpot"} {
		if got[name] < 10 {
			t.Errorf("%s: %d of %d contacts, want at least 10", name, got[name], len(contacts))
		}
	}
}

func TestPhonesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, c := range sim.NewData(3, 10_000).Customers() {
		if c.Phone == "" {
			continue
		}
		if other, ok := seen[c.Phone]; ok {
			t.Fatalf("%s and %s have the same phone %s", c.Number, other, c.Phone)
		}
		seen[c.Phone] = c.Number
	}
}

func TestHubSpotEmailsAreUnique(t *testing.T) {
	// HubSpot refuses a second contact with an address; the list must keep that promise.
	seen, after := map[string]bool{}, ""
	for {
		page := decode[struct {
			Results []struct{ Properties struct{ Email string } }
			Paging  struct{ Next struct{ After string } }
		}](t, call(t, hubspot(), "GET", "/crm/v3/objects/contacts?limit=100&after="+after, ""), http.StatusOK)
		for _, r := range page.Results {
			if e := r.Properties.Email; e == "" || e != strings.ToLower(e) || seen[e] {
				t.Errorf("e-mail %q is empty, not lower case, or not unique", e)
			}
			seen[r.Properties.Email] = true
		}
		if after = page.Paging.Next.After; after == "" {
			break
		}
	}
	if len(seen) < 2000 {
		t.Errorf("%d contacts listed, want more than 2000", len(seen))
	}
}

// TestRecordsAreValidJSON reads all records of all fields strictly.
func TestRecordsAreValidJSON(t *testing.T) {
	for _, c := range testData().Customers() {
		if c.SquareID == "" {
			continue
		}
		w := call(t, square(), "GET", "/v2/loyalty/accounts/"+c.SquareID, "")
		if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK {
			t.Fatalf("%s: %s", c.Number, w.Body)
		}
	}
}

package sim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

const hsContacts = "/crm/v3/objects/contacts"

type hsContact struct {
	ID                               string
	Properties                       map[string]*string
	CreatedAt, UpdatedAt, ArchivedAt string
	Archived                         bool
}

type hsPage struct {
	Total   int
	Results []hsContact
	Paging  struct{ Next struct{ After, Link string } }
}

func filterBy(property, operator, more string) string {
	return fmt.Sprintf(`{"filterGroups":[{"filters":[{"propertyName":%q,"operator":%q%s}]}]}`, property, operator, more)
}

func TestHubSpotRefuses(t *testing.T) {
	id := customer(t, "C-100042").HubSpotID
	manyGroups := `{"filterGroups":[` + strings.Repeat(`{"filters":[]},`, 5) + `{"filters":[]}]}`
	one := `{"propertyName":"city","operator":"HAS_PROPERTY"}`
	manyFilters := `{"filterGroups":[{"filters":[` + strings.Repeat(one+",", 6) + one + `]}]}`
	tests := []struct {
		name, method, target, body, header string
		status                             int
		category                           string
	}{
		{"no credential", "GET", hsContacts + "/" + id, "", "Authorization: ", 401, "INVALID_AUTHENTICATION"},
		{"wrong credential", "GET", hsContacts + "/" + id, "", "Authorization: Bearer x", 401, "EXPIRED_AUTHENTICATION"},
		{"search without credential", "POST", hsContacts + "/search", "{}", "Authorization: ", 401, "INVALID_AUTHENTICATION"},
		{"no such contact", "GET", hsContacts + "/1", "", "", 404, "OBJECT_NOT_FOUND"},
		{"archived contact", "GET", hsContacts + "/" + customer(t, "C-100048").HubSpotID, "", "", 404, "OBJECT_NOT_FOUND"},
		{"live contact among the archived", "GET", hsContacts + "/" + id + "?archived=true", "", "", 404, "OBJECT_NOT_FOUND"},
		{"customer it does not know", "GET", hsContacts + "/C-100044?idProperty=customer_number", "", "", 404, "OBJECT_NOT_FOUND"},
		{"property that is not unique", "GET", hsContacts + "/Hart?idProperty=lastname", "", "", 400, "VALIDATION_ERROR"},
		{"odd boolean", "GET", hsContacts + "/" + id + "?archived=maybe", "", "", 400, "VALIDATION_ERROR"},
		{"other object", "GET", "/crm/v3/objects/companies", "", "", 404, "OBJECT_NOT_FOUND"},
		{"path that begins alike", "GET", hsContacts + "-old", "", "", 404, "OBJECT_NOT_FOUND"},
		{"write", "PATCH", hsContacts + "/" + id, "{}", "", 405, "METHOD_NOT_ALLOWED"},
		{"GET search", "GET", hsContacts + "/search", "", "", 405, "METHOD_NOT_ALLOWED"},
		{"list of more than 100", "GET", hsContacts + "?limit=101", "", "", 400, "VALIDATION_ERROR"},
		{"list of none", "GET", hsContacts + "?limit=0", "", "", 400, "VALIDATION_ERROR"},
		{"list after a word", "GET", hsContacts + "?after=x", "", "", 400, "VALIDATION_ERROR"},
		{"form instead of JSON", "POST", hsContacts + "/search", "a=b", "Content-Type: application/x-www-form-urlencoded", 415, "VALIDATION_ERROR"},
		{"not JSON", "POST", hsContacts + "/search", "{", "", 400, "VALIDATION_ERROR"},
		{"no body", "POST", hsContacts + "/search", "", "", 400, "VALIDATION_ERROR"},
		{"search for more than 200", "POST", hsContacts + "/search", `{"limit":201}`, "", 400, "VALIDATION_ERROR"},
		{"paging past 10,000", "POST", hsContacts + "/search", `{"limit":100,"after":"9901"}`, "", 400, "VALIDATION_ERROR"},
		{"too many groups", "POST", hsContacts + "/search", manyGroups, "", 400, "VALIDATION_ERROR"},
		{"too many filters", "POST", hsContacts + "/search", manyFilters, "", 400, "VALIDATION_ERROR"},
		{"unknown operator", "POST", hsContacts + "/search", filterBy("city", "LIKE", ""), "", 400, "VALIDATION_ERROR"},
		{"unknown property", "POST", hsContacts + "/search", filterBy("shoe", "HAS_PROPERTY", ""), "", 400, "VALIDATION_ERROR"},
		{"EQ without value", "POST", hsContacts + "/search", filterBy("city", "EQ", ""), "", 400, "VALIDATION_ERROR"},
		{"IN without values", "POST", hsContacts + "/search", filterBy("city", "IN", `,"value":"x"`), "", 400, "VALIDATION_ERROR"},
		{"BETWEEN without high value", "POST", hsContacts + "/search", filterBy("city", "BETWEEN", `,"value":"x"`), "", 400, "VALIDATION_ERROR"},
		{"two sorts", "POST", hsContacts + "/search", `{"sorts":["city","zip"]}`, "", 400, "VALIDATION_ERROR"},
		{"unknown sort", "POST", hsContacts + "/search", `{"sorts":["shoe"]}`, "", 400, "VALIDATION_ERROR"},
		{"body too large", "POST", hsContacts + "/search", strings.Repeat(" ", 1<<20+1), "", 413, "VALIDATION_ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := []string{}
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			w := call(t, hubspot(), tt.method, tt.target, tt.body, headers...)
			got := decode[map[string]string](t, w, tt.status)
			if got["status"] != "error" || got["category"] != tt.category || got["message"] == "" || len(got["correlationId"]) != 36 {
				t.Errorf("got %v, want category %s", got, tt.category)
			}
		})
	}
	if w := call(t, sim.HubSpot(testData(), sim.HubSpotConfig{}), "GET", hsContacts, "", "Authorization: Bearer "); w.Code != 401 {
		t.Errorf("a server without a token lets the empty token in: %d", w.Code)
	}
}

func TestHubSpotContact(t *testing.T) {
	id := customer(t, "C-100042").HubSpotID
	const dates = `"createdAt":"2022-02-01T08:00:00.000Z","updatedAt":"2025-11-20T16:45:12.345Z","archived":false}`
	always := `"createdate":"2022-02-01T08:00:00.000Z",%s"hs_object_id":"` + id + `","lastmodifieddate":"2025-11-20T16:45:12.345Z"`
	tests := []struct{ name, target, want string }{
		{"default properties", "/" + id,
			`{"id":"` + id + `","properties":{` + fmt.Sprintf(always, `"email":"amelia.hart@example.com","firstname":"Amelia",`) + `,"lastname":"Hart"},` + dates},
		{"named properties, a null and an unknown one", "/" + id + "?properties=city,hs_email_bounce&properties=shoe",
			`{"id":"` + id + `","properties":{"city":"Evanston",` + fmt.Sprintf(always, `"hs_email_bounce":null,`) + `},` + dates},
		{"by customer number", "/C-100042?idProperty=customer_number&properties=zip", `"zip":"60201"},` + dates},
		{"by e-mail in another case", "/AMELIA.hart%40example.com?idProperty=email&properties=phone", `"phone":"+1 312-555-0142"},` + dates},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, hubspot(), "GET", hsContacts+tt.target, "")
			if w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
			contains(t, w, tt.want)
		})
	}
	w := call(t, hubspot(), "GET", hsContacts+"/"+id, "")
	for name, want := range map[string]string{"X-HubSpot-RateLimit-Interval-Milliseconds": "10000", "X-HubSpot-RateLimit-Max": "190", "X-HubSpot-RateLimit-Remaining": "189", "X-HubSpot-RateLimit-Daily": "625000", "X-HubSpot-RateLimit-Daily-Remaining": "624999"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	gone := decode[hsContact](t, call(t, hubspot(), "GET", hsContacts+"/"+customer(t, "C-100048").HubSpotID+"?archived=true", ""), 200)
	if !gone.Archived || gone.ArchivedAt == "" {
		t.Errorf("archived contact: %+v", gone)
	}
	all := decode[hsContact](t, call(t, hubspot(), "GET", hsContacts+"/"+id+"?properties="+strings.Join(sim.HubSpotProperties(), ","), ""), 200)
	if got, want := len(all.Properties), len(sim.HubSpotProperties()); got != want || want < 60 {
		t.Errorf("%d properties, want all %d", got, want)
	}
}

func TestHubSpotSearch(t *testing.T) {
	a, b := customer(t, "C-100042").HubSpotID, customer(t, "C-100043").HubSpotID
	both := `"values":["c-100042","c-100043","c-100044","c-100048"]`
	within := func(filter string) string {
		return `{"sorts":[{"propertyName":"customer_number","direction":"ASCENDING"}],"filterGroups":[{"filters":[{"propertyName":"customer_number","operator":"IN",` + both + `},` + filter + `]}]}`
	}
	tests := []struct {
		name, body string
		want       []string
	}{
		{"EQ on an index, in any case", filterBy("email", "EQ", `,"value":"AMELIA.hart@example.com"`), []string{a}},
		{"EQ without index", within(`{"propertyName":"city","operator":"EQ","value":"evanston"}`), []string{a}},
		{"NEQ", within(`{"propertyName":"city","operator":"NEQ","value":"Evanston"}`), []string{b}},
		{"NEQ lets through what is missing", within(`{"propertyName":"hs_email_bounce","operator":"NEQ","value":"1"}`), []string{a, b}},
		{"IN leaves out the archived", within(`{"propertyName":"email","operator":"HAS_PROPERTY"}`), []string{a, b}},
		{"NOT_IN", within(`{"propertyName":"city","operator":"NOT_IN","values":["Evanston","Paris"]}`), []string{b}},
		{"NOT_HAS_PROPERTY", within(`{"propertyName":"email","operator":"NOT_HAS_PROPERTY"}`), nil},
		{"CONTAINS_TOKEN", within(`{"propertyName":"email","operator":"CONTAINS_TOKEN","value":"hart"}`), []string{a}},
		{"CONTAINS_TOKEN with wildcard", within(`{"propertyName":"email","operator":"CONTAINS_TOKEN","value":"*lia.h*"}`), []string{a}},
		{"CONTAINS_TOKEN of a part of a word", within(`{"propertyName":"email","operator":"CONTAINS_TOKEN","value":"har"}`), nil},
		{"NOT_CONTAINS_TOKEN", within(`{"propertyName":"email","operator":"NOT_CONTAINS_TOKEN","value":"hart"}`), []string{b}},
		{"GT as milliseconds", within(`{"propertyName":"createdate","operator":"GT","value":"1643702399999"}`), []string{a, b}},
		{"LT", within(`{"propertyName":"createdate","operator":"LT","value":"2022-02-01T08:00:00.000Z"}`), nil},
		{"LTE and GTE", within(`{"propertyName":"createdate","operator":"LTE","value":"2022-02-01T08:00:00.000Z"},{"propertyName":"createdate","operator":"GTE","value":"2022-02-01T08:00:00.000Z"}`), []string{a, b}},
		{"BETWEEN", within(`{"propertyName":"customer_number","operator":"BETWEEN","value":"C-100043","highValue":"C-100047"}`), []string{b}},
		{"groups are alternatives", `{"sorts":["-customer_number"],"filterGroups":[{"filters":[{"propertyName":"customer_number","operator":"EQ","value":"C-100042"}]},{"filters":[{"propertyName":"customer_number","operator":"EQ","value":"C-100043"}]},{"filters":[{"propertyName":"email","operator":"EQ","value":"amelia.hart@example.com"}]}]}`, []string{b, a}},
		{"query", `{"query":"amelia hart example"}`, []string{a}},
		{"none", filterBy("customer_number", "EQ", `,"value":"C-1"`), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := call(t, hubspot(), "POST", hsContacts+"/search", tt.body)
			got := decode[hsPage](t, w, 200)
			var ids []string
			for _, r := range got.Results {
				ids = append(ids, r.ID)
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" || got.Total != len(tt.want) {
				t.Errorf("total %d, ids differ: %s", got.Total, diff)
			}
			if w.Header().Get("X-HubSpot-RateLimit-Max") != "" {
				t.Error("a search answer has rate limit headers")
			}
		})
	}
	w := call(t, hubspot(), "POST", hsContacts+"/search", strings.Replace(filterBy("customer_number", "EQ", `,"value":"C-100042"`), "{", `{"properties":["city"],`, 1))
	want := `{"total":1,"results":[{"id":"` + a + `","properties":{"city":"Evanston","createdate":"2022-02-01T08:00:00.000Z","hs_object_id":"` + a + `","lastmodifieddate":"2025-11-20T16:45:12.345Z"},"createdAt":"2022-02-01T08:00:00.000Z","updatedAt":"2025-11-20T16:45:12.345Z","archived":false}]}`
	if got := w.Body.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestHubSpotPaging(t *testing.T) {
	s := hubspot()
	listed, after := map[string]bool{}, ""
	for {
		page := decode[hsPage](t, call(t, s, "GET", hsContacts+"?limit=97&after="+after, ""), 200)
		for _, r := range page.Results {
			if listed[r.ID] || r.Archived {
				t.Fatalf("contact %s is listed twice or archived", r.ID)
			}
			listed[r.ID] = true
		}
		if after = page.Paging.Next.After; after == "" {
			break
		}
		if len(page.Results) != 97 || !strings.HasPrefix(page.Paging.Next.Link, "https://example.com"+hsContacts+"?") {
			t.Fatalf("page of %d with link %s", len(page.Results), page.Paging.Next.Link)
		}
	}
	found, after := map[string]bool{}, "0"
	for after != "" {
		page := decode[hsPage](t, call(t, s, "POST", hsContacts+"/search", fmt.Sprintf(`{"limit":200,"after":%q,"sorts":["lastname"]}`, after)), 200)
		for _, r := range page.Results {
			found[r.ID] = true
		}
		if page.Total != len(listed) {
			t.Fatalf("total %d, want %d", page.Total, len(listed))
		}
		after = page.Paging.Next.After
	}
	if diff := cmp.Diff(listed, found); diff != "" || len(listed) < 2000 {
		t.Errorf("%d contacts listed; the search finds others: %s", len(listed), diff)
	}
	archived := decode[hsPage](t, call(t, s, "GET", hsContacts+"?limit=100&archived=true", ""), 200)
	if len(archived.Results) < 5 || !archived.Results[0].Archived {
		t.Errorf("%d archived contacts", len(archived.Results))
	}
}

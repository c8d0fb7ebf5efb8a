package deploy_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pointsman/host/deploy"
)

// found is a match as it can be compared.
type found struct {
	Route  string
	Params map[string]string
}

func matches(r *deploy.Release, path string) []found {
	var all []found
	for _, m := range r.Match(path) {
		all = append(all, found{m.Route.Name(), m.Params})
	}
	return all
}

func TestMatch(t *testing.T) {
	r := deploy.NewReleaseOf([][2]string{
		{"GET", "/"},
		{"GET", "/v1/customers"},
		{"POST", "/v1/customers"},
		{"GET", "/v1/customers/{id}"},
		{"DELETE", "/v1/customers/{customer}"},
		{"POST", "/v1/customers/search"},
		{"GET", "/v1/customers/{id}/orders"},
		{"GET", "/v1/customers/search/help"},
		{"GET", "/v1/{kind}/{id}"},
		{"GET", "/v1/{kind}/first"},
		{"GET", "/v1/a~b"},
	})
	p := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	tests := []struct {
		name, path string
		want       []found
	}{
		{"nothing there", "/v2", nil},
		{"a beginning only", "/v1", nil},
		{"more than there is", "/v1/customers/7/orders/9", nil},
		{"a slash at the end", "/v1/customers/", nil},
		{"an empty segment", "/v1//7", nil},
		{"another case", "/V1/customers", nil},
		{"a literal that is escaped", "/v1/a%7Eb", nil},
		{"a broken escape", "/v1/customers/%zz", nil},
		{"the root", "/", []found{{"GET /", nil}}},
		{"two methods", "/v1/customers", []found{{"GET /v1/customers", nil}, {"POST /v1/customers", nil}}},
		{"a parameter, named by each method", "/v1/customers/7",
			[]found{{"DELETE /v1/customers/{customer}", p("customer", "7")}, {"GET /v1/customers/{id}", p("id", "7")}}},
		{"a literal of one method hides no other method", "/v1/customers/search", []found{
			{"DELETE /v1/customers/{customer}", p("customer", "search")}, {"GET /v1/customers/{id}", p("id", "search")}, {"POST /v1/customers/search", nil}}},
		{"back from a literal", "/v1/customers/search/orders", []found{{"GET /v1/customers/{id}/orders", p("id", "search")}}},
		{"the first literal counts", "/v1/customers/first",
			[]found{{"DELETE /v1/customers/{customer}", p("customer", "first")}, {"GET /v1/customers/{id}", p("id", "first")}}},
		{"a literal at the end", "/v1/shops/first", []found{{"GET /v1/{kind}/first", p("kind", "shops")}}},
		{"decoded once", "/v1/shops/a%20b%2525", []found{{"GET /v1/{kind}/{id}", p("kind", "shops", "id", "a b%25")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, matches(r, tt.path)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.path, diff)
			}
		})
	}
}

// TestMatchAgreesWithALinearSearch: the tree finds what a look at every route would.
func TestMatchAgreesWithALinearSearch(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "{x}"})
	template := rapid.SliceOfN(segment, 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		var endpoints [][2]string
		shapes := map[string]bool{}
		for _, segs := range rapid.SliceOfN(template, 0, 20).Draw(t, "templates") {
			method := rapid.SampledFrom([]string{"GET", "PUT", "POST"}).Draw(t, "method")
			for i, s := range segs { // names differ, within a template and between them
				if s == "{x}" {
					segs[i] = fmt.Sprintf("{p%d%s}", i, strings.ToLower(method))
				}
			}
			path := "/" + strings.Join(segs, "/")
			if shape := method + path; !shapes[shape] { // host/manifest refuses a second one
				shapes[shape] = true
				endpoints = append(endpoints, [2]string{method, path})
			}
		}
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "c", "%20", "a%62", "%", ""}), 0, 5).Draw(t, "path"), "/")
		if diff := cmp.Diff(linear(endpoints, path), matches(deploy.NewReleaseOf(endpoints), path)); diff != "" {
			t.Fatalf("%s among %v (-linear +tree):\n%s", path, endpoints, diff)
		}
	})
}

// linear looks at every route. Of two for one method the one wins that has a literal where
// they first differ.
func linear(endpoints [][2]string, path string) []found {
	best := map[string][2]string{}
	values := map[string]map[string]string{}
	for _, e := range endpoints {
		params, ok := fits(e[1], path)
		if old, have := best[e[0]]; !ok || have && !literalFirst(e[1], old[1]) {
			continue
		}
		best[e[0]], values[e[0]] = e, params
	}
	var all []found
	for _, method := range []string{"GET", "POST", "PUT"} {
		if e, ok := best[method]; ok {
			all = append(all, found{e[0] + " " + e[1], values[method]})
		}
	}
	return all
}

func fits(template, path string) (map[string]string, bool) {
	if template == "/" || path == "/" {
		return nil, template == path
	}
	ts, ps := strings.Split(template, "/"), strings.Split(path, "/")
	if len(ts) != len(ps) {
		return nil, false
	}
	var params map[string]string
	for i, seg := range ts {
		if !strings.HasPrefix(seg, "{") {
			if seg != ps[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(ps[i])
		if err != nil || value == "" {
			return nil, false
		}
		if params == nil {
			params = map[string]string{}
		}
		params[strings.Trim(seg, "{}")] = value
	}
	return params, true
}

func literalFirst(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range as {
		if as[i] != bs[i] {
			return !strings.HasPrefix(as[i], "{")
		}
	}
	return false
}

// BenchmarkMatch: what a lookup costs depends on the path, not on the number of routes.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		var endpoints [][2]string
		for i := range n / 2 {
			endpoints = append(endpoints, [2]string{"GET", fmt.Sprintf("/v1/kind%d/{id}", i)}, [2]string{"GET", fmt.Sprintf("/v1/kind%d/{id}/orders/{order}", i)})
		}
		r := deploy.NewReleaseOf(endpoints)
		path := fmt.Sprintf("/v1/kind%d/4711/orders/42", n/3)
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(r.Match(path)) != 1 {
					b.Fatal("no match")
				}
			}
		})
	}
}

package sim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pointsman/cmd/backends/sim"
)

func TestStoreIsDeterministic(t *testing.T) {
	few := sim.NewData(7, 60).Store()
	if diff := cmp.Diff(few, sim.NewData(7, 60).Store()); diff != "" {
		t.Errorf("the same seed gives other rows:\n%s", diff)
	}
	if many := sim.NewData(7, 500).Store(); len(many) < 350 || len(many) == 500 {
		t.Errorf("the store knows %d of 500 customers, want most of them", len(many))
	} else if diff := cmp.Diff(few, many[:len(few)]); diff != "" {
		t.Errorf("a customer differs in a larger set:\n%s", diff)
	}
	if cmp.Equal(few, sim.NewData(8, 60).Store()) {
		t.Error("another seed gives the same rows")
	}
	few[0].Number = "changed"
	if d := sim.NewData(7, 60); d.Store()[0].Number == d.Store()[1].Number || d.Store()[0].Number == "changed" {
		t.Error("the rows are not the caller's own")
	}
}

func TestStoreOfFixedCustomers(t *testing.T) {
	find := func(d *sim.Data, number string) *sim.StoreRow {
		rows := d.Store()
		if i := slices.IndexFunc(rows, func(r sim.StoreRow) bool { return r.Number == number }); i >= 0 {
			return &rows[i]
		}
		return nil
	}
	a, b := sim.NewData(1, 0), sim.NewData(2, 0)
	got := find(a, "C-100042")
	if got == nil {
		t.Fatal("C-100042 is not in the store")
	}
	want := sim.StoreRow{
		Number: "C-100042", Given: "Amelia", Family: "Hart", Email: "amelia.hart@example.com", Phone: "+13125550142",
		Street: "142 North Wells Street", City: "Evanston", Region: "IL", PostalCode: "60201", Country: "United States", Language: "en-US",
		Birthday: time.Date(1984, time.May, 12, 0, 0, 0, 0, time.UTC), Updated: got.Updated,
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Error(diff)
	}
	for _, number := range []string{"C-100043", "C-100045", "C-100046", "C-100047", "C-100048", "C-100049"} {
		if row := find(a, number); row == nil || !cmp.Equal(row, find(b, number)) {
			t.Errorf("%s is not the same for every seed: %v, %v", number, row, find(b, number))
		}
	}
	if row := find(a, "C-100044"); row != nil {
		t.Errorf("C-100044 is in the store: %v", row)
	}
}

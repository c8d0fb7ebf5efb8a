package parcel_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pointsman/host/broker"
	"pointsman/host/parcel"
	"pointsman/host/view"
)

func labelled(name string) parcel.Facts {
	return parcel.Facts{Labels: view.LabelAll(broker.NewLabels(name))}
}

// What is remembered is of one operation on documents of which the same is known, and of no
// other.
func TestMemoTellsApart(t *testing.T) {
	a, b := labelled("a"), labelled("b")
	var m parcel.Memo
	for range 2 {
		for _, operation := range []string{"one", "two"} {
			for _, of := range [][]parcel.Facts{{a}, {b}, {a, b}, {b, a}, {a, a}, {}, {a, a, a, a, b}} {
				want := labelled(operation + fmt.Sprint(len(of)))
				for _, f := range of {
					want.Labels = want.Labels.Union(f.Labels)
				}
				got := m.Facts(operation, of, func([]parcel.Facts) parcel.Facts { return want })
				if diff := cmp.Diff(want.Labels.All().String(), got.Labels.All().String()); diff != "" {
					t.Errorf("%s of %d documents (-want +got):\n%s", operation, len(of), diff)
				}
			}
		}
	}
}

// What is known once is not worked out again, also when many ask for it.
func TestMemoRemembers(t *testing.T) {
	a := labelled("a")
	var m parcel.Memo
	m.Facts("one", []parcel.Facts{a}, func([]parcel.Facts) parcel.Facts { return a })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m.Facts("one", []parcel.Facts{a}, func([]parcel.Facts) parcel.Facts {
				t.Error("worked out again")
				return a
			})
		})
	}
	wg.Wait()
}

// A plugin that comes up with ever new operations is answered rightly and fills nothing.
func TestMemoIsBounded(t *testing.T) {
	var m parcel.Memo
	for i := range 5000 {
		want := labelled(fmt.Sprint("l", i))
		got := m.Facts(i, []parcel.Facts{want}, func(f []parcel.Facts) parcel.Facts { return f[0] })
		if !got.Labels.All().Has(fmt.Sprint("l", i)) {
			t.Fatal("another's facts", i)
		}
	}
	if n := parcel.Remembered(&m); n > 1024 {
		t.Errorf("%d facts are remembered", n)
	}
}

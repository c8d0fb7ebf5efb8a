package rehearse

import (
	"context"

	"pointsman/host/manifest"
	"pointsman/host/view"
)

// Generalise is generalise, of requests given as method and path, with the values that the
// plugin was handed.
func Generalise(input string, requests ...[2]string) []string {
	var v values
	v.input([]byte(input))
	var uses []use
	for _, r := range requests {
		uses = append(uses, use{what: r[0], path: r[1], names: v.ofPath(r[1])})
	}
	return generalise(uses)
}

// Ask makes one use as a guest does, with nothing recorded, and returns what was learned from it
// and what is wrong with it.
func Ask(capability, op string, request []byte) (Grants, []string) {
	p := &player{rec: &Recording{}}
	var err error
	if p.checks, err = backend("rehearsal", "https://rehearsal.invalid"); err != nil {
		return Grants{}, []string{err.Error()}
	}
	defer p.checks.Close()
	for _, imp := range lent() {
		if imp.Capability == capability && imp.Op == op {
			imp.Do(withPlayer(context.Background(), p), request)
		}
	}
	return learn(p.uses, manifest.Wants{}, nil), p.faults
}

// PointerTo is pointerTo.
func PointerTo(domain, id string) string { return pointerTo(domain, id) }

// Smallest is smallest, of one source and one document for each call.
func Smallest(ctx context.Context, docs []string, test func(show func(doc string) string) bool) (view string, why string, err error) {
	of := source{"http", "crm"}
	served := map[int][][]byte{}
	for i, d := range docs {
		served[i] = [][]byte{[]byte(d)}
	}
	views, reasons, err := smallest(ctx, map[source]map[int][][]byte{of: served}, func(_ context.Context, _ []int, views map[source]vw) (bool, error) {
		v := views[of]
		return test(func(doc string) string {
			out, _, err := v.Append(nil, []byte(doc))
			if err != nil {
				return ""
			}
			return string(out)
		}), nil
	})
	if err != nil {
		return "", "", err
	}
	return views[of].String(), reasons[of], nil
}

type vw = view.View

// CompareViews is tooWide and tooNarrow.
func CompareViews(what string, granted, needed manifest.Paths) (wide, narrow []string) {
	return tooWide(what, granted, needed), tooNarrow(what, granted, needed)
}

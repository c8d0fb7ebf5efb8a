package sim

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// StoreRow is what the customer store, a database of the shop's own, knows of one customer. Where the vendors disagree,
// it may agree with none: people tell a shop where to deliver, and nobody else.
type StoreRow struct {
	Number                                    string // "C-100042"
	Given, Family, Email                      string
	Phone                                     string // E.164
	Street, City, Region, PostalCode, Country string // Region may be empty
	Language                                  string // BCP 47
	Birthday                                  time.Time
	EmailOptOut                               bool
	Updated                                   time.Time // UTC, whole seconds
}

// Store returns the rows of the customer store in the order of their numbers. It knows most customers, also some whom
// no vendor has an address of. The slice is the caller's.
func (d *Data) Store() []StoreRow { return slices.Clone(d.store) }

// storeStream keeps what is drawn for the store apart from what is drawn for the vendors.
const storeStream = 1 << 32

// newStoreRow returns the row of the person at position i, or false if the store does not know them. It draws from a
// stream of its own, so that the vendors' records are the same with a store and without.
func newStoreRow(seed uint64, i int, p *person) (StoreRow, bool) {
	if isFixed(i) {
		seed = 0
	}
	r := rand.New(rand.NewPCG(seed, storeStream+uint64(i)))
	row := StoreRow{
		Number: p.number, Given: p.first, Family: p.last, Email: p.email, Phone: p.phone,
		Street: p.street, City: p.city, Region: p.state, PostalCode: p.postal, Country: p.locale.country,
		Language: strings.ReplaceAll(p.locale.language, "_", "-"), Birthday: p.birth, EmailOptOut: chance(r, 10), Updated: later(r, p.since),
	}
	known := !chance(r, 10)
	if isFixed(i) {
		row.EmailOptOut = false
		known = customerNumber(i) != "C-100044"
	}
	return row, known
}

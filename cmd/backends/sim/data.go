package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

const (
	// firstNumber is the digits of the first customer's number.
	firstNumber = 100000
	// minCustomers makes room for the fixed customers, the last of which is C-100049.
	minCustomers = 50
	// maxCustomers is what the phone numbers set aside for fiction (phones in people.go) are sure to suffice for.
	maxCustomers = 10000
)

// Customer says where one customer is known. An empty ID means that the system does not know the customer.
type Customer struct {
	Number           string // "C-100042"; in Salesforce and HubSpot
	SalesforceID     string // 18 characters; of the oldest contact when there are several
	HubSpotID        string // decimal digits
	HubSpotArchived  bool   // only found when archived contacts are asked for
	SquareID         string // of the loyalty account
	SquareCustomerID string
	Phone            string // E.164; what Square's mapping holds, and the person's true number
}

// Data are the customers as each vendor holds them. They never change, and may be used by many servers at once.
type Data struct {
	customers []Customer

	contacts       []*record // Salesforce, in the order of the customers
	contactByID    map[string]int
	contactLookups map[int]lookup // by column

	people       []*record // HubSpot, by ascending id
	peopleDates  []hubspotDates
	personByID   map[string]int
	personLookup map[int]lookup // by column

	accounts          []account // Square, oldest first
	accountByID       map[string]int
	accountByPhone    map[string]int
	accountByCustomer map[string]int

	store []StoreRow // by number
}

// NewData generates n customers, numbered from C-100000, from the seed alone: the same arguments give the same bytes,
// and a customer is the same in a larger set. n is raised to 50 and lowered to 10,000. The fixed customers of the
// package comment do not depend on the seed.
func NewData(seed uint64, n int) *Data {
	n = min(max(n, minCustomers), maxCustomers)
	d := &Data{}
	phones := newPhones()
	var drafts []hubspotDraft
	for i := range n {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		if isFixed(i) {
			r = rand.New(rand.NewPCG(0, uint64(i)))
		}
		p := newPerson(r, i, phones)
		c := Customer{Number: p.number}
		if p.inSalesforce {
			for copyNo := range p.copies {
				id := salesforceID("003", i+copyNo*maxCustomers)
				d.contacts = append(d.contacts, newContact(r, p, id, copyNo))
				if copyNo == 0 {
					c.SalesforceID = id
				}
			}
		}
		if p.inHubSpot {
			h := newHubSpotContact(r, p)
			c.HubSpotID, c.HubSpotArchived = h.record.id, p.archived
			drafts = append(drafts, h)
		}
		if p.inSquare {
			a := newAccount(r, p)
			c.SquareID, c.SquareCustomerID, c.Phone = a.id, a.customerID, p.phone
			d.accounts = append(d.accounts, a)
		}
		if row, known := newStoreRow(seed, i, p); known {
			d.store = append(d.store, row)
		}
		d.customers = append(d.customers, c)
	}
	d.indexSalesforce()
	d.indexHubSpot(drafts)
	d.indexSquare()
	return d
}

// Customers returns every customer in the order of their numbers. The slice is the caller's.
func (d *Data) Customers() []Customer { return slices.Clone(d.customers) }

// Customer returns the customer with that number, such as "C-100042".
func (d *Data) Customer(number string) (Customer, bool) {
	i, err := strconv.Atoi(strings.TrimPrefix(number, "C-"))
	i -= firstNumber
	if err != nil || i < 0 || i >= len(d.customers) || d.customers[i].Number != number {
		return Customer{}, false
	}
	return d.customers[i], true
}

// customerNumber is the number of the customer at position i.
func customerNumber(i int) string { return fmt.Sprintf("C-%06d", firstNumber+i) }

// derive returns n hexadecimal digits that depend on the label and the customer only. It names things; it hides nothing.
func derive(label, number string, n int) string {
	sum := sha256.Sum256([]byte(label + "/" + number))
	return hex.EncodeToString(sum[:])[:n]
}

// uuid returns a version 4 style UUID that depends on the label and the customer only.
func uuid(label, number string) string {
	h := derive(label, number, 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:32]
}

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices []T) T { return choices[r.IntN(len(choices))] }

// chance is true in percent of 100 cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// account is one loyalty account.
type account struct {
	id, customerID, phone string
	created               time.Time
	json                  string
}

// programID is the loyalty programme of the simulated seller.
var programID = uuid("programme", "main")

// expiry is one entry of expiring_point_deadlines.
type expiry struct {
	points int
	at     time.Time
}

// newAccount makes the loyalty account of a person. Square's times are RFC 3339 in whole seconds.
func newAccount(r *rand.Rand, p *person) account {
	a := account{
		id:         uuid("account", p.number),
		customerID: strings.ToUpper(derive("customer", p.number, 26)),
		phone:      p.phone,
	}
	lifetime := p.spend / 100
	balance := lifetime - r.IntN(lifetime+1)
	if chance(r, 2) {
		balance = -1 - r.IntN(50) // a refund after the points were spent
	}
	created := p.since.Truncate(time.Second)
	updated := later(r, created)
	var expiring []expiry
	if balance > 0 && chance(r, 60) {
		for left, i := balance, 1; left > 0 && i <= 4; i++ {
			points := left
			if i < 4 {
				points = 1 + r.IntN(left)
			}
			left -= points
			expiring = append(expiring, expiry{points, epoch.AddDate(0, 3*i, 0).Truncate(24 * time.Hour)})
		}
	}
	if p.index == 42 {
		balance, lifetime = 1250, 8420
		created = time.Date(2021, time.June, 1, 10, 30, 0, 0, time.UTC)
		updated = time.Date(2025, time.December, 24, 18, 5, 9, 0, time.UTC)
		expiring = []expiry{
			{250, time.Date(2026, time.March, 31, 0, 0, 0, 0, time.UTC)},
			{1000, time.Date(2026, time.September, 30, 0, 0, 0, 0, time.UTC)},
		}
	}
	a.created = created
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":%q,"program_id":%q,"balance":%d,"lifetime_points":%d,"customer_id":%q`, a.id, programID, balance, lifetime, a.customerID)
	if !chance(r, 10) || isFixed(p.index) {
		fmt.Fprintf(&b, `,"enrolled_at":%q`, created.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, `,"created_at":%q,"updated_at":%q`, created.Format(time.RFC3339), updated.Format(time.RFC3339))
	fmt.Fprintf(&b, `,"mapping":{"id":%q,"phone_number":%q,"created_at":%q}`, uuid("mapping", p.number), p.phone, created.Format(time.RFC3339))
	for i, e := range expiring {
		b.WriteString([]string{`,"expiring_point_deadlines":[`, `,`}[min(i, 1)])
		fmt.Fprintf(&b, `{"points":%d,"expires_at":%q}`, e.points, e.at.Format(time.RFC3339))
	}
	if len(expiring) > 0 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	a.json = b.String()
	return a
}

// indexSquare puts the accounts in the order of their creation, in which a search returns them.
func (d *Data) indexSquare() {
	slices.SortFunc(d.accounts, func(a, b account) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
	})
	d.accountByID = make(map[string]int, len(d.accounts))
	d.accountByPhone = make(map[string]int, len(d.accounts))
	d.accountByCustomer = make(map[string]int, len(d.accounts))
	for i, a := range d.accounts {
		d.accountByID[a.id] = i
		d.accountByPhone[a.phone] = i
		d.accountByCustomer[a.customerID] = i
	}
}

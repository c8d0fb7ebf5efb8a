package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// epoch is the day the data pretend to be from: no record has a later time, and no clock is read.
var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// person is the truth about a customer, from which each vendor's more or less wrong record is made.
type person struct {
	number              string
	index               int
	locale              *locale
	first, last         string
	firstASCII, lastOld string // for e-mail addresses; a name that was given up
	email               string
	phone               string // E.164
	street, city        string
	state, postal       string
	oldStreet, oldCity  string // before the last move
	birth, since        time.Time
	spend               int // lifetime value in cents

	inSalesforce, inHubSpot, inSquare bool
	archived                          bool // in HubSpot
	copies                            int  // how many contacts Salesforce has; 1 where it has any
}

// newPerson makes the person at position i.
func newPerson(r *rand.Rand, i int, phones *phones) *person {
	l := &locales[weighted(r)]
	first, firstASCII := names(pick(r, l.first))
	last, lastASCII := names(pick(r, l.last))
	p := &person{number: customerNumber(i), index: i, locale: l, first: first, last: last, firstASCII: firstASCII, copies: 1}
	if chance(r, 4) {
		p.first += " " + pick(r, emoji)
	}
	if chance(r, 5) {
		p.lastOld, _ = names(pick(r, l.last))
	}
	p.email = fmt.Sprintf("%s.%s%d@%s", firstASCII, lastASCII, r.IntN(100), pick(r, mailDomains))
	if chance(r, 4) { // a household that shares one address: the same few for many customers
		p.email = fmt.Sprintf("family.%s%d@%s", lastASCII, r.IntN(3), mailDomains[0])
	}
	town, oldTown := pick(r, l.towns), pick(r, l.towns)
	p.city, p.state, p.postal = town.city, town.state, fmt.Sprintf(town.postal, r.IntN(100))
	p.street = fmt.Sprintf(l.street, pick(r, l.streets), 1+r.IntN(240))
	p.oldCity, p.oldStreet = oldTown.city, fmt.Sprintf(l.street, pick(r, l.streets), 1+r.IntN(240))
	p.birth = epoch.AddDate(-18-r.IntN(65), 0, -r.IntN(365))
	p.since = epoch.Add(-time.Duration(30+r.IntN(3000)) * 24 * time.Hour).Add(-time.Duration(r.IntN(86_400_000)) * time.Millisecond)
	p.spend = r.IntN(900_000)
	p.archived = chance(r, 1)
	if chance(r, 1) {
		p.copies = 2
	}
	p.inSalesforce, p.inHubSpot, p.inSquare = presence(r)
	p.phone = phones.next(l.calling)
	if isFixed(i) {
		fix(p)
	}
	return p
}

// presence draws which systems know a customer: mostly all, some only one.
func presence(r *rand.Rand) (salesforce, hubspot, square bool) {
	switch n := r.IntN(100); {
	case n < 56:
		return true, true, true
	case n < 72:
		return true, true, false
	case n < 79:
		return true, false, true
	case n < 85:
		return false, true, true
	case n < 91:
		return true, false, false
	case n < 97:
		return false, true, false
	default:
		return false, false, true
	}
}

// isFixed tells whether the customer at position i is one of those in the package comment.
func isFixed(i int) bool { return 42 <= i && i <= 49 }

// fix overwrites what the package comment promises about a fixed customer. All live in the United States, where
// 312-555-0142 and its neighbours are set aside for fiction.
func fix(p *person) {
	us := &locales[0]
	town := us.towns[0]
	p.locale, p.lastOld, p.copies, p.archived = us, "", 1, false
	p.inSalesforce, p.inHubSpot, p.inSquare = true, true, true
	p.street, p.city, p.state, p.postal = fmt.Sprintf("%d North Wells Street", 100+p.index), town.city, town.state, "60606"
	p.oldStreet, p.oldCity = "1 Old Road", "Springfield"
	p.phone = fmt.Sprintf("+131255501%02d", p.index)
	p.since = epoch.AddDate(-4, 0, -p.index)
	p.birth = time.Date(1984, time.May, p.index-30, 0, 0, 0, 0, time.UTC)
	name := map[int][2]string{
		42: {"Amelia", "Hart"}, 43: {"Benedict", "Okafor"}, 44: {"Carmen", "Delgado"}, 45: {"Desmond", "Achterberg"},
		46: {"Zoe\u0308 🌻 美咲", "Nguye\u0302\u0303n-الزهراء"}, 47: {"Edith", "Lindqvist"}, 48: {"Farid", "Nasser"}, 49: {"Greta", "Voss"},
	}[p.index]
	p.first, p.last = name[0], name[1]
	p.firstASCII = strings.ToLower(name[0])
	p.email = strings.ToLower(name[0] + "." + name[1] + "@example.com")
	switch p.index {
	case 42:
		p.city, p.postal, p.oldCity, p.oldStreet = "Evanston", "60201", "Chicago", "233 South Wacker Drive"
	case 44:
		p.inHubSpot = false
	case 45:
		p.inSalesforce = false
	case 46:
		p.firstASCII, p.email = "zoe", "zoe.nguyen@example.com"
		p.street, p.city = "東京都千代田区千代田１−１ شارع النيل", "Sa\u0303o Paulo 🏙️"
	case 47:
		p.copies = 2
	case 48:
		p.archived = true
	case 49:
		p.inSquare = false
	}
}

// phones hands out numbers that regulators set aside for fiction, each once.
type phones struct{ used map[string]int }

func newPhones() *phones { return &phones{used: make(map[string]int)} }

// next returns an unused number of the country, or of France when the country's block is used up: its block is the
// largest. Sources: NANPA (555-0100 to 0199 of every area; 312 is kept for the fixed customers), Ofcom (07700 900000
// to 900999), ARCEP (06 39 98 0000 to 9999), Bundesnetzagentur (0176 040690 00 to 99).
func (p *phones) next(calling string) string {
	n := p.used[calling]
	p.used[calling]++
	switch {
	case calling == "1" && n < 100*len(areaCodes):
		return fmt.Sprintf("+1%d55501%02d", areaCodes[n/100], n%100)
	case calling == "44" && n < 1000:
		return fmt.Sprintf("+447700900%03d", n)
	case calling == "49" && n < 100:
		return fmt.Sprintf("+49176040690%02d", n)
	}
	n = p.used["33"]
	p.used["33"]++
	return fmt.Sprintf("+3363998%04d", n)
}

// national returns the number in one of the ways people write it, chosen by style.
func national(e164 string, style int) string {
	switch {
	case strings.HasPrefix(e164, "+1"):
		a, b, c := e164[2:5], e164[5:8], e164[8:]
		return []string{"(" + a + ") " + b + "-" + c, a + "-" + b + "-" + c, a + "." + b + "." + c, "1 " + a + " " + b + " " + c, "+1 " + a + "-" + b + "-" + c, a + b + c}[style%6]
	case strings.HasPrefix(e164, "+44"):
		return []string{"0" + e164[3:7] + " " + e164[7:], "+44 " + e164[3:7] + " " + e164[7:], "0044" + e164[3:], "+44 (0)" + e164[3:]}[style%4]
	default:
		return []string{"0" + e164[3:], e164[:3] + " " + e164[3:6] + " " + e164[6:], "00" + e164[1:], e164[:3] + "-" + e164[3:], "0" + e164[3:6] + " / " + e164[6:]}[style%5]
	}
}

// names splits "native|ascii"; one that needs no transliteration has no bar.
func names(s string) (native, ascii string) {
	native, ascii, found := strings.Cut(s, "|")
	if !found {
		ascii = strings.ToLower(native)
	}
	return native, ascii
}

// weighted draws the position of a locale by its weight.
func weighted(r *rand.Rand) int {
	total := 0
	for _, l := range locales {
		total += l.weight
	}
	n := r.IntN(total)
	for i, l := range locales {
		if n -= l.weight; n < 0 {
			return i
		}
	}
	return 0
}

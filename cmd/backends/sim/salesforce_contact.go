package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// sfTime is Salesforce's form of a date and time in JSON: milliseconds and a zone without colon.
const sfTime = "2006-01-02T15:04:05.000-0700"

// contactTable is the standard object Contact plus the custom fields (__c) of the imagined company.
var contactTable = newTable(`
	Id IsDeleted:b MasterRecordId AccountId LastName FirstName Salutation MiddleName Suffix Name
	OtherStreet OtherCity OtherState OtherPostalCode OtherCountry OtherLatitude:n OtherLongitude:n OtherGeocodeAccuracy OtherAddress:c
	MailingStreet MailingCity MailingState MailingPostalCode MailingCountry MailingLatitude:n MailingLongitude:n MailingGeocodeAccuracy MailingAddress:c
	Phone Fax MobilePhone HomePhone OtherPhone AssistantPhone ReportsToId Email Title Department AssistantName LeadSource
	Birthdate:d Description OwnerId HasOptedOutOfEmail:b HasOptedOutOfFax:b DoNotCall:b
	CreatedDate:t CreatedById LastModifiedDate:t LastModifiedById SystemModstamp:t LastActivityDate:d LastCURequestDate:t LastCUUpdateDate:t
	LastViewedDate:t LastReferencedDate:t EmailBouncedReason EmailBouncedDate:t IsEmailBounced:b PhotoUrl Jigsaw JigsawContactId CleanStatus
	IndividualId Pronouns GenderIdentity IsPriorityRecord:b
	Customer_Number__c Phone_E164__c Preferred_Language__c Preferred_Store__c Preferred_Channel__c Loyalty_Tier__c Lifetime_Value__c:n Orders_Count__c:n
	Last_Purchase_Date__c:d Marketing_Consent__c:b Marketing_Consent_Date__c:t Newsletter_Topics__c Till_Import_Key__c Data_Quality_Score__c:n
	Former_Name__c Delivery_Notes__c`)

// ContactFields returns the API names of every field that the simulated Salesforce Contact has, in their order.
func ContactFields() []string { return contactTable.names() }

// salesforceID makes the 18-character id of the n-th record under a key prefix. Ids grow in creation order within an
// org, so n is scattered to keep anyone from depending on that.
func salesforceID(prefix string, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	scattered := uint64(n) * 7_500_013 % 916_132_832 // 62^5; the factor shares no divisor with 62, so no two n meet
	tail := make([]byte, 5)
	for i := range tail {
		tail[len(tail)-1-i] = digits[scattered%62]
		scattered /= 62
	}
	return lengthenID(prefix + "5g00000" + string(tail))
}

// lengthenID appends to a 15-character id the three characters that make it safe where case is lost: each stands for
// five characters, read as bits that say which are capitals, the first being the lowest.
func lengthenID(short string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	id := []byte(short)
	for chunk := range 3 {
		bits := 0
		for i := range 5 {
			if c := short[chunk*5+i]; 'A' <= c && c <= 'Z' {
				bits |= 1 << i
			}
		}
		id = append(id, alphabet[bits])
	}
	return string(id)
}

// canonicalID returns the 18-character form of an id given with 15 or 18 characters, and false for anything else.
// As at Salesforce, the case of an 18-character id is restored from its suffix.
func canonicalID(id string) (string, bool) {
	for _, c := range []byte(id) {
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return "", false
		}
	}
	switch len(id) {
	case 15:
		return lengthenID(id), true
	case 18:
	default:
		return "", false
	}
	short := []byte(strings.ToLower(id[:15]))
	for chunk := range 3 {
		bits := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", strings.ToUpper(id)[15+chunk])
		if bits < 0 {
			return "", false
		}
		for i := range 5 {
			c := &short[chunk*5+i]
			if bits&(1<<i) == 0 {
				continue
			}
			if *c < 'a' || *c > 'z' {
				return "", false // a digit cannot be a capital
			}
			*c -= 'a' - 'A'
		}
	}
	return lengthenID(string(short)), true
}

// newContact makes the Contact of a person; copyNo 1 is the careless second entry of the same customer.
func newContact(r *rand.Rand, p *person, id string, copyNo int) *record {
	d := newDraft(contactTable, false)
	owner := salesforceID("005", r.IntN(40))
	created := p.since.Add(time.Duration(copyNo) * 97 * 24 * time.Hour)
	modified := later(r, created)

	first, last := p.first, p.last
	if p.lastOld != "" && chance(r, 50) {
		last = p.lastOld // the marriage never reached this system
		d.set("Former_Name__c", p.last)
	}
	if copyNo > 0 {
		first = strings.ToUpper(p.firstASCII)
	}
	d.set("Id", id)
	d.setBool("IsDeleted", false)
	d.set("AccountId", salesforceID("001", r.IntN(600)))
	d.set("FirstName", first)
	d.set("LastName", last)
	d.set("Name", first+" "+last)
	d.set("Salutation", pick(r, []string{"", "Ms.", "Mr.", "Dr.", "Mx."}))

	setMailing(r, d, p)
	if chance(r, 30) {
		d.set("OtherStreet", p.oldStreet)
		d.set("OtherCity", p.oldCity)
		d.set("OtherCountry", p.locale.country)
		setAddress(d, "Other")
	}
	setPhones(r, d, p)

	d.set("Email", mangleEmail(r, p.email))
	d.set("Title", pick(r, titles))
	d.set("Department", pick(r, append([]string{""}, departments...)))
	d.set("LeadSource", pick(r, sources))
	if chance(r, 70) {
		d.set("Birthdate", p.birth.Format(time.DateOnly))
	}
	d.set("Description", pick(r, notes)+" "+pick(r, notes))
	d.set("OwnerId", owner)
	d.setBool("HasOptedOutOfEmail", chance(r, 20))
	d.setBool("HasOptedOutOfFax", false)
	d.setBool("DoNotCall", chance(r, 10))
	d.set("CreatedDate", created.Format(sfTime))
	d.set("CreatedById", owner)
	d.set("LastModifiedDate", modified.Format(sfTime))
	d.set("LastModifiedById", salesforceID("005", r.IntN(40)))
	d.set("SystemModstamp", modified.Add(time.Second).Format(sfTime))
	d.set("LastActivityDate", modified.Format(time.DateOnly))
	d.setBool("IsEmailBounced", false)
	if chance(r, 3) {
		d.setBool("IsEmailBounced", true)
		d.set("EmailBouncedReason", "550 5.1.1 mailbox unavailable")
		d.set("EmailBouncedDate", modified.Format(sfTime))
	}
	d.set("PhotoUrl", "/services/images/photo/"+id)
	d.set("CleanStatus", "Pending")
	d.setBool("IsPriorityRecord", chance(r, 5))

	d.set("Customer_Number__c", p.number)
	d.set("Preferred_Language__c", p.locale.language)
	d.set("Preferred_Store__c", pick(r, stores))
	d.set("Preferred_Channel__c", pick(r, channels))
	d.set("Loyalty_Tier__c", pick(r, tiers))
	d.set("Lifetime_Value__c", fmt.Sprintf("%d.%02d", p.spend/100, p.spend%100))
	d.set("Orders_Count__c", fmt.Sprintf("%d.0", 1+p.spend/7000))
	d.set("Last_Purchase_Date__c", modified.Format(time.DateOnly))
	consent := chance(r, 60)
	d.setBool("Marketing_Consent__c", consent)
	if consent {
		d.set("Marketing_Consent_Date__c", created.Format(sfTime))
	}
	d.set("Newsletter_Topics__c", pick(r, []string{"", "Wine;Cheese", "Garden", "Books;Music;Games"}))
	d.set("Till_Import_Key__c", derive("till", p.number, 24))
	d.set("Data_Quality_Score__c", strconv.Itoa(r.IntN(100))+".0")
	d.set("Delivery_Notes__c", pick(r, append([]string{""}, notes...)))
	if isFixed(p.index) {
		fixContact(d, p)
	}
	return d.done(id)
}

// fixContact sets what the package comment promises about the contact of a fixed customer.
func fixContact(d *draft, p *person) {
	for name, v := range map[string]string{
		"Phone": "(312) 555-0100", "MobilePhone": national(p.phone, 0), "Phone_E164__c": p.phone, "HomePhone": "", "OtherPhone": "",
		"Email": p.email, "Birthdate": p.birth.Format(time.DateOnly),
		"MailingStreet": p.street, "MailingCity": p.city, "MailingState": p.state, "MailingPostalCode": p.postal, "MailingCountry": p.locale.country,
	} {
		d.set(name, v)
	}
	switch p.index {
	case 42:
		d.set("Salutation", "Ms.")
		d.set("Title", "Head of Purchasing")
		d.set("Email", "Amelia.Hart@Example.com")
		d.set("MailingStreet", p.oldStreet) // she has moved; Salesforce does not know
		d.set("MailingCity", p.oldCity)
		d.set("MailingPostalCode", "60606")
		d.set("Preferred_Language__c", "en_US")
		d.set("Loyalty_Tier__c", "Gold")
		d.set("LastModifiedDate", "2024-03-11T09:15:00.000+0000")
		d.set("SystemModstamp", "2024-03-11T09:15:00.000+0000")
	case 43:
		for _, name := range []string{"Phone", "MobilePhone", "Phone_E164__c", "Fax", "AssistantPhone"} {
			d.set(name, "")
		}
	}
	setAddress(d, "Mailing")
}

// setMailing fills in the address: a seventh are stale, some incomplete.
func setMailing(r *rand.Rand, d *draft, p *person) {
	street, city, state, postal := p.street, p.city, p.state, p.postal
	if chance(r, 14) {
		street, city = p.oldStreet, p.oldCity
	}
	if chance(r, 10) {
		postal = ""
	}
	if chance(r, 6) {
		city = strings.ToUpper(city)
	}
	d.set("MailingStreet", street)
	d.set("MailingCity", city)
	d.set("MailingState", state)
	d.set("MailingPostalCode", postal)
	d.set("MailingCountry", pick(r, []string{p.locale.country, p.locale.country, p.locale.code}))
	if chance(r, 60) {
		d.set("MailingLatitude", fmt.Sprintf("%.6f", 20+r.Float64()*35))
		d.set("MailingLongitude", fmt.Sprintf("%.6f", -120+r.Float64()*250))
		d.set("MailingGeocodeAccuracy", "Address")
	}
	setAddress(d, "Mailing")
}

// setAddress fills in the compound address field from its parts.
func setAddress(d *draft, prefix string) {
	var b strings.Builder
	part := func(key, name string) {
		i, _ := d.table.find(prefix + name)
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(key) + ":")
		if v := d.values[i]; v.null() {
			b.WriteString("null")
		} else {
			b.WriteString(v.json)
		}
	}
	part("city", "City")
	part("country", "Country")
	part("geocodeAccuracy", "GeocodeAccuracy")
	part("latitude", "Latitude")
	part("longitude", "Longitude")
	part("postalCode", "PostalCode")
	part("state", "State")
	part("street", "Street")
	d.set(prefix+"Address", "{"+b.String()+"}")
}

// setPhones fills in the phones as people type them. The clean Phone_E164__c is missing for a third.
func setPhones(r *rand.Rand, d *draft, p *person) {
	switch n := r.IntN(100); {
	case n < 75:
		d.set("MobilePhone", national(p.phone, r.IntN(60)))
	case n < 85:
		d.set("MobilePhone", national(p.phone, r.IntN(60))+" (private!)")
	case n < 90:
		d.set("MobilePhone", pick(r, []string{"n/a", "-", "see HubSpot", "000"}))
	}
	if chance(r, 50) {
		d.set("Phone", national(p.phone, r.IntN(60))+pick(r, []string{"", "", " ext. 12"}))
	}
	if chance(r, 15) {
		d.set("HomePhone", national(p.phone, r.IntN(60)))
	}
	if chance(r, 67) {
		d.set("Phone_E164__c", p.phone)
	}
}

// mangleEmail returns the address as somebody typed it, or none.
func mangleEmail(r *rand.Rand, email string) string {
	switch n := r.IntN(100); {
	case n < 5:
		return ""
	case n < 15:
		return strings.ToUpper(email[:1]) + email[1:]
	case n < 18:
		return strings.ToUpper(email)
	default:
		return email
	}
}

// later returns a time between t and the epoch.
func later(r *rand.Rand, t time.Time) time.Time {
	if !t.Before(epoch) {
		return epoch
	}
	return t.Add(time.Duration(r.Int64N(int64(epoch.Sub(t))))).Truncate(time.Second)
}

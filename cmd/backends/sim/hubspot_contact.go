package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hsTime is HubSpot's form of a date and time: UTC with milliseconds.
const hsTime = "2006-01-02T15:04:05.000Z"

// propertyTable is the contact's properties, sorted by name as HubSpot sorts them in answers. Every value is a string.
var propertyTable = newTable(`
	address address_verified:b annualrevenue:n associatedcompanyid:n city closedate:t company country createdate:t currentlyinworkflow:b
	customer_number date_of_birth:d days_to_close:n email fax first_conversion_date:t first_conversion_event_name first_deal_created_date:t
	firstname gender hs_additional_emails hs_all_owner_ids hs_analytics_average_page_views:n hs_analytics_first_timestamp:t
	hs_analytics_first_url hs_analytics_last_timestamp:t hs_analytics_num_page_views:n hs_analytics_num_visits:n hs_analytics_revenue:n
	hs_analytics_source hs_analytics_source_data_1 hs_analytics_source_data_2 hs_calculated_phone_number
	hs_calculated_phone_number_country_code hs_email_bounce:n hs_email_click:n hs_email_delivered:n hs_email_domain hs_email_open:n
	hs_email_optout:b hs_is_unworked:b hs_language hs_latest_source hs_latest_source_timestamp:t hs_lead_status
	hs_lifecyclestage_customer_date:t hs_lifecyclestage_lead_date:t hs_marketable_status:b hs_object_id:n hs_object_source
	hs_object_source_id hs_object_source_label hs_pipeline hs_searchable_calculated_phone_number hs_timezone hs_v2_date_entered_customer:t
	hubspot_owner_assigneddate:t hubspot_owner_id:n hubspot_team_id:n industry ip_city ip_country ip_country_code jobtitle
	lastmodifieddate:t lastname lifecyclestage loyalty_tier marketing_consent:b marketing_consent_date:t message mobilephone
	notes_last_contacted:t notes_last_updated:t num_associated_deals:n num_conversion_events:n num_notes:n num_unique_conversion_events:n
	phone preferred_channel preferred_store recent_deal_amount:n recent_deal_close_date:t salutation state total_revenue:n website zip`)

// HubSpotProperties returns the names of every property that the simulated contacts have, in their order. HubSpot
// returns a handful unless they are asked for.
func HubSpotProperties() []string { return propertyTable.names() }

// hubspotDates are what HubSpot tells beside the properties.
type hubspotDates struct {
	created, updated, archived string // archived is empty for a live contact
}

type hubspotDraft struct {
	record *record
	dates  hubspotDates
}

// hubspotID scatters the customers over eleven digits: the factor shares no divisor with 10^9, so no two meet.
func hubspotID(i int) string {
	return strconv.Itoa(10_000_000_000 + (i*104_729_031+7_351)%1_000_000_000)
}

func newHubSpotContact(r *rand.Rand, p *person) hubspotDraft {
	d := newDraft(propertyTable, true)
	id := hubspotID(p.index)
	created := p.since.Add(time.Duration(r.IntN(200*24)) * time.Hour)
	if created.After(epoch) {
		created = epoch
	}
	created = created.Truncate(time.Millisecond)
	modified := later(r, created).Add(time.Duration(r.IntN(1000)) * time.Millisecond)
	at := func() string { return later(r, created).Format(hsTime) }

	street, city, last := p.street, p.city, p.last
	if chance(r, 12) {
		street, city = p.oldStreet, p.oldCity
	}
	if p.lastOld != "" && chance(r, 20) {
		last = p.lastOld
	}
	d.set("address", street)
	d.set("city", city)
	d.set("state", p.state)
	d.set("country", p.locale.country)
	if !chance(r, 15) {
		d.set("zip", p.postal)
	}
	d.setBool("address_verified", chance(r, 40))
	d.set("company", pick(r, append([]string{""}, companies...)))
	d.set("customer_number", p.number)
	if chance(r, 50) {
		d.set("date_of_birth", p.birth.Format(time.DateOnly))
	}
	// HubSpot refuses a second contact with the same address, so those who share one get an alias.
	email := strings.ToLower(p.email)
	if strings.HasPrefix(email, "family.") {
		email = strings.Replace(email, "@", fmt.Sprintf("+%s@", strings.ToLower(p.number)), 1)
	} else if chance(r, 50) {
		email = strings.Replace(email, "@", fmt.Sprintf(".%d@", p.index), 1)
	} else {
		email = strings.Replace(email, "@", fmt.Sprintf("%d@", p.index), 1)
		d.set("hs_additional_emails", strings.ToLower(p.firstASCII)+fmt.Sprint(p.index)+"@old.example")
	}
	if isFixed(p.index) {
		email = p.email
		d.set("hs_additional_emails", "")
	}
	d.set("email", email)
	d.set("hs_email_domain", email[strings.IndexByte(email, '@')+1:])
	d.set("firstname", p.first)
	d.set("lastname", last)
	d.set("gender", pick(r, []string{"", "female", "male", "other"}))
	d.set("salutation", pick(r, []string{"", "Mrs", "Mr", "Dr"}))
	d.set("jobtitle", pick(r, titles))
	d.set("industry", pick(r, []string{"", "RETAIL", "INFORMATION_TECHNOLOGY_AND_SERVICES", "HOSPITAL_HEALTH_CARE"}))
	if !chance(r, 15) {
		d.set("phone", national(p.phone, 4+6*r.IntN(9)))
		d.set("hs_calculated_phone_number", p.phone)
		d.set("hs_calculated_phone_number_country_code", p.locale.code)
		d.set("hs_searchable_calculated_phone_number", p.phone[len(p.phone)-9:])
	}
	if chance(r, 40) {
		d.set("mobilephone", p.phone)
	}
	if chance(r, 5) {
		d.set("fax", "none")
	}

	d.setInt("annualrevenue", r.IntN(90)*1000)
	d.setInt("associatedcompanyid", 9_000_000_000+r.IntN(600))
	d.set("createdate", created.Format(hsTime))
	d.setBool("currentlyinworkflow", chance(r, 10))
	owner := 50_000_000 + r.IntN(40)
	d.setInt("hubspot_owner_id", owner)
	d.setInt("hs_all_owner_ids", owner)
	d.setInt("hubspot_team_id", 7_000+r.IntN(9))
	d.set("hubspot_owner_assigneddate", at())
	setAnalytics(r, d, p, at)
	d.set("hs_language", strings.ToLower(strings.ReplaceAll(p.locale.language, "_", "-")))
	d.set("hs_timezone", strings.ToLower(strings.ReplaceAll(p.locale.zone, "/", "_slash_")))
	d.set("hs_lead_status", pick(r, []string{"", "NEW", "OPEN", "CONNECTED"}))
	d.set("lifecyclestage", pick(r, []string{"lead", "customer", "customer", "opportunity"}))
	d.set("hs_lifecyclestage_lead_date", at())
	d.set("hs_lifecyclestage_customer_date", at())
	d.set("hs_v2_date_entered_customer", at())
	d.set("hs_object_id", id)
	d.set("hs_object_source", "IMPORT")
	d.set("hs_object_source_id", derive("import", p.number, 12))
	d.set("hs_object_source_label", "IMPORT")
	d.set("hs_pipeline", "contacts-lifecycle-pipeline")
	d.set("lastmodifieddate", modified.Format(hsTime))
	d.set("loyalty_tier", strings.ToLower(pick(r, tiers)))
	consent := chance(r, 60)
	d.setBool("marketing_consent", consent)
	if consent {
		d.set("marketing_consent_date", at())
	}
	d.set("message", pick(r, append([]string{"", ""}, notes...)))
	d.set("preferred_channel", strings.ToLower(pick(r, channels)))
	d.set("preferred_store", pick(r, stores))
	d.set("total_revenue", fmt.Sprintf("%d.%02d", p.spend/100, p.spend%100))
	dates := hubspotDates{created: created.Format(hsTime), updated: modified.Format(hsTime)}
	if isFixed(p.index) {
		dates = fixHubSpotContact(d, p)
	}
	if p.archived {
		dates.archived = dates.updated
	}
	return hubspotDraft{d.done(id), dates}
}

// fixHubSpotContact sets what the package comment promises about the contact of a fixed customer.
func fixHubSpotContact(d *draft, p *person) hubspotDates {
	const created, modified = "2022-02-01T08:00:00.000Z", "2025-11-20T16:45:12.345Z"
	for name, v := range map[string]string{
		"address": p.street, "city": p.city, "state": p.state, "zip": p.postal, "country": p.locale.country,
		"phone": national(p.phone, 4), "mobilephone": p.phone, "hs_calculated_phone_number": p.phone,
		"hs_calculated_phone_number_country_code": p.locale.code, "hs_searchable_calculated_phone_number": p.phone[len(p.phone)-9:],
		"date_of_birth": p.birth.Format(time.DateOnly), "createdate": created, "lastmodifieddate": modified,
	} {
		d.set(name, v)
	}
	if p.index == 42 {
		d.set("salutation", "Ms")
		d.set("jobtitle", "Vice President, Operations")
		d.set("company", "Northwind Traders")
		d.set("hs_language", "en-us")
		d.set("loyalty_tier", "gold")
		d.set("lifecyclestage", "customer")
	}
	return hubspotDates{created: created, updated: modified}
}

// setAnalytics fills in what HubSpot measured.
func setAnalytics(r *rand.Rand, d *draft, p *person, at func() string) {
	d.setInt("hs_analytics_average_page_views", 1+r.IntN(9))
	d.set("hs_analytics_first_timestamp", at())
	d.set("hs_analytics_first_url", "https://shop.example/"+p.locale.language+"/landing?utm_campaign=spring&utm_source=newsletter")
	d.set("hs_analytics_last_timestamp", at())
	d.setInt("hs_analytics_num_page_views", r.IntN(300))
	d.setInt("hs_analytics_num_visits", r.IntN(60))
	d.setInt("hs_analytics_revenue", r.IntN(9000))
	d.set("hs_analytics_source", pick(r, []string{"OFFLINE", "EMAIL_MARKETING", "ORGANIC_SEARCH", "DIRECT_TRAFFIC"}))
	d.set("hs_analytics_source_data_1", pick(r, []string{"IMPORT", "spring-campaign", "google"}))
	d.set("hs_analytics_source_data_2", derive("source", p.number, 16))
	d.set("hs_latest_source", pick(r, []string{"OFFLINE", "EMAIL_MARKETING", "DIRECT_TRAFFIC"}))
	d.set("hs_latest_source_timestamp", at())
	d.setInt("hs_email_delivered", r.IntN(200))
	d.setInt("hs_email_open", r.IntN(100))
	d.setInt("hs_email_click", r.IntN(30))
	d.setBool("hs_email_optout", chance(r, 20))
	d.setBool("hs_is_unworked", chance(r, 50))
	d.setBool("hs_marketable_status", chance(r, 70))
	d.set("first_conversion_event_name", pick(r, []string{"", "Newsletter: sign-up form", "Shop: checkout"}))
	d.set("ip_city", strings.ToLower(p.oldCity))
	d.set("ip_country", strings.ToLower(p.locale.country))
	d.set("ip_country_code", strings.ToLower(p.locale.code))
	d.set("notes_last_updated", at())
	d.setInt("num_associated_deals", r.IntN(6))
	d.setInt("num_conversion_events", r.IntN(6))
	d.setInt("num_notes", r.IntN(20))
	d.setInt("num_unique_conversion_events", r.IntN(3))
	d.setInt("recent_deal_amount", r.IntN(500))
	d.set("recent_deal_close_date", at())
}

// indexHubSpot puts the contacts in the order of their ids, which is the order HubSpot lists them in.
func (d *Data) indexHubSpot(drafts []hubspotDraft) {
	slices.SortFunc(drafts, func(a, b hubspotDraft) int { return cmp.Compare(a.record.id, b.record.id) })
	d.personByID = make(map[string]int, len(drafts))
	for i, h := range drafts {
		d.people = append(d.people, h.record)
		d.peopleDates = append(d.peopleDates, h.dates)
		d.personByID[h.record.id] = i
	}
	d.personLookup = make(map[int]lookup)
	for _, name := range []string{"email", "customer_number", "hs_object_id", "phone", "mobilephone", "hs_calculated_phone_number", "hs_searchable_calculated_phone_number", "lastname"} {
		column, _ := propertyTable.find(name)
		d.personLookup[column] = newLookup(propertyTable, d.people, name)
	}
}

// Package sim owns simulated back ends: in-memory servers that speak the public HTTP APIs of Salesforce, HubSpot
// and Square as far as the connectors use them, over one generated set of customers.
//
// Each server answers with the vendor's paths, headers, paging and error bodies, refuses requests without its
// credential, keeps a bounded log of what it received (Server.Requests), and can be told to misbehave while it runs
// (Server.Faults). Nothing is ever written: the data are fixed once NewData has returned.
//
// # What is simulated
//
//	Salesforce   POST /services/oauth2/token                                    client credentials
//	             GET  /services/data/v62.0/sobjects/Contact/{id}?fields=
//	             GET  /services/data/v62.0/sobjects/Contact/{externalField}/{value}?fields=
//	             GET  /services/data/v62.0/query?q=SOQL   and   /query/{locator}
//	HubSpot      GET  /crm/v3/objects/contacts?limit=&after=&properties=&archived=
//	             GET  /crm/v3/objects/contacts/{id}?properties=&idProperty=&archived=
//	             POST /crm/v3/objects/contacts/search
//	Square       POST /v2/loyalty/accounts/search
//	             GET  /v2/loyalty/accounts/{id}
//
// # Customers
//
// A customer number such as C-100042 is Customer_Number__c in Salesforce and customer_number in HubSpot. Square knows
// no customer numbers; an account is found by the phone number in E.164 form. Most customers are random in content and
// in which systems know them. These are the same for every seed and size:
//
//	C-100042  in all three, complete. Amelia Hart. The CRMs disagree: e-mail casing (Salesforce
//	          Amelia.Hart@Example.com, HubSpot amelia.hart@example.com), phone format ((312) 555-0142 against
//	          +1 312-555-0142; Phone_E164__c +13125550142) and city (Chicago against Evanston, the newer value).
//	          Square: balance 1250, lifetime 8420.
//	C-100043  Salesforce has no phone of any kind and no Phone_E164__c; HubSpot and Square have +13125550143.
//	C-100044  not in HubSpot. Square by +13125550144.
//	C-100045  not in Salesforce. Square by +13125550145.
//	C-100046  in all three; names and address in CJK, Arabic, combining marks and emoji. Square by +13125550146.
//	C-100047  twice in Salesforce under the same customer number (a look-up by it answers 300), once elsewhere.
//	C-100048  archived in HubSpot (404 unless archived=true), live elsewhere.
//	C-100049  in both CRMs but in no loyalty programme.
//
// Data.Store are the same people as the shop's own database knows them, for package store to write into one. Of the
// fixed customers C-100044 is missing there.
package sim
